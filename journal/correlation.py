"""Which order each event of a batch is about, and what waits for it.

An event names its order's number, or only a payment or a parcel. Whoever names both claims the
`correlations` row for its order, and whoever names only the key waits under the same row: so neither
commit order loses a match. Claims are kept over the tries of a batch; a claimed key never changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection

from domain.fold import Fold, Settled
from domain.order import Order
from domain.outcome import DEAD, Outcome, dead, ignored
from domain.policy import Context
from events.catalogue import CATALOGUE, Event, Malformed, UnknownType, UnknownVersion, decode, payment_key, tracking_key
from journal.entries import Entry, read
from storage.pg_arrays import array, columns, unnest
from storage.raw_sql import Statement


class Clash(Exception):
    """Another transaction did the same work at the same time: roll back and drain again."""


class Stale(Exception):
    """Entries that an operator edited after they went into a stream."""

    def __init__(self, seqs: list[int]) -> None:
        super().__init__(seqs)
        self.seqs = seqs


@dataclass(slots=True)
class Shop:
    """What a batch needs to know besides its entries."""

    policy_id: int
    shards: int
    tracked: frozenset[str] = frozenset()  # carriers that are polled, normalized


@dataclass(slots=True)
class Kept:
    """What one try of a batch learns for the next: nothing of it is undone, as the transaction goes on."""

    poison: dict[tuple[str, str], str] = field(default_factory=dict)  # (source, id) → how our own code failed on it
    corrected: dict[int, Entry] = field(default_factory=dict)  # edited by an operator since they were published
    unclaiming: set[int] = field(default_factory=set)  # dead events, which may not claim for their orders
    new_ids: dict[str, str] = field(default_factory=dict)  # order number → the id that claims were made with
    locked: Mapping[str, Order] = field(default_factory=dict)  # by id, loaded before; only the first try may have them
    claimed: set[str] = field(default_factory=set)  # keys: what waits for them comes with them
    left: set[int] = field(default_factory=set)  # numbers of entries whose orders' rows somebody else holds
    held: set[str] = field(default_factory=set)  # ids of those orders


@dataclass(slots=True)
class Batch:
    """One try of a batch on its way through the steps."""

    entries: list[Entry]
    context: Context
    shop: Shop
    kept: Kept
    refused: dict[int, Outcome] = field(default_factory=dict)  # seq → dead before any fold
    retry: Collection[str] = ()  # orders whose parked events are tried again, too
    retry_keys: Collection[str] = ()  # and keys that those have claimed
    only: Collection[int] | None = None  # of what is parked, try these again; None: all
    fresh: bool = False  # the entries were journaled in this transaction: nobody can have edited them
    deferring: bool = False  # follow-ups are journaled, and folded by whoever drains their shard
    around: bool = False  # orders whose rows somebody else holds are left out, not waited for
    events: dict[int, Event] = field(default_factory=dict)
    named: dict[int, set[str]] = field(default_factory=dict)  # seq → the correlation keys that its event names
    settled: list[Settled] = field(default_factory=list)
    without_order: list[tuple[int, Outcome, str | None]] = field(default_factory=list)  # seq, outcome, key
    folds: dict[str, Fold] = field(default_factory=dict)  # by order id
    was_parked: dict[int, tuple[str | None, str]] = field(default_factory=dict)  # seq → order, reason as stored
    known: int = 0  # entries that had a result already
    work: int | None = None  # lines that events may be about, before heavy ones are left; None: all are folded
    rest: set[int] = field(default_factory=set)  # numbers of those
    told: frozenset[str] = frozenset()  # collections whose changes somebody has subscribed to


# Orders by number, claimed keys, and entries that an operator edited since they went into a stream.
_LOOK = Statement("""
    select 'order' as kind, order_number as name, id from orders where order_number = any(cast(:numbers as text[]))
    union all select 'key', key, order_id from correlations where key = any(cast(:keys as text[]))
    union all select 'edited', cast(seq as text), null from corrections where seq = any(cast(:seqs as bigint[]))
""")
_CLAIMED = Statement("select key, order_id from correlations where key = any(cast(:keys as text[]))")
_CLAIM = Statement(
    "insert into correlations (key, order_id) select v.key, v.order_id "
    f"from {unnest(('key', 'order_id'), ('text', 'uuid'))} "
    "order by v.key on conflict (key) do update set order_id = coalesce(correlations.order_id, excluded.order_id) "
    "returning key, order_id"
)
_UNCLAIM = Statement(
    "update correlations set order_id = null "
    "where key = any(cast(:keys as text[])) and order_id = any(cast(:ids as uuid[]))"
)
# In one: which entries have results, what is parked for the orders or the keys, and which collections' changes
# somebody has subscribed to.
_BESIDE = Statement(
    "select 'seen' as kind, seq, null as order_id, null as key, null as reason from results "
    "where seq = any(cast(:seqs as bigint[])) "
    "union all select 'parked', seq, order_id, key, reason from parked where order_id = any(cast(:ids as uuid[])) "
    "union all select 'parked', seq, order_id, key, reason from parked "
    "where key = any(cast(:keys as text[])) and order_id is null "
    "union all select 'told', null, null, unnest(collections), null from subscriptions where state = 'active'"
)


class _Beside(NamedTuple):
    """A row of `_BESIDE`; what a kind has none of is None."""

    kind: str
    seq: int
    order_id: Any
    key: Any
    reason: Any


def decoded(batch: Batch, entry: Entry, *, parked_before: bool = False) -> Event | None:
    """The entry as an event, or None with its outcome noted."""
    outcome = batch.refused.get(entry.seq)
    if outcome is None:
        try:
            body = decode(entry.type, entry.version, entry.subject, entry.data)
            event = Event(entry.seq, entry.source, entry.event_id, entry.type, entry.time, entry.subject, body)
            if not parked_before:
                batch.events[entry.seq] = event
            return event
        except UnknownType:
            outcome = ignored("unknown_type")
        except UnknownVersion as error:
            outcome = dead("unknown_version", str(error))
        except Malformed as error:
            outcome = dead("malformed", str(error))
    batch.without_order.append((entry.seq, outcome, None))
    return None


def keys_of(event: Event) -> set[str]:
    """The correlation keys that an event names."""
    data = event.data
    if event.type == "OrderCreated":
        return {payment_key(p) for p in data.paymentIds}
    if event.type in _OF_PAYMENT:
        return {payment_key(data.paymentId)}
    if event.type in _OF_PARCEL and data.carrier and data.trackingNumber:
        return {tracking_key(data.carrier, data.trackingNumber)}
    return set()


_OF_PAYMENT = frozenset(name for name, body in CATALOGUE.items() if "paymentId" in body.model_fields)
_OF_PARCEL = frozenset(name for name, body in CATALOGUE.items() if "trackingNumber" in body.model_fields)


def look(conn: Connection, batch: Batch, numbers: set[str]) -> tuple[dict[str, str], dict[str, str | None]]:
    """(order number → id, key → its order) of what exists. Stale where an entry was edited since it was published."""
    keys = {key for keys in batch.named.values() for key in keys}
    if not batch.entries or (batch.fresh and not numbers and not keys):
        return {}, {}
    parameters = {
        "numbers": array(sorted(numbers), "text"),
        "keys": array(sorted(keys), "text"),
        "seqs": array([entry.seq for entry in batch.entries], "bigint"),
    }
    found: dict[str, dict[str, Any]] = {"order": {}, "key": {}, "edited": {}}
    for kind, name, order_id in _LOOK.run(conn, parameters):
        found[kind][name] = order_id
    if stale := [int(seq) for seq in found["edited"] if int(seq) not in batch.kept.corrected]:
        raise Stale(stale)
    return found["order"], found["key"]


def claim(conn: Connection, batch: Batch, owner: dict[str, str | None], ids: dict[str, str]) -> None:
    """Claim the batch's keys that nobody has for the orders that name them; `owner` (key → order) learns of it."""
    wants: dict[str, str | None] = {}
    for seq, keys in batch.named.items():
        subject = batch.events[seq].subject
        for key in keys:
            if owner.get(key) is None:
                mine = ids[subject] if subject is not None and seq not in batch.kept.unclaiming else None
                wants[key] = wants.get(key) or mine
    if wants:
        answer = _pairs(conn, _CLAIM, columns(("key", "order_id"), ("text", "uuid"), sorted(wants.items())))
        owner.update(answer)
        batch.kept.claimed |= {key for key, order_id in answer.items() if order_id is not None}


def owner_of(event: Event, owner: dict[str, str | None]) -> str | None:
    return next((owner[key] for key in keys_of(event) if owner.get(key)), None)


def taken_by_another(event: Event, keys: set[str], owner: dict[str, str | None], order_id: str) -> Outcome | None:
    """Dead, where a payment that the event names is another order's. A parcel may hold two orders' goods."""
    for key in keys:
        if key.startswith("payment:") and owner.get(key) not in (None, order_id):
            return dead("payment_id_taken", f"{key} belongs to order {owner[key]}")
    return None


def claimed_by_the_dead(batch: Batch) -> set[int]:
    """Numbers of events that ended dead and named keys."""
    return {s.event.seq for s in batch.settled if s.outcome.kind == DEAD and s.event.seq and keys_of(s.event)}


def unclaim(conn: Connection, batch: Batch, seqs: set[int]) -> None:
    """Take back what dead events claimed just now, where nothing else of the batch supports it."""
    keys = {key for s in batch.settled if s.event.seq in seqs for key in keys_of(s.event)}
    ids = {s.order.id for s in batch.settled if s.event.seq in seqs}
    kept = {key_of_part for fold in batch.folds.values() for key_of_part in _keys_held(fold.order)}
    free = sorted(keys - kept)
    if free:
        _UNCLAIM.run(conn, {"keys": array(free, "text"), "ids": array(sorted(ids), "uuid")})


def look_beside(conn: Connection, batch: Batch, orders: dict[str, Order]) -> dict[str, list[Event]]:
    """Once the orders are locked: leave out entries that have a result, and find what waits for these orders.

    An entry has one where Redis handed it over twice, or a rival was faster. → order id → its parked events
    in journal order; those that waited for a key come with its claim.
    """
    parameters = {
        "seqs": array([entry.seq for entry in batch.entries], "bigint"),
        "ids": array(sorted(orders), "uuid"),
        "keys": array(sorted(batch.kept.claimed.union(batch.retry_keys)) if orders else [], "text"),
    }
    rows = [_Beside(*row) for row in _BESIDE.run(conn, parameters)]
    _drop_known(batch, {row.seq for row in rows if row.kind == "seen"})
    batch.told = frozenset(row.key for row in rows if row.kind == "told")
    return _waiting(conn, batch, orders, [row for row in rows if row.kind == "parked"])


def _drop_known(batch: Batch, known: set[int]) -> None:
    batch.known = len(known)
    if known:
        for seq in known:
            batch.events.pop(seq, None)
        batch.without_order = [row for row in batch.without_order if row[0] not in known]
        batch.entries = [entry for entry in batch.entries if entry.seq not in known]


def _waiting(
    conn: Connection, batch: Batch, orders: dict[str, Order], rows: Sequence[_Beside]
) -> dict[str, list[Event]]:
    if batch.only is not None:
        rows = [row for row in rows if row.seq in batch.only]
    if not rows:
        return {}
    owner: dict[str, str] = _pairs(conn, _CLAIMED, {"keys": array(sorted({r.key for r in rows if r.key}), "text")})
    found: dict[str, list[Event]] = defaultdict(list)
    entries = {entry.seq: entry for entry in read(conn, [row.seq for row in rows])}
    for row in sorted(rows, key=lambda r: r.seq):
        order_id = row.order_id or owner[row.key]
        if order_id not in orders:
            continue
        batch.was_parked[row.seq] = (row.order_id, row.reason)
        event = decoded(batch, entries[row.seq], parked_before=True)
        if event is not None:
            found[order_id].append(event)
    return found


def _pairs(conn: Connection, statement: Statement, parameters: dict[str, str]) -> dict[str, Any]:
    """A statement's two columns as a dict."""
    return {row[0]: row[1] for row in statement.run(conn, parameters)}


def _keys_held(order: Order) -> Iterable[str]:
    for transaction in order.transactions:
        yield payment_key(transaction.payment_id)
    for parcel in order.fulfillments:
        yield from parcel.parcels
