"""Copies of scans for the further orders of one box: each order folds events of its own, and no second order is locked.

A scan that names no order is the event of the first order that named its number. Each other order that has named it gets a
copy, when the scan finds its first order; one that names the number later gets copies of the scans that came before. A copy is
an event of our own, with the scan's time and words; its id follows from the scan's and the order's, so that it is made once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection

from domain.ids import derived
from events.catalogue import AnyEvent, tracking_key
from events.envelope import OWN_SOURCE, Envelope
from journal.append import append
from journal.batch_values import Copy, Owners
from journal.entries import Entry, read
from storage.pg_arrays import array, columns, unnest
from storage.raw_sql import Statement

_NUMBERS = Statement("select id, order_number from orders where id = any(cast(:ids as uuid[]))")
_EARLIER = Statement(
    "select r.order_id, r.seq from results r join journal j using (seq) "
    "where r.order_id = any(cast(:ids as uuid[])) and j.type = 'TrackingUpdated' and j.subject is null order by r.seq"
)
_KNOWN = Statement(
    f"select j.event_id from journal j join {unnest(('source', 'event_id'), ('text', 'text'))} using (source, event_id)"
)


def to_members(scans: Iterable[tuple[Entry, AnyEvent]], members: Mapping[str, Sequence[str]]) -> list[Copy]:
    """The copies of scans that have just found their first orders, for the other members of their numbers."""
    return [
        Copy(scan, order_id)
        for scan, event in scans
        for key in event.data.correlation_keys()
        for order_id in members.get(key, ())
    ]


def to_late_members(conn: Connection, late: Mapping[str, Collection[str]], owners: Owners) -> list[Copy]:
    """The copies of scans that came before an order named their number. `late`: key → the orders that do so now."""
    firsts = {key: first for key in late if (first := owners.first.get(key)) is not None}
    if not firsts:
        return []
    rows = _EARLIER.run(conn, {"ids": array(sorted(set(firsts.values())), "uuid")})
    by_order: dict[str, list[int]] = {}
    for order_id, seq in rows:
        by_order.setdefault(order_id, []).append(seq)
    entries = {entry.seq: entry for entry in read(conn, [seq for seqs in by_order.values() for seq in seqs])}
    return [
        Copy(entries[seq], order_id)
        for key, first in sorted(firsts.items())
        for seq in by_order.get(first, ())
        if key_of(entries[seq]) == key
        for order_id in sorted(late[key])
    ]


def key_of(scan: Entry) -> str | None:
    """The key of the number that a scan names, None where its body is none that can be read."""
    carrier, number = scan.data.get("carrier"), scan.data.get("trackingNumber")
    return tracking_key(carrier, number) if isinstance(carrier, str) and isinstance(number, str) else None


def append_copies(conn: Connection, copies: Sequence[Copy], shards: int) -> list[Entry]:
    """Journal copies, once each, after all else of their batch was written: the entries, to be published after the commit."""
    if not copies:
        return []
    numbers = dict(_NUMBERS.run(conn, {"ids": array(sorted({copy.order_id for copy in copies}), "uuid")}))
    made: dict[bool, dict[str, Envelope]] = {}
    for scan, order_id in copies:
        name = derived(scan.time, order_id, scan.source, scan.event_id, "scan")
        if order_id in numbers:
            copy = Envelope(name, OWN_SOURCE, scan.type, scan.time, numbers[order_id], scan.data, scan.version)
            made.setdefault(scan.effects_suppressed, {})[name] = copy
    names = sorted(name for each in made.values() for name in each)
    rows = [(OWN_SOURCE, name) for name in names]
    known = (
        {name for (name,) in _KNOWN.run(conn, columns(("source", "event_id"), ("text", "text"), rows))}
        if rows
        else set()
    )
    found: list[Entry] = []
    for held, each in made.items():
        new = [copy for name, copy in each.items() if name not in known]  # a scan that was replayed has made its copies
        if new:
            found += append(conn, new, shards, effects_suppressed=held).new
    return found
