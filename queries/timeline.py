"""An order's readable history: every event with what became of it, a page of it or the newest.

A page costs what it shows, and what it skips of an index; not the whole history.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextClause, text

from domain.ids import uuid_of
from domain.outcome import REASONS
from queries.documents import Document

SCAN = ("carrier", "trackingNumber", "status", "detail", "description", "location", "estimatedDelivery")
WAITING = "waiting"  # accepted, and not decided yet

# The events of an order: those with a result that names it (in the order of an index); and beside them those that
# name it themselves and were given up before they reached it (letters are found by what their event names), or were moved to it
# by an edit, and those that name it and are undecided.
_BESIDE = """
    with own as (select id, order_number, shard from orders where id = cast(:id as uuid)),
    beside as (
        select r.seq from own join dead_letters d on d.names = left(own.order_number, 255)
            join results r using (seq) join journal j using (seq) left join corrections c using (seq)
            where r.order_id is null and (r.outcome = 'dead' or r.reason = 'discarded')
              and own.order_number = case when c.seq is null then j.subject else c.subject end
        union
        select c.seq from corrections c join own on c.subject = own.order_number
            where not exists (select from results r where r.seq = c.seq and r.order_id is not null)
        union
        select u.seq from own join undecided u on u.shard = own.shard and u.subject = own.order_number
    )
"""
_ASCENDING = """
    decided_at nulls last, coalesce(apply_number, parked_number) nulls last, apply_number nulls last, seq
"""
_DESCENDING = """
    decided_at desc nulls first, coalesce(apply_number, parked_number) desc nulls first,
    apply_number desc nulls first, seq desc
"""
_KEYS = "seq, decided_at, apply_number, parked_number"


def _page(order: str) -> TextClause:
    return text(f"""
    {_BESIDE},
    listed as (
        (select {_KEYS} from results where order_id = cast(:id as uuid) order by {order} limit :upto)
        union all
        select b.seq, r.decided_at, r.apply_number, r.parked_number from beside b left join results r using (seq)
    ),
    page as (
        select row_number() over (order by {order}) as n, seq from listed order by n limit :most offset :skip
    )
    select j.seq, j.source, j.event_id, j.type, j.time, j.accepted_at, r.decided_at, r.outcome, r.reason, r.detail,
           r.apply_number, r.parked_number, r.step_from, r.step_to, r.implied, p.until,
           coalesce(c.data, j.data) as data, c.seq is not null as corrected, d.deliveries
    from page join journal j using (seq) left join results r using (seq) left join parked p using (seq)
    left join corrections c using (seq)
    cross join lateral (select 1 + count(*) as deliveries from duplicates where duplicates.seq = j.seq) d
    order by page.n
    """)


_OLDEST, _NEWEST = _page(_ASCENDING), _page(_DESCENDING)
_LENGTH = text(
    f"{_BESIDE} select (select count(*) from results where order_id = cast(:id as uuid)) + (select count(*) from beside)"
)


_MOMENTS = text("""
    select decided_at from results where order_id = cast(:id as uuid) and apply_number is not null
    group by decided_at order by decided_at desc limit :most
""")
_STEPS = text("""
    select step_from, step_to, max(decided_at) as last_at from results
    where order_id = cast(:id as uuid) and step_to is not null and step_to <> step_from
      and (cast(:at as timestamptz) is null or decided_at <= :at)
    group by 1, 2 order by last_at
""")


def timeline(conn: Connection, order_id: str, most: int | None = None, skip: int = 0) -> list[Document]:
    """The events of the order with what became of each, in the order of the decisions, newest last, undecided behind.

    All of them, or `most` after the first `skip`.
    """
    return _read(conn, _OLDEST, order_id, most, skip)


def newest(conn: Connection, order_id: str, most: int, skip: int = 0) -> list[Document]:
    """The last `most` of `timeline`, before the very last `skip`; newest last."""
    return _read(conn, _NEWEST, order_id, most, skip)[::-1]


def known_at(conn: Connection, order_id: str, at: datetime) -> list[Document]:
    """The timeline as it was then: the events that were accepted by then; what was decided later counts as undecided."""
    rows = conn.execute(_OLDEST, {"id": uuid_of(order_id), "upto": None, "most": None, "skip": 0})
    found = [_entry(row, at) for row in rows if row.accepted_at <= at]
    return sorted(found, key=lambda entry: entry["outcome"] == WAITING)  # stable: the others stay as they are


def length(conn: Connection, order_id: str) -> int:
    """The number of events in the whole timeline."""
    return int(conn.execute(_LENGTH, {"id": uuid_of(order_id)}).scalar_one())


def moments(conn: Connection, order_id: str, most: int) -> list[datetime]:
    """The times at which something about the order was decided, ascending: the last `most` of them."""
    return list(conn.execute(_MOMENTS, {"id": uuid_of(order_id), "most": most}).scalars())[::-1]


def steps(conn: Connection, order_id: str, at: datetime | None = None) -> list[tuple[str, str]]:
    """The steps (from, to) that the order's status took, until then or now; that which it took last is the last."""
    return [(row.step_from, row.step_to) for row in conn.execute(_STEPS, {"id": uuid_of(order_id), "at": at})]


def _read(conn: Connection, statement: TextClause, order_id: str, most: int | None, skip: int) -> list[Document]:
    upto = None if most is None else skip + most
    rows = conn.execute(statement, {"id": uuid_of(order_id), "upto": upto, "most": most, "skip": skip})
    return [_entry(row) for row in rows]


def _entry(row: Any, at: datetime | None = None) -> Document:
    decided = row.outcome is not None and (at is None or row.decided_at <= at)
    return {
        "seq": row.seq,
        "source": row.source,
        "id": row.event_id,
        "type": row.type,
        "time": row.time,
        "acceptedAt": row.accepted_at,
        "decidedAt": row.decided_at if decided else None,
        "outcome": row.outcome if decided else WAITING,
        "reason": row.reason if decided else None,
        "text": REASONS.get(row.reason, row.reason) if decided and row.reason else None,
        "detail": row.detail if decided else None,
        "number": row.apply_number if decided else None,
        "stepFrom": row.step_from if decided else None,
        "stepTo": row.step_to if decided else None,
        "implied": row.implied if decided else None,
        "until": row.until if decided else None,
        "deliveries": row.deliveries,
        "corrected": row.corrected,
        "scan": _scan(row.type, row.data),
        "data": row.data,
    }


def _scan(kind: str, data: dict[str, Any]) -> Document | None:
    """The scan that a carrier told, for whoever may read the timeline; None where the event is none."""
    if kind != "TrackingUpdated":
        return None
    told = {name: data.get(name) for name in SCAN}  # of a dead letter it may be anything
    return {name: value if isinstance(value, str) else None for name, value in told.items()}
