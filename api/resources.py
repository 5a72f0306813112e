"""The open resources of the API: opened once per process, handed to every request.

Endpoints run in threads, and each of them holds at most one connection of an engine at a time; the journaler of
webhooks holds one more, of `engine`. An engine keeps POOL of them open, and may open as many again. There is a thread
for whoever is let in (api/bulkheads.py), so nobody waits for a thread or a connection but at the bulkheads.
"""

from __future__ import annotations

from dataclasses import dataclass

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Engine
from starlette.requests import HTTPConnection

from api.bulkheads import READS, WATCHING, WRITES
from journal.batch import Shop
from journal.streams import Streams
from settings.environment import Settings
from storage import engine as engines
from workers.app import ring
from workers.resources import open_parts

THREADS = READS + WRITES + WATCHING + 4  # those that the bulkheads let in, and what passes by them
POOL = 10  # connections that an engine keeps; it may open as many again
READ_S = 10  # a query that takes longer is canceled, and answered with 503
LOCK_S, WRITE_S = 5, 20  # likewise a write that waits so long for a row, or takes so long in one statement
_IDLE = {"idle_in_transaction_session_timeout": "10s"}  # then this process is frozen, and its locks are others' to take
_READER = {**_IDLE, "statement_timeout": f"{READ_S}s", "default_transaction_read_only": "on"}
_WRITER = {**_IDLE, "statement_timeout": f"{WRITE_S}s", "lock_timeout": f"{LOCK_S}s"}
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
    parts = open_parts(settings, ring, pool=POOL, process="api", bounds=_WRITER)
    parts.streams.client.close()
    reader = engines.connect(settings.database_url or "", pool=POOL, application="orders api", bounds=_READER)
    streams = Streams(one_try(settings.redis_url or ""), parts.shop.shards, ring)
    return Doors(settings, parts.engine, reader, streams, parts.shop)


def one_try(url: str) -> redis.Redis:
    """A client that asks once: a request does not wait for a Redis that comes back."""
    return redis.Redis.from_url(
        url, protocol=2, socket_timeout=REDIS_S, socket_connect_timeout=REDIS_S, retry=Retry(NoBackoff(), 0)
    )
