"""Open parcels that nobody watches, since nobody was polled for their carriers when their numbers were told, or is any more.

The drain watches a parcel when its number is new, or it is open again. Where settings, or a newer table of names, change who is polled,
all orders are looked at once, `MOST` at a time along their primary key: no status stands in an index. A parcel whose carrier's service is
not polled any more goes to the one who is. One row keeps which routes that was done for, and how far it has come (`watch_walk`); where
nothing changed, a look reads that row and nothing else.

Where processes have different settings (a deployment is under way, or somebody forgot a host), those count that began to live last: a
process begins a walk for its routes only where it is younger than the one that is noted. So no two begin over one another in turn.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
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

_STANDS = text("select routes = :routes as ours, finished, updated_at as begun from watch_walk where id = 1")
_BEGIN = text("""
    insert into watch_walk as w (id, routes) values (1, :routes) on conflict (id) do update set routes = excluded.routes,
        updated_at = case when w.routes = excluded.routes then w.updated_at else clock_timestamp() end,
        walked = case when w.routes = excluded.routes then w.walked end, finished = w.routes = excluded.routes and w.finished
    returning walked, finished
""")
_KEEP = text("update watch_walk set walked = coalesce(:walked, walked), finished = :finished where id = 1")
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
    "order by v.key on conflict (key) where order_id is null do update set provider = excluded.provider, "
    "carrier_id = excluded.carrier_id, next_at = excluded.next_at, heard_at = excluded.heard_at, failures = 0, last_error = null, "
    "updated_at = now() where not trackers.finished and not coalesce(trackers.provider, trackers.carrier) = any(:asked)"
)


@dataclass(frozen=True, slots=True)
class Walk:
    """One process's part in looking at all orders for its routes."""

    routes: Routes
    retire_after: timedelta | None  # what was silent for so long is left
    born: datetime  # when this process began

    def look(self, engine: Engine, now: datetime) -> bool:
        """Watch what nobody watches of the next orders; true where there are more to look at.

        Shape:  one row read where these routes were gone through, or others count; else one page in a transaction of four statements.
        Locks:  the walk's row, then the trackers by key, as the drain's. May be doubled, or killed at any line.
        Errors: OperationalError when PostgreSQL is away.
        """
        noted = {"routes": self.routes.fingerprint()}
        oldest = _EVER if self.retire_after is None else now - self.retire_after
        with engine.begin() as conn:
            row = conn.execute(_STANDS, noted).one_or_none()
            if row is not None and (row.finished if row.ours else row.begun >= self.born):
                return False
            walked, finished = conn.execute(_BEGIN, noted).one()
            if finished:  # by another, while we waited for the row
                return False
            wanted = {"after": walked, "most": MOST, "oldest": oldest}
            found = [] if self.routes.asks_nobody() else conn.execute(_LOOK, wanted).all()
            more = len({row.id for row in found}) == MOST
            watched = _watch(conn, found, self.routes, now)
            conn.execute(_KEEP, {"walked": found[-1].id if found else None, "finished": not more})
        if watched:
            log.info(
                "%d parcels on their way are watched from now on by those who are polled for their carriers", watched
            )
        return more


def _watch(conn: Connection, found: Any, routes: Routes, now: datetime) -> int:
    """Begin to watch parcels, the first that left of each number, by whoever is polled for them; → how many.

    Those whose watch has ended stay so, and those that somebody is asked for stay where they are.
    """
    rows: dict[str, tuple[Any, ...]] = {}
    for row in sorted((row for row in found if row.carrier is not None), key=lambda row: row.since):
        key = tracking_key(row.carrier, row.number)
        if key not in rows and (made := tracker_row(key, routes, now)) is not None:
            rows[key] = (*made, min(row.since, now), now)
    if not rows:
        return 0
    values = columns(_NAMES, _KINDS, list(rows.values())) | {"asked": sorted(routes.asked())}
    return conn.execute(_WATCH, values).rowcount
