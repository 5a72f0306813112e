"""The open resources of a process: the engine, the streams, the policy. The composition root of workers and tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine

from journal.batch import Shop
from journal.drain import Drain
from journal.policy_store import policy_id
from journal.streams import Ring, Streams, connect
from outbound.tracking.unwatched import Walk
from providers.registry import registry
from settings.environment import Settings, SettingsError
from storage import engine as engines
from storage.clock import clock
from storage.migrate import shards_fixed


@dataclass(frozen=True, slots=True)
class Parts:
    """Open connections and what was decided when they were opened."""

    settings: Settings
    engine: Engine
    streams: Streams
    shop: Shop
    walk: Walk  # for open parcels that nobody watches

    def drain(self) -> Drain:
        """The drain that answers doorbells here."""
        return Drain(self.engine, self.streams, self.settings.policy, self.shop)

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()
        self.streams.client.close()


def open_parts(
    settings: Settings,
    ring: Ring,
    *,
    pool: int = 5,
    bounds: Mapping[str, str] = engines.TOOL,
    process: str | None = None,
) -> Parts:
    """Open what `settings` name; both URLs must be known by now, and the schema must be there.

    `pool`: connections; `bounds`: what each of them may take; `process`: the name of one that lives long, such as
    "worker".
    """
    if settings.database_url is None or settings.redis_url is None:
        raise SettingsError("DATABASE_URL and REDIS_URL must be set here; `orders up` starts servers and sets both")
    engine = engines.connect(settings.database_url, pinned=True, pool=pool, bounds=bounds, process=process)
    with engine.begin() as conn:
        shards = shards_fixed(conn)
        policy = policy_id(conn, settings.policy)
    routes = registry().routes(settings.providers)
    shop = Shop(policy, shards, routes if registry().ready("tracks", settings.providers) else None)
    streams = Streams(connect(settings.redis_url), shards, ring)
    return Parts(settings, engine, streams, shop, Walk(routes, settings.tracking_retire_after, clock()))


@contextmanager
def parts(settings: Settings, ring: Ring) -> Iterator[Parts]:
    """`open_parts`, closed at the end."""
    opened = open_parts(settings, ring)
    try:
        yield opened
    finally:
        opened.close()
