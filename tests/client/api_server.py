"""A shop as a client meets it: the API on a port, and a worker that answers doorbells at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue

import redis

from api.app import create_app
from api.resources import Doors, open_doors
from journal.drain import Drain
from journal.relay import undecided
from journal.streams import Streams, connect
from settings.environment import read
from storage import keys
from tests.api_server import served

SECRET = "a-secret-of-more-than-32-characters"
SETTLE_S = 20.0


@dataclass(frozen=True)
class Serving:
    """The address of the API, and keys for it."""

    url: str
    doors: Doors
    secret_key: str
    publishable_key: str

    def settle(self) -> None:
        """Wait until every event that was accepted is decided."""
        end = time.monotonic() + SETTLE_S
        while self._waiting():
            assert time.monotonic() < end, "the worker does not come to an end"
            time.sleep(0.01)

    def _waiting(self) -> int:
        with self.doors.engine.connect() as conn:
            return undecided(conn)


@contextmanager
def serving(database_url: str, redis_url: str) -> Iterator[Serving]:
    """The API over these servers, which stay the caller's; it ends with the block."""
    settings = read(
        {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "ORDERS_TOKEN_SECRET": SECRET}, Path("/nonexistent")
    )
    opened = open_doors(settings)
    bells: Queue[int | None] = Queue()
    doors = replace(opened, streams=Streams(opened.streams.client, opened.shop.shards, bells.put))
    with doors.engine.begin() as conn:
        now = datetime.now(UTC)
        secret, publishable = (keys.add(conn, kind, None, "test", now)[0] for kind in ("secret", "publishable"))
    worker = threading.Thread(target=_work, args=(doors, connect(redis_url), bells))
    with served(create_app(doors)) as url:
        worker.start()
        try:
            yield Serving(url, doors, secret, publishable)
        finally:
            bells.put(None)
            worker.join()


def _work(doors: Doors, client: redis.Redis, bells: Queue[int | None]) -> None:
    """A worker's own client: those of the API only publish."""
    with client:
        streams = Streams(client, doors.shop.shards, bells.put)
        drain = Drain(doors.engine, streams, doors.settings.policy, doors.shop)
        while (shard := bells.get()) is not None:
            drain.answer(shard)
