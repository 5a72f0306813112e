"""What the doors stand on: opened once a process, handed to every request.

Endpoints run in a pool of THREADS threads, and each of them holds at most one connection of an engine at a
time; the journaler of webhooks holds one more, of `engine`. An engine keeps POOL of them open, and may open as many
again. So nobody waits for a connection but for a thread, and the thread pool is the one place where requests queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Engine, event
from starlette.requests import HTTPConnection

from journal.batch import Shop
from journal.streams import Streams
from storage import engine as engines
from storage.settings import Settings
from workers.app import ring
from workers.parts import open_parts

POOL = 10  # connections that an engine keeps
THREADS = POOL - 1
READ_S = 10  # a query that takes longer is canceled, and answered with 503
LOCK_S, WRITE_S = 5, 20  # likewise a write that waits so long for a row, or takes so long in one statement
REDIS_S = 1  # an answer of Redis; nothing waits longer, for nothing in Redis is needed to answer


@dataclass(frozen=True, slots=True)
class Doors:
    """The open connections of one API process, and what was decided when they were opened."""

    settings: Settings
    engine: Engine  # pinned plans: statements by key, and every write
    reader: Engine  # queries; its transactions are read-only
    streams: Streams
    shop: Shop

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()
        self.reader.dispose()
        self.streams.client.close()


def doors_of(request: HTTPConnection) -> Doors:
    """The doors of the application that serves `request`."""
    doors: Doors = request.app.state.doors
    return doors


def open_doors(settings: Settings) -> Doors:
    """Open what `settings` name; the schema must be there.

    Errors: SettingsError without both URLs, SchemaAbsent, OperationalError where PostgreSQL does not answer.
    """
    parts = open_parts(settings, ring, pool=POOL, process="api")
    parts.streams.client.close()
    reader = engines.connect(settings.database_url or "", pool=POOL, application="orders api")
    _bound(parts.engine, lock_timeout=f"{LOCK_S}s", statement_timeout=f"{WRITE_S}s")
    _bound(reader, statement_timeout=f"{READ_S}s", default_transaction_read_only="on")
    parts.engine.dispose()  # the connection it was opened with has no bounds yet
    streams = Streams(_redis(settings.redis_url or ""), parts.shop.shards, ring)
    return Doors(settings, parts.engine, reader, streams, parts.shop)


def _redis(url: str) -> redis.Redis:
    """A client that asks once: a request does not wait for a Redis that comes back."""
    return redis.Redis.from_url(
        url, protocol=2, socket_timeout=REDIS_S, socket_connect_timeout=REDIS_S, retry=Retry(NoBackoff(), 0)
    )


def _bound(engine: Engine, **parameters: str) -> None:
    """Set PostgreSQL's parameters in each new session of `engine`."""

    def apply(connection: Any, _record: object) -> None:
        connection.autocommit = True  # what a transaction sets goes with its rollback
        for name, value in parameters.items():
            connection.execute(f"set {name} = '{value}'")
        connection.autocommit = False

    event.listen(engine, "connect", apply)
