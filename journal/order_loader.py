"""A batch's second step: claim the keys of its events, lock and load their orders, find what waits for those.

Nothing is written but claims. Locks are taken in one order everywhere: correlations, then orders, each sorted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from domain.dirty_tracking import NEW
from domain.ids import fresh
from domain.order import Order
from domain.outcome import Outcome
from events.catalogue import AnyEvent
from journal.batch_values import (
    BatchMemory,
    Clash,
    Copy,
    Decoded,
    Loaded,
    Owners,
    ParkedRow,
    Terms,
    Unplaced,
    owner_of,
)
from journal.correlation import claim, decode_entry, is_scan, look_up
from journal.entries import Entry, read, shard_of
from journal.scan_copies import to_late_members, to_members
from journal.times_ahead import is_ahead, verdicts
from storage.aggregates import lock, lock_free
from storage.pg_arrays import array
from storage.raw_sql import Statement


class RowsHeld(Exception):
    """Somebody else holds rows of some orders; begin the batch anew without their entries."""


_CLAIMED = Statement(
    "select key, order_id, cast(members as text[]) from correlations where key = any(cast(:keys as text[]))"
)
# In one: which entries have results, what is parked for the orders or the keys, and which collections' changes
# somebody has subscribed to.
_BESIDE = Statement(
    "select 'seen' as kind, seq, null as order_id, null as key, null as reason from results "
    "where seq = any(cast(:seqs as bigint[])) "
    "union all select 'parked', seq, order_id, key, reason from parked where order_id = any(cast(:ids as uuid[])) "
    "union all select 'parked', seq, order_id, key, reason from parked "
    "where key = any(cast(:keys as text[])) and order_id is null "
    "union all select 'subscribed', null, null, unnest(collections), null from subscriptions where state = 'active'"
)


class _Beside(NamedTuple):
    """A row of `_BESIDE`; what a kind has none of is None."""

    kind: str
    seq: int
    order_id: Any
    key: Any
    reason: Any


class _Waiting(NamedTuple):
    """Parked events that are tried again."""

    by_order: Mapping[str, Sequence[AnyEvent]]  # in journal order; those that waited for a key come with its claim
    rows: Mapping[int, ParkedRow]  # by number
    unplaced: Sequence[Unplaced]  # those that are no events any more
    copies: Sequence[Copy]  # of those that had waited under a key, for further orders of one box


def load(conn: Connection, terms: Terms, memory: BatchMemory, decoded: Decoded) -> Loaded:
    """The batch's second value. Errors: Stale, Clash; RowsHeld where the terms say to go around what is held."""
    locked, memory.locked = memory.locked, {}  # this try changes them
    at_hand = {order.order_number: order_id for order_id, order in locked.items()}
    numbers = decoded.numbers
    ids, owners = look_up(conn, decoded, numbers - at_hand.keys(), memory.corrected.keys(), terms.fresh)
    ids |= {number: at_hand[number] for number in numbers & at_hand.keys()}
    new_ids = memory.new_ids
    if not ids.keys().isdisjoint(new_ids):
        raise Clash("a rival made an order whose new id this batch has claimed keys with")
    made = {n: new_ids.setdefault(n, fresh(terms.context.now)) for n in sorted(numbers) if n not in ids}
    by_number = {**ids, **made}
    owners, late = claim(conn, decoded, owners, by_number, memory)
    claimed = owners.first
    known = {*ids.values(), *(o for o in claimed.values() if o is not None), *terms.retry.orders}
    known -= memory.held.union(made.values())
    orders = {order_id: locked[order_id] for order_id in known & locked.keys()}
    if terms.deferral.held_rows:
        orders = _free(conn, memory, decoded, known, ids, claimed)
    else:
        orders |= lock(conn, known - locked.keys())
    for number, new_id in made.items():
        orders[new_id] = Order(new_id, number, shard_of(number, terms.shop.shards), change_state=NEW)
    earlier = to_late_members(conn, late, owners) if late else []
    return _with_what_waits(conn, terms, memory, decoded, orders, by_number, owners, earlier)


def _free(
    conn: Connection,
    memory: BatchMemory,
    decoded: Decoded,
    wanted: set[str],
    by_number: Mapping[str, str],
    owners: Mapping[str, str | None],
) -> dict[str, Order]:
    """Lock and load orders that nobody else holds. Raises RowsHeld where some are held, and notes whose entries wait."""
    orders = lock_free(conn, wanted)
    held = wanted - orders.keys()
    if held:
        memory.held |= held
        for seq, event in decoded.events.items():
            number = event.subject
            order_id = owner_of(decoded.keys[seq], owners) if number is None else by_number.get(number)
            if order_id in held:
                memory.left.add(seq)
        raise RowsHeld
    return orders


def _with_what_waits(
    conn: Connection,
    terms: Terms,
    memory: BatchMemory,
    decoded: Decoded,
    orders: Mapping[str, Order],
    by_number: Mapping[str, str],
    owners: Owners,
    earlier: Sequence[Copy],
) -> Loaded:
    """Once the orders are locked: leave out entries that have a result, and find what waits for these orders.

    An entry has one where Redis handed it over twice, or a rival was faster.
    """
    entries, events, unplaced = decoded.entries, decoded.events, decoded.unplaced
    parameters = {
        "seqs": array([entry.seq for entry in entries], "bigint"),
        "ids": array(sorted(orders), "uuid"),
        "keys": array(sorted(memory.claimed.union(terms.retry.keys)) if orders else [], "text"),
    }
    rows = [_Beside(*row) for row in _BESIDE.run(conn, parameters)]
    seen = {row.seq for row in rows if row.kind == "seen"}
    if seen:
        events = {seq: event for seq, event in events.items() if seq not in seen}
        unplaced = [each for each in unplaced if each.seq not in seen]
    waiting = _waiting(conn, terms, orders, [row for row in rows if row.kind == "parked"])
    found = _scans(decoded, events, owners) if decoded.scans else []
    return Loaded(
        events=events,
        keys=decoded.keys,
        history={entry.seq for entry in entries if entry.effects_suppressed},
        unplaced=[*unplaced, *waiting.unplaced],
        known=len(seen),
        orders=orders,
        by_number=by_number,
        owners=owners.first,
        waiting=waiting.by_order,
        parked=waiting.rows,
        subscribed=frozenset(row.key for row in rows if row.kind == "subscribed"),
        ahead=verdicts(conn, events, terms.context.now),
        copies=[*earlier, *to_members(found, owners.members), *waiting.copies] if found or waiting.copies else earlier,
    )


def _scans(decoded: Decoded, events: Mapping[int, AnyEvent], owners: Owners) -> list[tuple[Entry, AnyEvent]]:
    """The scans without a result yet whose parcels some order names."""
    numbers = {seq for seq in decoded.scans if seq in events and owner_of(decoded.keys[seq], owners.first) is not None}
    return [(entry, events[entry.seq]) for entry in decoded.entries if entry.seq in numbers]


def _waiting(conn: Connection, terms: Terms, orders: Collection[str], rows: Sequence[_Beside]) -> _Waiting:
    only = terms.retry.only
    if only is not None:
        rows = [row for row in rows if row.seq in only]
    if not rows:
        return _Waiting({}, {}, (), ())
    keys = {"keys": array(sorted({r.key for r in rows if r.key}), "text")}
    owners: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    for key, first, others in _CLAIMED.run(conn, keys):
        owners[key] = first
        if others:
            members[key] = others
    scans: list[tuple[Entry, AnyEvent]] = []
    found: dict[str, list[AnyEvent]] = defaultdict(list)
    parked: dict[int, ParkedRow] = {}
    unplaced: list[Unplaced] = []
    entries = {entry.seq: entry for entry in read(conn, [row.seq for row in rows])}
    for row in sorted(rows, key=lambda r: r.seq):
        order_id = row.order_id or owners[row.key]
        if order_id not in orders:
            continue
        event = decode_entry(entries[row.seq], terms.refused)
        if not isinstance(event, Outcome) and is_ahead(event, terms.context.now):
            continue
        parked[row.seq] = ParkedRow(row.order_id, row.reason)
        if isinstance(event, Outcome):
            unplaced.append(Unplaced(row.seq, event, None))
        else:
            found[order_id].append(event)
            if row.order_id is None and is_scan(event):
                scans.append((entries[row.seq], event))
    return _Waiting(found, parked, unplaced, to_members(scans, members))
