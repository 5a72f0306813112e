"""The orders that the events of a batch are about: what its entries say, and who has the keys that they name.

An event names its order's number, or only a payment or a parcel. Whoever names both claims the
`correlations` row for its order, and whoever names only the key waits under the same row: so neither
commit order loses a match. Claims are kept over the tries of a batch; a claimed key never changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from domain.fold import EventResult
from domain.order import Order
from domain.outcome import DEAD, Outcome, Reason, dead, ignored
from domain.return_parcels import keys_of
from events.catalogue import AnyEvent, Event, Malformed, UnknownType, UnknownVersion, decode, payment_key
from journal.batch_values import BatchMemory, Decoded, Folded, Unplaced
from journal.entries import Entry
from storage.pg_arrays import array, columns, unnest
from storage.raw_sql import Statement


class Stale(Exception):
    """Entries that an operator edited after they went into a stream."""

    def __init__(self, seqs: list[int]) -> None:
        super().__init__(seqs)
        self.seqs = seqs


# Orders by number, claimed keys, and entries that an operator edited since they went into a stream.
_LOOK = Statement("""
    select 'order' as kind, order_number as name, id from orders where order_number = any(cast(:numbers as text[]))
    union all select 'key', key, order_id from correlations where key = any(cast(:keys as text[]))
    union all select 'edited', cast(seq as text), null from corrections where seq = any(cast(:seqs as bigint[]))
""")
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


def decode_entries(entries: Sequence[Entry], refused: Mapping[int, Outcome]) -> Decoded:
    """The batch's first value: its entries as events, and the numbers and keys that those name."""
    events: dict[int, AnyEvent] = {}
    keys: dict[int, set[str]] = {}
    numbers: set[str] = set()
    unplaced: list[Unplaced] = []
    for entry in entries:
        event = decode_entry(entry, refused)
        if isinstance(event, Outcome):
            unplaced.append(Unplaced(entry.seq, event, None))
            continue
        events[entry.seq] = event
        keys[entry.seq] = event.data.correlation_keys()
        if event.subject is not None:
            numbers.add(event.subject)
    return Decoded(entries, events, keys, numbers, unplaced)


def decode_entry(entry: Entry, refused: Mapping[int, Outcome]) -> AnyEvent | Outcome:
    """The entry as an event, or its outcome where it is none, or was `refused` beforehand."""
    outcome = refused.get(entry.seq)
    if outcome is not None:
        return outcome
    try:
        body = decode(entry.type, entry.version, entry.subject, entry.data)
        return Event(entry.seq, entry.source, entry.event_id, entry.type, entry.time, entry.subject, body)
    except UnknownType:
        return ignored(Reason.UNKNOWN_TYPE)
    except UnknownVersion as error:
        return dead(Reason.UNKNOWN_VERSION, str(error))
    except Malformed as error:
        return dead(Reason.MALFORMED, str(error))


def look_up(
    conn: Connection, decoded: Decoded, numbers: Collection[str], corrected: Collection[int], fresh: bool
) -> tuple[dict[str, str], dict[str, str | None]]:
    """(order number → id, key → its order) of what exists, `numbers` alone of the orders'.

    Raises Stale where an entry was edited since it was published, unless it is among the `corrected`; none is looked
    for among entries that are `fresh`.
    """
    keys = {key for keys in decoded.keys.values() for key in keys}
    if not decoded.entries or (fresh and not numbers and not keys):
        return {}, {}
    parameters = {
        "numbers": array(sorted(numbers), "text"),
        "keys": array(sorted(keys), "text"),
        "seqs": array([entry.seq for entry in decoded.entries], "bigint"),
    }
    found: dict[str, dict[str, Any]] = {"order": {}, "key": {}, "edited": {}}
    for kind, name, order_id in _LOOK.run(conn, parameters):
        found[kind][name] = order_id
    if stale := [int(seq) for seq in found["edited"] if int(seq) not in corrected]:
        raise Stale(stale)
    return found["order"], found["key"]


def claim(
    conn: Connection,
    decoded: Decoded,
    owners: Mapping[str, str | None],
    by_number: Mapping[str, str],
    memory: BatchMemory,
) -> Mapping[str, str | None]:
    """Claim the batch's keys that nobody has for the orders that name them: `owners` (key → order) as they are now."""
    wants: dict[str, str | None] = {}
    for seq, keys in decoded.keys.items():
        subject = decoded.events[seq].subject
        for key in keys:
            if owners.get(key) is None:
                mine = by_number[subject] if subject is not None and seq not in memory.unclaiming else None
                wants[key] = wants.get(key) or mine
    if not wants:
        return owners
    rows = _CLAIM.run(conn, columns(("key", "order_id"), ("text", "uuid"), sorted(wants.items())))
    answer: dict[str, Any] = {row[0]: row[1] for row in rows}
    memory.claimed |= {key for key, order_id in answer.items() if order_id is not None}
    return {**owners, **answer}


def taken_by_another(keys: Collection[str], owners: Mapping[str, str | None], order_id: str) -> Outcome | None:
    """Dead, where a payment that an event names is another order's. A parcel may hold two orders' goods."""
    for key in keys:
        if key.startswith("payment:") and owners.get(key) not in (None, order_id):
            return dead(Reason.PAYMENT_ID_TAKEN, f"{key} belongs to order {owners[key]}")
    return None


def claimed_by_the_dead(settled: Iterable[EventResult]) -> set[int]:
    """Numbers of events that ended dead and named keys."""
    return {s.event.seq for s in settled if s.outcome.kind is DEAD and s.event.seq and s.event.data.correlation_keys()}


def unclaim(conn: Connection, folded: Folded, seqs: set[int]) -> None:
    """Take back what dead events claimed just now, where nothing else of the batch supports it."""
    keys = {key for s in folded.settled if s.event.seq in seqs for key in s.event.data.correlation_keys()}
    ids = {s.order.id for s in folded.settled if s.event.seq in seqs}
    supported = {key for fold in folded.folds for key in _keys_held(fold.order)}
    free = sorted(keys - supported)
    if free:
        _UNCLAIM.run(conn, {"keys": array(free, "text"), "ids": array(sorted(ids), "uuid")})


def _keys_held(order: Order) -> Iterable[str]:
    for transaction in order.transactions:
        yield payment_key(transaction.payment_id)
    for parcel in order.fulfillments:
        yield from parcel.parcels
    for back in order.returns:
        yield from keys_of(back)
