"""The costs of a stretch of work: CPU of servers and workers apart, WAL, statements, memory per process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from time import monotonic
from typing import Any

import psutil
import psycopg
from sqlalchemy.engine import make_url

from bench.servers import Servers

_WAL = "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
# Counts BEGIN and COMMIT too.
_CALLS = """
    select coalesce(sum(calls), 0) from pg_stat_statements s join pg_database d on d.oid = s.dbid where datname = %s
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """One stretch; `None` where it could not be seen (servers elsewhere, no pg_stat_statements)."""

    seconds: float
    wal_bytes: int
    statements: int | None
    server_cpu_s: float | None
    worker_cpu_s: float

    def per_event(self, events: int) -> dict[str, Any]:
        """The same, an event."""
        return {
            "statements": None if self.statements is None else round(self.statements / events, 3),
            "wal_bytes": round(self.wal_bytes / events),
            "cpu_us": {
                "server": None if self.server_cpu_s is None else round(self.server_cpu_s * 1e6 / events),
                "workers": round(self.worker_cpu_s * 1e6 / events),
            },
        }


class Meter:
    """Reads the meters twice: as it is made, and when it is asked for the cost."""

    def __init__(self, servers: Servers, database_url: str, workers: Iterable[psutil.Process]) -> None:
        self._servers, self._database = servers, make_url(database_url).database or ""
        self._workers = list(workers)
        self._server_processes = list(servers.processes().values())
        self._before = self._read()
        self._began = monotonic()

    def cost(self, seconds: float | None = None) -> Cost:
        """The cost since the start; `seconds` where the caller timed it better."""
        took = monotonic() - self._began if seconds is None else seconds
        (wal, calls, server, workers), (wal0, calls0, server0, workers0) = self._read(), self._before
        return Cost(
            took,
            wal - wal0,
            None if calls is None or calls0 is None else calls - calls0,
            server - server0 if self._server_processes else None,
            workers - workers0,
        )

    def _read(self) -> tuple[int, int | None, float, float]:
        with self._servers.admin() as conn:
            wal = int(_one(conn, _WAL))
            try:
                calls: int | None = int(_one(conn, _CALLS, self._database))
            except psycopg.Error:
                calls = None
        return wal, calls, cpu_s(self._server_processes), cpu_s(self._workers)


def cpu_s(processes: Iterable[psutil.Process]) -> float:
    """CPU seconds of these processes and all below them, the dead ones included."""
    total = 0.0
    for process in _with_children(processes):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += sum(times[:2])
            total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)  # of the dead
    return total


def memory_mb(processes: Sequence[psutil.Process], *, pool: bool) -> float | None:
    """Resident MB a process, the median; with `pool`, of the processes below these (a Celery worker's pool)."""
    found = []
    for process in processes:
        with suppress(psutil.Error):
            family = process.children(recursive=True) if pool else [process]
            found += [each.memory_info().rss / 1e6 for each in family]
    return round(median(found), 1) if found else None


def _with_children(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    found = []
    for process in processes:
        with suppress(psutil.Error):
            found += [process, *process.children(recursive=True)]
    return found


def _one(conn: psycopg.Connection[tuple[Any, ...]], statement: str, *values: Any) -> Any:
    row = conn.execute(statement, values).fetchone()
    return row[0] if row else 0
