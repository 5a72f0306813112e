"""The orders that the events of a batch are about: what its entries say, and who has the keys that they name.

An event names its order's number, or only a payment or a parcel. Whoever names both claims the
`correlations` row for its order, and whoever names only the key waits under the same row: so neither
commit order loses a match. Claims are kept over the tries of a batch; a claimed key never changes.

A parcel may hold the goods of several orders: who names its number late is one of its `members`. A scan that names no order
is the first order's event, and a copy of it goes to each other member (journal/scan_copies.py). Scans and whoever may name
it late hold the number's row: so neither misses the other. They lock the numbers that exist at their first look, all in one
order and one mode, before they claim anything: so no two batches wait crosswise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from domain.fold import EventResult
from domain.order import Order
from domain.outcome import DEAD, Outcome, Reason, dead, ignored
from domain.return_parcels import keys_of
from events.catalogue import (
    AnyEvent,
    Event,
    Malformed,
    TrackingUpdated,
    UnknownType,
    UnknownVersion,
    decode,
    is_a,
    payment_key,
)
from journal.batch_values import BatchMemory, Decoded, Folded, Owners, Unplaced
from journal.entries import Entry
from storage.pg_arrays import array, columns, unnest
from storage.raw_sql import Statement


class Stale(Exception):
    """Entries that an operator edited after they went into a stream."""

    def __init__(self, seqs: list[int]) -> None:
        super().__init__(seqs)
        self.seqs = seqs


MEMBERS = 64  # orders that share one number besides the first; a number that more have is a placeholder
_PARCEL = "tracking:"  # begins the keys of parcels

# Orders by number, claimed keys, and entries that an operator edited since they went into a stream.
_LOOK = Statement("""
    with shared as materialized (
        select key, order_id, members from correlations where key = any(cast(:shared as text[]))
        order by key for no key update
    )
    select 'order' as kind, order_number as name, id, null as members
    from orders where order_number = any(cast(:numbers as text[]))
    union all select 'key', key, order_id, cast(members as text[]) from shared
    union all select 'key', key, order_id, cast(members as text[])
    from correlations where key = any(cast(:keys as text[]))
    union all select 'edited', cast(seq as text), null, null from corrections where seq = any(cast(:seqs as bigint[]))
""")
_CLAIM_NAMES, _CLAIM_KINDS = ("key", "order_id", "members"), ("text", "uuid", "text[]")
_CLAIM = Statement(
    "insert into correlations (key, order_id, members) "
    "select v.key, v.order_id, cast(cast(v.members as text[]) as uuid[]) "
    f"from {unnest(_CLAIM_NAMES, _CLAIM_KINDS)} "
    "order by v.key on conflict (key) do update set order_id = coalesce(correlations.order_id, excluded.order_id), "
    "members = (select array_agg(each.id) from (select distinct m.id "
    "from unnest(correlations.members || excluded.members || excluded.order_id) m(id) "
    f"where m.id <> coalesce(correlations.order_id, excluded.order_id) order by m.id limit {MEMBERS}) each) "
    "returning key, order_id, cast(members as text[])"
)
# Of a number that others name, too, the next of them is the first.
_UNCLAIM = Statement(
    "update correlations c set order_id = left_over.ids[1], members = nullif(left_over.ids[2:], '{}') "
    "from (select key, array(select m.id from unnest(array[order_id] || members) with ordinality m(id, place) "
    "where m.id <> all(cast(:ids as uuid[])) order by m.place) as ids "
    "from correlations where key = any(cast(:keys as text[])) order by key for update) left_over "
    "where c.key = left_over.key and (c.order_id = any(cast(:ids as uuid[])) or c.members && cast(:ids as uuid[]))"
)


def decode_entries(entries: Sequence[Entry], refused: Mapping[int, Outcome]) -> Decoded:
    """The batch's first value: its entries as events, and the numbers and keys that those name."""
    events: dict[int, AnyEvent] = {}
    keys: dict[int, set[str]] = {}
    numbers: set[str] = set()
    unplaced: list[Unplaced] = []
    scans: list[int] = []
    for entry in entries:
        event, seq, number = decode_entry(entry, refused), entry.seq, entry.subject
        if isinstance(event, Outcome):
            unplaced.append(Unplaced(seq, event, None))
            continue
        events[seq] = event
        keys[seq] = event.data.correlation_keys()
        if number is not None:
            numbers.add(number)
        elif is_scan(event):
            scans.append(seq)
    return Decoded(entries, events, keys, numbers, unplaced, scans)


def decode_entry(entry: Entry, refused: Mapping[int, Outcome]) -> AnyEvent | Outcome:
    """The entry as an event, or its outcome where it is none, or was `refused` beforehand."""
    if refused and (outcome := refused.get(entry.seq)) is not None:
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
) -> tuple[dict[str, str], Owners]:
    """(order number → id, the keys that exist and whose they are) of what exists, `numbers` alone of the orders'.

    Raises Stale where an entry was edited since it was published, unless it is among the `corrected`; none is looked
    for among entries that are `fresh`.
    """
    keys: set[str] = set().union(*decoded.keys.values())
    if not decoded.entries or (fresh and not numbers and not keys):
        return {}, Owners({}, {})
    shared = {
        key
        for seq, named in decoded.keys.items()
        for key in named
        if key.startswith(_PARCEL) and _scans_or_joins(decoded.events[seq], key)
    }
    parameters = {
        "shared": array(sorted(shared), "text"),
        "numbers": array(sorted(numbers), "text"),
        "keys": array(sorted(keys - shared), "text"),
        "seqs": array([entry.seq for entry in decoded.entries], "bigint"),
    }
    found: dict[str, dict[str, Any]] = {"order": {}, "key": {}, "edited": {}}
    members: dict[str, list[str]] = {}
    for kind, name, order_id, others in _LOOK.run(conn, parameters):
        found[kind][name] = order_id
        if others:
            members[name] = others
    if stale := [int(seq) for seq in found["edited"] if int(seq) not in corrected]:
        raise Stale(stale)
    return found["order"], Owners(found["key"], members)


def is_scan(event: AnyEvent) -> bool:
    """True for a carrier's scan that names no order: it is one of all orders that name its number."""
    return event.subject is None and is_a(event, TrackingUpdated)


def claim(
    conn: Connection, decoded: Decoded, owners: Owners, by_number: Mapping[str, str], memory: BatchMemory
) -> tuple[Owners, dict[str, set[str]]]:
    """Claim the batch's keys that nobody has for the orders that name them, and join those that share a parcel's number.

    → (whose the keys are now, key → the orders that named a number late: earlier scans of it are theirs, too).
    """
    wants: dict[str, dict[str, None]] = {}
    for seq, keys in decoded.keys.items():
        if not keys:
            continue
        event = decoded.events[seq]
        mine = by_number[event.subject] if event.subject is not None and seq not in memory.unclaiming else None
        for key in keys:
            owner = owners.first.get(key)
            if owner is None:
                orders = wants.setdefault(key, {})
                if mine is not None and (not orders or _joins(event, key)):
                    orders[mine] = None
            elif mine is not None and mine not in (owner, *owners.members.get(key, ())) and _joins(event, key):
                wants.setdefault(key, {})[mine] = None
    if not wants:
        return owners, _late(memory, owners.members)
    rows = [(key, *_first_and_rest(list(orders), key)) for key, orders in sorted(wants.items())]
    answer = _CLAIM.run(conn, columns(_CLAIM_NAMES, _CLAIM_KINDS, rows))
    first = {**owners.first, **{key: order_id for key, order_id, _ in answer}}
    members = {**owners.members, **{key: others for key, _, others in answer if others}}
    memory.claimed |= {key for key, order_id, _ in answer if order_id is not None}
    for key, _, others in answer:
        if others:
            memory.late.setdefault(key, set()).update(wants[key].keys() & set(others))
    return Owners(first, members), _late(memory, members)


def _late(memory: BatchMemory, members: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """The orders that this batch, in whichever of its tries, has made members of a number, and that still are."""
    late = {key: orders.intersection(members.get(key, ())) for key, orders in memory.late.items()}
    return {key: orders for key, orders in late.items() if orders}


def _joins(event: AnyEvent, key: str) -> bool:
    """True where an event makes its order a member of a parcel's number; a scan alone does not."""
    return key.startswith(_PARCEL) and not is_a(event, TrackingUpdated)


def _scans_or_joins(event: AnyEvent, key: str) -> bool:
    """True where an event is a scan of that number, or may make its order a member of it."""
    return is_scan(event) if event.subject is None else _joins(event, key)


def _first_and_rest(orders: list[str], key: str) -> tuple[str | None, list[str] | None]:
    """(the order that has the key, further members); a payment has one order alone."""
    rest = orders[1:] if key.startswith(_PARCEL) else []
    return (orders[0] if orders else None), rest or None


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
