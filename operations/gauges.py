"""The shop's figures for Prometheus that nobody counts, because they stand in PostgreSQL and Redis.

One look gathers all of them, each statement within LOOK_S, and is shared by whoever asks within FRESH_S: so a scrape costs
the servers little, however many ask. What waits is counted row by row; so after a look at PostgreSQL that took long the next
at it comes SHARE times as long afterwards, LONGEST_S at most, and takes less than 1 % of a core, however much waits. Where a
server does not answer, its own figure says so, and its others are left out.
A figure that takes too long is left out alone, and counted as such: a slow figure is not a server that is away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from journal.streams import Streams
from operations import waiting_rows
from operations.beat import BEAT_KEY, BEAT_S
from settings.environment import Settings
from storage import engine as engines
from storage import migrate

FRESH_S = 5.0
SHARE, LONGEST_S = 100, 60.0  # of what a look at PostgreSQL took, until the next; at most
LOOK_S = 2.0
ALL_S = 6.0  # from then on no further statement is begun: Prometheus gives a scrape ten seconds
MOST = 100_000  # undecided events that are counted; more is said as so many
SLOW = ("57014", "55P03")  # SQLSTATE of a statement_timeout and a lock_timeout


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its name, its meaning, its labels' names, and the statement whose rows are labels and value."""

    name: str
    says: str
    labels: tuple[str, ...] = ()
    sql: str | None = None  # None: it comes from elsewhere, as its name says


FROM_POSTGRESQL: Sequence[Figure] = (
    Figure("orders_undecided_events", f"Accepted events without a result, {MOST} at most.", (),
           f"select n from ({waiting_rows.undecided(MOST)}) open"),
    Figure("orders_undecided_oldest_seconds", "Age of the oldest accepted event without a result.", (),
           f"select age_s from ({waiting_rows.undecided(MOST)}) open"),
    Figure("orders_parked_events", "Events that wait, by what for.", ("reason",),
           f"select reason, count(*) from {waiting_rows.PARKED} group by reason"),
    Figure("orders_parked_oldest_seconds", "Age of the event that waits longest for something that did not come.", (),
           f"select coalesce(extract(epoch from clock_timestamp() - min(r.decided_at)), 0) from {waiting_rows.EARLY}"),
    Figure("orders_dead_letters", "Open dead letters, by reason.", ("reason",), waiting_rows.DEAD_BY_REASON),
    Figure("orders_refunds", "Refunds that have not gone back yet, by state.", ("state",),
           f"select state, count(*) from {waiting_rows.REFUNDS} group by state"),
    Figure("orders_deliveries", "Deliveries to subscribers that are not taken, nor discarded, by state.", ("state",),
           f"select state, count(*) from {waiting_rows.DELIVERIES} group by state"),
    Figure("orders_failing_subscription_seconds", "How long the subscriber has taken nothing that fails longest.", (),
           "select coalesce(extract(epoch from clock_timestamp() - min(failing_since)), 0) from subscriptions "
           "where state = 'active' or notice is not null"),
    Figure("orders_lookups", "Payment look-ups that wait or were given up, by state.", ("state",),
           f"select state, count(*) from {waiting_rows.LOOKUPS} group by state"),
    Figure("orders_parcels", "Parcels that are followed, by how that goes.", ("state",),
           f"select case when failures > 0 then 'failing' else 'followed' end, count(*) from {waiting_rows.PARCELS} group by 1"),
    Figure("orders_pauses", "Pauses that stand, or are being worked off, by kind.", ("kind",),
           f"select kind, count(*) from {waiting_rows.PAUSES} group by kind"),
    Figure("orders_timers_age_seconds", "Time since the timers' chore last ran: the beat and a worker are needed for it.", (),
           "select extract(epoch from clock_timestamp() - at) from heartbeats where name = 'timers'"),
    Figure("orders_host_skew_seconds", "How far the host's clock is off that is furthest off PostgreSQL's.", (),
           "select coalesce(max(abs(skew)), 0) from heartbeats "
           "where skew is not null and at > clock_timestamp() - interval '2 minutes'"),
    Figure("orders_oldest_transaction_seconds", "Age of the oldest database transaction of a client.", (),
           "select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0) from pg_stat_activity "
           "where backend_type = 'client backend' and datname = current_database() and pid <> pg_backend_pid()"),
)  # fmt: skip
MIGRATIONS = Figure("orders_migrations_pending", "Migrations that this version has and the database lacks.")
POSTGRESQL_UP = Figure("orders_postgresql_up", "1 where PostgreSQL answers with our schema, else 0.")
LEFT_OUT = Figure("orders_figures_left_out", "Figures that PostgreSQL did not answer in time at the last look.")
REDIS_UP = Figure("orders_redis_up", "1 where Redis answers, else 0.")
EVICTS = Figure("orders_redis_evicts", "1 where Redis may throw away streams, by its maxmemory-policy, else 0.")
STREAMED = Figure("orders_stream_entries", "Entries in the streams of all shards.")
BEHIND = Figure("orders_behind_shards", "Shards that have more in the journal than in their stream.")
BEAT_AGE = Figure("orders_beat_age_seconds", f"Time since the beat's last sign; {BEAT_S} where there is none.")
FIGURES: tuple[Figure, ...] = (
    *FROM_POSTGRESQL, MIGRATIONS, POSTGRESQL_UP, LEFT_OUT, REDIS_UP, EVICTS, STREAMED, BEHIND, BEAT_AGE,
)  # fmt: skip

Rows = Sequence[tuple[tuple[str, ...], float]]


class Figures:
    """The looks of one process, on a connection to each server that nothing else uses."""

    def __init__(self, database_url: str, redis_url: str, shards: int) -> None:
        bounds = {
            "statement_timeout": f"{LOOK_S}s",
            "lock_timeout": f"{LOOK_S}s",
            "default_transaction_read_only": "on",
        }
        self._engine: Engine = engines.connect(database_url, pool=1, application="orders metrics", bounds=bounds)
        self._client = redis.Redis.from_url(
            redis_url, protocol=2, socket_timeout=LOOK_S, socket_connect_timeout=LOOK_S, retry=Retry(NoBackoff(), 0)
        )
        self._shards = shards
        self._lock = threading.Lock()
        self._newest: list[tuple[Figure, Rows]] = []
        self._stored: list[tuple[Figure, Rows]] = []  # of PostgreSQL
        self._next_at = self._stored_next_at = float("-inf")  # monotonic

    def look(self) -> list[tuple[Figure, Rows]]:
        """Each figure with its rows; at most FRESH_S old as a rule."""
        with self._lock:
            if (begun := monotonic()) >= self._next_at:
                if begun >= self._stored_next_at:
                    self._stored = self._of_postgresql()
                    took = monotonic() - begun
                    # One that is away is asked again soon: it may be back.
                    pause = min(SHARE * took, LONGEST_S) if (POSTGRESQL_UP, [((), 1.0)]) in self._stored else 0.0
                    self._stored_next_at = monotonic() + max(FRESH_S, pause)
                self._newest = [*self._stored, *self._of_redis()]
                self._next_at = monotonic() + FRESH_S
            return self._newest

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()
        self._client.close()

    def _of_postgresql(self) -> list[tuple[Figure, Rows]]:
        """Its figures; one that takes too long is left out, and is no sign that PostgreSQL is away."""
        found: list[tuple[Figure, Rows]] = []
        left_out, begun = 0, monotonic()
        try:
            with self._engine.connect() as conn:
                found.append((MIGRATIONS, [((), float(len(migrate.missing(conn))))]))
                conn.rollback()
                for figure in FROM_POSTGRESQL:
                    rows = _rows(conn, figure) if monotonic() < begun + ALL_S else None
                    if rows is None:
                        left_out += 1
                    else:
                        found.append((figure, rows))
        except (SQLAlchemyError, migrate.StorageError):
            return [*found, (POSTGRESQL_UP, [((), 0.0)])]
        return [*found, (POSTGRESQL_UP, [((), 1.0)]), (LEFT_OUT, [((), float(left_out))])]

    def _of_redis(self) -> list[tuple[Figure, Rows]]:
        try:
            info: Any = self._client.info("memory")
            look = Streams(self._client, self._shards, lambda _shard: None).look()
            left = self._client.pttl(BEAT_KEY)
        except (redis.RedisError, OSError):
            return [(REDIS_UP, [((), 0.0)])]
        evicts = bool(int(info.get("maxmemory", 0))) and info.get("maxmemory_policy") != "noeviction"
        age = BEAT_S - left / 1000 if left > 0 else float(BEAT_S)
        values = (
            (REDIS_UP, 1.0), (EVICTS, float(evicts)), (STREAMED, float(sum(look.lengths))),
            (BEHIND, float(len(look.behind))), (BEAT_AGE, max(0.0, age)),
        )  # fmt: skip
        return [(figure, [((), value)]) for figure, value in values]


def families(figures: Figures) -> Iterable[Any]:
    """The figures as families of prometheus_client."""
    from prometheus_client.core import GaugeMetricFamily

    for figure, rows in figures.look():
        family = GaugeMetricFamily(figure.name, figure.says, labels=figure.labels)
        for labels, value in rows:
            family.add_metric(labels, value)
        yield family


def collector(settings: Settings) -> Callable[[], Iterable[Any]]:
    """The families at each call, of connections that are opened at the first one."""
    opened: list[Figures] = []
    opening = threading.Lock()

    def collect() -> Iterable[Any]:
        with opening:
            if not opened:
                opened.append(Figures(settings.database_url or "", settings.redis_url or "", settings.shards))
        return families(opened[0])

    return collect


def _rows(conn: Connection, figure: Figure) -> Rows | None:
    """The rows of a figure; None where PostgreSQL did not come to them in time."""
    try:
        with conn.begin():
            found = conn.execute(text(figure.sql or "")).all()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in SLOW:
            raise
        return None
    return [
        (tuple(str(each) for each in row[: len(figure.labels)]), float(row[len(figure.labels)] or 0)) for row in found
    ]
