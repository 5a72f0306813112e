"""PostgreSQL and Valkey for one run, and fresh databases in them.

Embedded in a folder that goes away; or DATABASE_URL and REDIS_URL, where we make and drop databases of our
own and write only to Redis databases that we found empty. Commit timestamps are switched on where the
servers are ours: they tell when an event was applied without asking anybody in between.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import make_url

from embedded import servers as embedded_servers
from events.errors import OrdersError


class BenchError(OrdersError, RuntimeError):
    """The bench cannot go on, or what it measured is wrong."""

    code = "bench"
    remedy = "Run it again on a machine that does nothing else; what lasts is a fault."


@dataclass(slots=True)
class Servers:
    """Both servers, and what was made in them."""

    database_url: str
    redis_url: str
    folder: Path
    embedded: bool
    databases: list[str] = field(default_factory=list)
    redis_urls: list[str] = field(default_factory=list)

    def database(self, name: str, template: str = "template1") -> str:
        """The URL of a fresh copy of `template`, which is dropped first if it is there."""
        made = f"orders_bench_{os.getpid()}_{name}"
        source = make_url(template).database or "" if "://" in template else template
        with self.admin() as conn:
            conn.execute(SQL("drop database if exists {} with (force)").format(Identifier(made)))
            conn.execute(SQL("create database {} template {}").format(Identifier(made), Identifier(source)))
        if made not in self.databases:
            self.databases.append(made)
        return make_url(self.database_url).set(database=made).render_as_string(hide_password=False)

    def redis_database(self) -> str:
        """The URL of a Redis database with nothing in it, another one each time."""
        for number in range(1, 16):
            url = make_url(self.redis_url).set(database=str(number)).render_as_string(hide_password=False)
            if url in self.redis_urls:
                continue
            with redis.Redis.from_url(url) as client:
                if not client.dbsize():
                    self.redis_urls.append(url)
                    return url
        raise BenchError("each of the Redis databases 1–15 holds something; flush three, or unset REDIS_URL")

    def admin(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection to no database of the bench."""
        return psycopg.connect(self.database_url, autocommit=True)

    def setting(self, name: str) -> str:
        """The value of a setting of PostgreSQL."""
        with self.admin() as conn:
            row = conn.execute("select current_setting(%s)", (name,)).fetchone()
        return str(row[0]) if row else ""

    def processes(self) -> dict[str, psutil.Process]:
        """`postgres` and `redis`, where they run on this machine."""
        found: dict[str, psutil.Process] = {}
        with self.admin() as conn, suppress(psutil.Error):
            backend = psutil.Process(conn.info.backend_pid)
            if "postgres" in backend.name():
                found["postgres"] = backend.parent() or backend
        with redis.Redis.from_url(self.redis_url) as client, suppress(psutil.Error):
            info: Any = client.info("server")
            process = psutil.Process(int(info["process_id"]))
            if "redis" in process.name() or "valkey" in process.name():
                found["redis"] = process
        return found

    def versions(self) -> dict[str, str]:
        """The servers' own names and versions."""
        with redis.Redis.from_url(self.redis_url) as client:
            info: Any = client.info("server")
        name = "valkey" if "valkey_version" in info else "redis"
        return {"postgresql": self.setting("server_version"), name: str(info[f"{name}_version"])}

    def close(self) -> None:
        """Drop what was made."""
        with self.admin() as conn:
            for name in self.databases:
                conn.execute(SQL("drop database if exists {} with (force)").format(Identifier(name)))
        for url in self.redis_urls:
            with redis.Redis.from_url(url) as client:
                client.flushdb()


@contextmanager
def opened() -> Iterator[Servers]:
    """Servers for the length of the run."""
    own = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    with tempfile.TemporaryDirectory(prefix="orders-bench-") as name:
        folder = Path(name)
        if own[0] and own[1]:
            yield from _using(Servers(_plain(own[0]), own[1], folder, embedded=False))
            return
        with embedded_servers(folder / "servers") as at, psycopg.connect(at.database_url, autocommit=True) as conn:
            conn.execute("alter system set track_commit_timestamp = on")  # takes effect with the next start
        with embedded_servers(folder / "servers") as at:
            yield from _using(Servers(at.database_url, at.redis_url, folder, embedded=True))


def _using(servers: Servers) -> Iterator[Servers]:
    with servers.admin() as conn, suppress(psycopg.Error):
        conn.execute("create extension if not exists pg_stat_statements")
    try:
        yield servers
    finally:
        servers.close()


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
