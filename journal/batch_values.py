"""The values that a batch of entries becomes: decoded → loaded → folded → written (journal/batch.py).

Each is made whole by one step out of the one before, and nobody changes it afterwards. What is known beforehand
stands in `Terms`; what a try that has to begin anew leaves to the next one, in `BatchMemory`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from domain.fold import EventResult, Fold
from domain.order import Order
from domain.outcome import Outcome
from domain.policy import Context
from events.catalogue import AnyEvent
from journal.entries import Entry
from journal.pauses import NOTHING, Resting


class Clash(Exception):
    """Another transaction did the same work at the same time: roll back and drain again."""


# Of a carrier's normalized name: who is polled for its parcels, and the carrier's id there; None: nobody is.
Follows = Callable[[str], "tuple[str, str | None] | None"]


class Owners(NamedTuple):
    """The orders of correlation keys."""

    first: Mapping[str, str | None]  # key → the order that has it; None: an event waits for one
    members: Mapping[str, Sequence[str]]  # key of a parcel → further orders that name it


class Copy(NamedTuple):
    """A scan, and the id of a further order that it is told to."""

    scan: Entry
    order_id: str


@dataclass(slots=True)
class Shop:
    """The facts about the shop that a batch needs besides its entries."""

    policy_id: int
    shards: int
    follows: Follows | None = None  # None: no carrier is polled


@dataclass(frozen=True, slots=True)
class Retry:
    """Parked events that a batch tries again, besides those that its own entries make applicable."""

    orders: Collection[str] = ()  # ids of orders: what waits for them
    keys: Collection[str] = ()  # correlation keys that those have claimed: what waits under them
    only: Collection[int] | None = None  # of all that waits, no other numbers than these; None: all of it


@dataclass(frozen=True, slots=True)
class Deferral:
    """The work that a batch leaves to others, instead of waiting for it or doing it here and now."""

    held_rows: bool = False  # entries and retries of orders whose rows somebody else holds; BatchReport names them
    above_lines: int | None = None  # once the events are about more lines: heavy ones, and what follows in their orders
    follow_ups: bool = False  # they are journaled, and folded by whoever drains their shard
    resting: Resting = NOTHING  # events that an operator paused: what waits of them is not tried

    @property
    def leaves_follow_ups(self) -> bool:
        """True where follow-ups are left to whoever drains their shard; so they are where types rest: one may be of such a type."""
        return self.follow_ups or bool(self.resting.types)


@dataclass(frozen=True, slots=True)
class Terms:
    """The facts and options of a batch before it begins; the same for each of its tries."""

    context: Context
    shop: Shop
    retry: Retry
    deferral: Deferral
    refused: Mapping[int, Outcome]  # number → dead before any fold
    fresh: bool  # the entries were journaled in this transaction: nobody can have edited them


@dataclass(slots=True)
class BatchMemory:
    """The lessons of one try of a batch for the next: nothing of it is undone, as the transaction goes on."""

    poison: dict[tuple[str, str], str] = field(default_factory=dict)  # (source, id) → how our own code failed on it
    corrected: dict[int, Entry] = field(default_factory=dict)  # edited by an operator since they were published
    unclaiming: set[int] = field(default_factory=set)  # dead events, which may not claim for their orders
    new_ids: dict[str, str] = field(default_factory=dict)  # order number → the id that claims were made with
    locked: Mapping[str, Order] = field(default_factory=dict)  # by id, loaded before; only the first try may have them
    claimed: set[str] = field(default_factory=set)  # keys: what waits for them comes with them
    late: dict[str, set[str]] = field(default_factory=dict)  # key of a parcel → orders that it was made to name late
    left: set[int] = field(default_factory=set)  # numbers of entries whose orders' rows somebody else holds
    held: set[str] = field(default_factory=set)  # ids of those orders


class Unplaced(NamedTuple):
    """An event that is about no order as far as we know, and what becomes of it."""

    seq: int
    outcome: Outcome
    key: str | None  # that it waits under


class ParkedRow(NamedTuple):
    """The place of a parked event, as stored: its order and its reason."""

    order_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """Entries as events, and what they name."""

    entries: Sequence[Entry]
    events: Mapping[int, AnyEvent]  # by number
    keys: Mapping[int, set[str]]  # number → the correlation keys that the event names
    numbers: set[str]  # of orders that are named
    unplaced: Sequence[Unplaced]  # those that are no events
    scans: Sequence[int]  # numbers of scans that name no order: each is one of all orders that name its parcel


@dataclass(frozen=True, slots=True)
class Loaded:
    """Events with the orders that they are about: their keys claimed, their rows locked, all loaded."""

    events: Mapping[int, AnyEvent]  # those without a result yet
    keys: Mapping[int, set[str]]
    history: set[int]  # numbers of those that act on nobody
    unplaced: Sequence[Unplaced]
    known: int  # entries that had a result already
    orders: Mapping[str, Order]  # by id
    by_number: Mapping[str, str]  # order number → id
    owners: Mapping[str, str | None]  # correlation key → the order that has it
    waiting: Mapping[str, Sequence[AnyEvent]]  # order id → its parked events, in journal order
    parked: Mapping[int, ParkedRow]  # by number: what is tried again
    subscribed: frozenset[str]  # collections whose changes somebody has subscribed to
    copies: Sequence[Copy]  # of scans, for further orders of one box
    ahead: Mapping[int, Outcome]  # number → parked or dead, of events whose time lies too far ahead


@dataclass(frozen=True, slots=True)
class Folded:
    """The orders with the events folded into them: all that there is to write."""

    folds: Sequence[Fold]
    settled: Sequence[EventResult]
    unplaced: Sequence[Unplaced]
    rest: frozenset[int]  # numbers of entries that were left, as the batch was full


def owner_of(keys: Collection[str], owners: Mapping[str, str | None]) -> str | None:
    """The order that has claimed one of these keys, if any has."""
    for key in keys:
        if (order_id := owners.get(key)) is not None:
            return order_id
    return None
