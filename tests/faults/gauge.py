"""The gauge: a thread that samples what was decided and what waits, on a connection of its own.

It reads PostgreSQL, not workers' words: an event counts as decided once its result is committed. Its connection is
exempt from faults on connections; a PostgreSQL that does not answer leaves a gap between two samples.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

import psycopg

from tests.faults.rates import Sample, Series

EVERY_S = 0.2
MOST_ROWS = 4_000  # above the base; then the base is moved, so that a sample stays cheap
_COUNT = """
    select count(r.seq) filter (where not own), count(r.seq) filter (where not own and not aimed),
           coalesce(extract(epoch from clock_timestamp() - min(accepted_at) filter (where r.seq is null)), 0), count(*)
    from (
        select seq, accepted_at, starts_with(source, 'order-lifecycle') as own,
               coalesce(subject, '') = any(%(subjects)s) or shard = any(%(shards)s) as aimed
        from journal where seq > %(base)s
    ) j left join results r using (seq)
"""
# What is decided up to here stays decided, and nothing below is yet to be committed.
_BASE = """
    select coalesce(min(seq) - 1, %(base)s) from journal j where seq > %(base)s
    and (accepted_at > clock_timestamp() - interval '10 s' or not exists (select from results r where r.seq = j.seq))
"""
_BELOW = """
    select count(r.seq) filter (where not starts_with(source, 'order-lifecycle')),
           count(r.seq) filter (where not starts_with(source, 'order-lifecycle')
                                and not (coalesce(subject, '') = any(%(subjects)s) or shard = any(%(shards)s)))
    from journal j join results r using (seq) where j.seq > %(base)s and j.seq <= %(to)s
"""
_TOLD = """
    select coalesce(extract(epoch from clock_timestamp() - min(next_at)), 0) from deliveries
    where state = 'due' and attempts = 0
"""


@dataclass(slots=True)
class Gauge:
    """Samples from `start` to `stop`. `aim` says which orders and shards the fault hits: the rest are the others."""

    url: str
    decided: Series = field(default_factory=Series)
    problems: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    shards: list[int] = field(default_factory=list)
    port: int = 0  # of its connection's end here
    _base: int = 0
    _before: tuple[int, int] = (0, 0)  # decided up to the base: all, others
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to take samples."""
        self._thread = threading.Thread(target=self._run, daemon=True, name="gauge")
        self._thread.start()

    def stop(self) -> None:
        """Take no more samples."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(5)

    def aim(self, subjects: Sequence[str] = (), shards: Sequence[int] = ()) -> None:
        """From here on others are all but these; rates of others begin anew."""
        with self._lock:
            self.subjects, self.shards = list(subjects), list(shards)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with psycopg.connect(self.url, autocommit=True, connect_timeout=2, application_name="gauge") as conn:
                    self.port = _port_of(conn)
                    while not self._stopping.wait(EVERY_S):
                        self._sample(conn)
            except (psycopg.Error, OSError) as error:  # PostgreSQL is away: no sample, and that is what it looks like
                self.problems.append(f"{monotonic():.1f} {type(error).__name__}: {str(error).splitlines()[0]}")
                self._stopping.wait(EVERY_S)

    def _sample(self, conn: psycopg.Connection) -> None:
        with self._lock:
            named = {"subjects": self.subjects, "shards": self.shards, "base": self._base}
        row = conn.execute(_COUNT, named).fetchone()
        assert row is not None
        done, others, lag, rows = row
        all_before, others_before = self._before
        self.decided.add(Sample(monotonic(), done + all_before, others + others_before, float(lag)))
        if rows > MOST_ROWS:
            self._move(conn, named)

    def _move(self, conn: psycopg.Connection, named: dict) -> None:
        """Raise the base. What lies below is counted once, as of now: others by the aim of this moment."""
        base = conn.execute(_BASE, named).fetchone()
        assert base is not None
        counts = conn.execute(_BELOW, {**named, "to": base[0]}).fetchone()
        assert counts is not None
        self._base = base[0]
        self._before = (self._before[0] + counts[0], self._before[1] + counts[1])


def oldest_untold_s(conn: psycopg.Connection) -> float:
    """Age of the oldest outgoing webhook that nobody has tried to send."""
    row = conn.execute(_TOLD).fetchone()
    return max(0.0, float(row[0])) if row else 0.0


def _port_of(conn: psycopg.Connection) -> int:
    with socket.fromfd(conn.fileno(), socket.AF_INET, socket.SOCK_STREAM) as ours:
        return int(ours.getsockname()[1])
