"""Open parcels that nobody watches, since nobody was polled for their carriers when their numbers were told.

The drain watches a parcel when its number is new, or it is open again. Where settings, or a newer table of names, change who is polled,
all orders are looked at once, `MOST` at a time along their primary key: no status stands in an index. One row keeps which routes that was
done for, and how far it has come (`watch_walk`); where nothing changed, a look reads that row and nothing else.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from events.body import tracking_key
from journal.results import TRACKER_KINDS, TRACKER_NAMES, tracker_row
from providers.carriers.routes import Routes
from storage.pg_arrays import columns, unnest

MOST = 1000  # orders per look
_EVER = datetime(1, 1, 1, tzinfo=UTC)

log = logging.getLogger(__name__)

_DONE = text("select finished from watch_walk where id = 1 and routes = :routes")
_BEGIN = text("""
    insert into watch_walk as w (id, routes) values (1, :routes) on conflict (id) do update set
        routes = excluded.routes, updated_at = now(),
        walked = case when w.routes = excluded.routes then w.walked end, finished = w.routes = excluded.routes and w.finished
    returning walked, finished
""")
_KEEP = text(
    "update watch_walk set walked = coalesce(:walked, walked), finished = :finished, updated_at = now() where id = 1"
)
# Of each order its open parcels that have a pair of carrier and number (`Fulfillment.is_open`, and what the drain asks of
# returns); none of history, nor what has been silent for so long that it would be retired. One row at least of each order, so that the
# last is known.
_LOOK = text("""
    with page as materialized (
        select id, held from orders where id > coalesce(cast(:after as uuid), '00000000-0000-0000-0000-000000000000')
        order by id limit :most
    )
    select p.id, b.carrier, b.number, b.since from page p left join lateral (
        select f.carrier, f.tracking_number as number, coalesce(f.shipped_at, f.created_at) as since
        from fulfillments f where f.order_id = p.id and f.status in ('pending', 'packed', 'shipped') and f.facts ? 'pair'
          and greatest(f.last_scan_at, coalesce(f.shipped_at, f.created_at)) > :oldest
        union all
        select r.carrier, r.tracking_number, coalesce(r.requested_at, r.created_at)
        from returns r where r.order_id = p.id and r.received_at is null and r.status not in ('rejected', 'completed')
          and r.facts ? 'pair' and coalesce(r.requested_at, r.created_at) > :oldest
    ) b on not p.held and b.carrier is not null and b.number is not null
    order by p.id
""")
# Its life began when it left, not when we began to look (`settlement.STRANGERS`); its silence counts from now.
_NAMES, _KINDS = (*TRACKER_NAMES, "created_at", "heard_at"), (*TRACKER_KINDS, "timestamptz", "timestamptz")
_WATCH = text(
    f"insert into trackers ({', '.join(_NAMES)}) select {', '.join(f'v.{name}' for name in _NAMES)} from {unnest(_NAMES, _KINDS)} "
    "order by v.key on conflict (key) where order_id is null do nothing"
)


def look(engine: Engine, routes: Routes, now: datetime, retire_after: timedelta | None) -> bool:
    """Watch what nobody watches of the next orders, unless it was silent for `retire_after`; true where there are more.

    Shape:  one row read where these routes were gone through; else one page in a transaction of three statements.
    Locks:  the walk's row, then the trackers by key, as the drain's. May be doubled, or killed at any line.
    Errors: OperationalError when PostgreSQL is away.
    """
    fingerprint = routes.fingerprint()
    oldest = _EVER if retire_after is None else now - retire_after
    with engine.begin() as conn:
        if conn.execute(_DONE, {"routes": fingerprint}).scalar():
            return False
        walked, finished = conn.execute(_BEGIN, {"routes": fingerprint}).one()
        if finished:  # by another, while we waited for the row
            return False
        found = (
            [] if routes.asks_nobody() else conn.execute(_LOOK, {"after": walked, "most": MOST, "oldest": oldest}).all()
        )
        more = len({row.id for row in found}) == MOST
        added = _watch(conn, found, routes, now)
        conn.execute(_KEEP, {"walked": found[-1].id if found else None, "finished": not more})
    if added:
        log.info("%d parcels on their way are watched from now on: somebody is polled for their carriers now", added)
    return more


def _watch(conn: Connection, found: Any, routes: Routes, now: datetime) -> int:
    """Begin to watch parcels, the first that left of each number; those that are watched, or were, stay as they are. → how many."""
    rows: dict[str, tuple[Any, ...]] = {}
    for row in sorted((row for row in found if row.carrier is not None), key=lambda row: row.since):
        key = tracking_key(row.carrier, row.number)
        if key not in rows and (made := tracker_row(key, routes, now)) is not None:
            rows[key] = (*made, min(row.since, now), now)
    return conn.execute(_WATCH, columns(_NAMES, _KINDS, list(rows.values()))).rowcount if rows else 0
