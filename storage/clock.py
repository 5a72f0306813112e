"""PostgreSQL's clock, as this process knows it: the one clock of whatever is kept, compared with, or promised.

Hosts' clocks are off, and step. So a process measures how far PostgreSQL's clock is from its own monotonic one, at each
new connection and every MEASURED_S seconds that connections are used, and tells the time from these two: exact to half
a round trip, without asking. A process that lives long records how far its host is off (`heartbeats.skew`), for those
who look. Before its first connection a process has its host's time.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DisconnectionError

MEASURED_S = 10.0
RECORDED_S = 30.0  # at the most often, while connections are used
APART_S = 0.5  # the host's two clocks have parted by this: one was stepped, or the machine slept
DRIFT = 1e-4  # what a host's clock may run fast or slow; 50 ppm are usual
KEPT_S = 86_400  # a process that said nothing for so long is forgotten

_TIME = "select cast(extract(epoch from clock_timestamp()) as double precision)"
# Its own row, for which it waits for nobody.
_RECORD = """
    with mine as (select name from heartbeats where name = %(name)s for update skip locked),
    moved as (update heartbeats h set at = clock_timestamp(), skew = %(skew)s from mine where h.name = mine.name)
    insert into heartbeats (name, at, skew) values (%(name)s, clock_timestamp(), %(skew)s) on conflict (name) do nothing
"""
_SKEWS = text("""
    select name, at, skew from heartbeats
    where skew is not null and at > clock_timestamp() - make_interval(secs => :within) order by abs(skew) desc, name
""")
_FORGET = text(
    "delete from heartbeats where skew is not null and at < clock_timestamp() - make_interval(secs => :kept)"
)


@dataclass(frozen=True, slots=True)
class _Measure:
    """PostgreSQL's time less the monotonic clock's, in seconds, give or take `error`; measured at `at`, monotonic."""

    offset: float
    error: float
    at: float
    apart: float  # the host's time less its monotonic clock's, then

    def error_at(self, moment: float) -> float:
        return self.error + DRIFT * (moment - self.at)


def _of_the_host() -> _Measure:
    at = time.monotonic()
    apart = time.time() - at
    return _Measure(apart, float("inf"), at, apart)


_measure = _of_the_host()
_asked_at = 0.0  # monotonic
_recorded_at = float("-inf")  # monotonic


def epoch() -> float:
    """Now by PostgreSQL's clock, in seconds since 1970."""
    return time.monotonic() + _measure.offset


def clock() -> datetime:
    """Now by PostgreSQL's clock, in UTC."""
    return datetime.fromtimestamp(epoch(), UTC)


def skew() -> float:
    """Seconds that this host's clock is ahead of PostgreSQL's; 0 before the first connection."""
    return time.time() - epoch()


def follow(engine: Engine, process: str | None = None) -> None:
    """Measure through connections of `engine`. Long-lived processes give the name that they record themselves by.

    It costs a round trip per new connection, and one every MEASURED_S.
    """

    def at_connect(connection: psycopg.Connection[Any], _record: object) -> None:
        _ask(connection)

    def at_checkout(connection: psycopg.Connection[Any], _record: object, _proxy: object) -> None:
        global _recorded_at
        moment = time.monotonic()
        try:
            if moment > _asked_at + MEASURED_S or abs(time.time() - moment - _measure.apart) > APART_S:
                _ask(connection)
            if process is not None and moment > _recorded_at + RECORDED_S:
                _recorded_at = moment
                name = f"{process} {os.getpid()} on {socket.gethostname()}"
                _alone(connection, _RECORD, {"name": name, "skew": skew()})
        except psycopg.OperationalError as error:
            raise DisconnectionError(str(error)) from error  # the pool takes another connection

    event.listen(engine, "connect", at_connect)
    event.listen(engine, "checkout", at_checkout)


def _ask(connection: psycopg.Connection[Any]) -> None:
    global _measure, _asked_at
    _asked_at = before = time.monotonic()
    [(theirs,)] = _alone(connection, _TIME).fetchall()
    after = time.monotonic()
    _measure = _better(_measure, _Measure(
        theirs - (before + after) / 2, (after - before) / 2, after, time.time() - after
    ))  # fmt: skip


def _better(known: _Measure, new: _Measure) -> _Measure:
    """The more exact of two; the new one where they contradict each other: a clock was stepped, or it is another's.

    A slow answer says less than what was measured well a moment ago.
    """
    allowed = known.error_at(new.at)
    if new.error <= allowed or abs(new.offset - known.offset) > new.error + allowed:
        return new
    return _Measure(known.offset, allowed, new.at, new.apart)


def _alone(connection: psycopg.Connection[Any], sql: str, values: dict[str, Any] | None = None) -> psycopg.Cursor[Any]:
    """Run a statement outside any transaction, in one round trip."""
    connection.autocommit = True
    try:
        return connection.execute(sql, values)
    finally:
        if not connection.closed:
            connection.autocommit = False


@dataclass(frozen=True, slots=True)
class Skew:
    """The distance of a host's clock from PostgreSQL's, as its process last said."""

    process: str
    at: datetime
    seconds: float  # ahead of PostgreSQL; negative: behind


def skews(conn: Connection, within_s: float = 4 * RECORDED_S) -> Sequence[Skew]:
    """Of each process that said so lately, the furthest off first."""
    return [Skew(*row) for row in conn.execute(_SKEWS, {"within": within_s})]


def forget(conn: Connection) -> int:
    """Forget processes that are long gone; how many."""
    return conn.execute(_FORGET, {"kept": KEPT_S}).rowcount
