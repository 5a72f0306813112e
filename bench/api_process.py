"""Server processes for the length of a measurement: our API, or a rival under the same uvicorn with the same switches."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil

from bench import paused_worker, product
from bench.api_calls import WEBHOOK_SECRET
from bench.servers import BenchError, Servers
from embedded.host import free_port
from storage import engine as engines
from storage import keys
from storage.migrate import upgrade

START_S = 30.0


@dataclass(frozen=True, slots=True)
class Shop:
    """One database with its schema, its Redis, and a secret key to it."""

    database_url: str
    redis_url: str
    key: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process of this shop."""
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "ORDERS_SHARDS": str(product.SHARDS),
            "ORDERS_STANDARD_SECRETS": WEBHOOK_SECRET,
            "ORDERS_RATE_LIMIT": "off",
        }

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request with the secret key."""
        return {"Authorization": f"Bearer {self.key}"}


def shop(servers: Servers, name: str) -> Shop:
    """A fresh shop in a database of its own."""
    url = servers.database(name)
    upgrade(url, product.SHARDS)
    return with_key(url, servers.redis_database())


def with_key(database_url: str, redis_url: str) -> Shop:
    """A database that is there, with one more key."""
    engine = engines.connect(database_url)
    with engine.begin() as conn:
        key, _ = keys.add(conn, "secret", "bench", "bench", datetime.now(UTC))
    engine.dispose()
    return Shop(database_url, redis_url, key)


@contextmanager
def api(servers: Servers, of: Shop, name: str) -> Iterator[tuple[int, psutil.Process]]:
    """`orders api` with one process: (its port, its process)."""
    port = free_port(None)
    with _serving(servers, name, ["-m", "cli", "api", "--port", str(port)], of.environment, port) as process:
        yield port, process


@contextmanager
def uvicorn(
    servers: Servers, app: str, name: str, environment: Mapping[str, str]
) -> Iterator[tuple[int, psutil.Process]]:
    """`app` (module:name) under uvicorn as we run it (api/main.py): (its port, its process)."""
    port = free_port(None)
    command = [
        "-m", "uvicorn", app, "--port", str(port), "--loop", "uvloop", "--http", "httptools", "--ws", "none",
        "--no-access-log", "--no-server-header", "--log-level", "warning",
    ]  # fmt: skip
    with _serving(servers, name, command, environment, port) as process:
        yield port, process


@contextmanager
def _serving(
    servers: Servers, name: str, command: list[str], environment: Mapping[str, str], port: int
) -> Iterator[psutil.Process]:
    log = servers.folder / f"{name}.log"
    started = paused_worker.start([sys.executable, *command], log, servers.folder, environment)
    with paused_worker.Worker(name, [started], log) as server:
        until = time.monotonic() + START_S
        while not _answers(port):
            server.check()
            if time.monotonic() > until:
                raise BenchError(f"{name} does not answer after {START_S:.0f} s: {log.read_text()[-1000:]}")
            time.sleep(0.05)
        yield server.tree()[0]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
