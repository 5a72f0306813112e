"""Connections to PostgreSQL: pooled engines, with what the drain's plans need pinned."""

from __future__ import annotations

from select import POLLIN, poll
from typing import Any

import orjson
import psycopg
from psycopg.types.json import set_json_loads
from psycopg.types.string import TextLoader
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError

from storage import clock

# Plans made while tables are small or not analyzed scan them whole, and stay: +20 % events/s without. And what
# is planned once is not planned anew for a batch of one.
PINNED = (
    "-c timezone=UTC -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off "
    "-c plan_cache_mode=force_generic_plan"
)


def connect(
    database_url: str,
    *,
    pinned: bool = False,
    pool: int = 5,
    application: str = "orders",
    process: str | None = None,
) -> Engine:
    """An engine on `database_url` (postgresql://…); ids come as text, times are UTC.

    `pinned` is for statements that touch rows by key only (the drain, the relay): it keeps
    PostgreSQL from planning sequential scans over tables that were small once. `process` is the name of a process
    that lives long: how far its host's clock is off is recorded under it, so the schema must be there.
    """
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    options = PINNED if pinned else "-c timezone=UTC"
    engine = create_engine(
        url,
        pool_size=pool,
        hide_parameters=True,  # errors are logged, and what is bound may be a customer's name
        max_overflow=pool,
        connect_args={"options": options, "application_name": application, "connect_timeout": 10},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "checkout", _refuse_the_dead)
    clock.follow(engine, process)
    return engine


def _prepare(connection: psycopg.Connection[Any], _record: object) -> None:
    connection.adapters.register_loader("uuid", TextLoader)
    set_json_loads(orjson.loads, connection)


def _refuse_the_dead(connection: psycopg.Connection[Any], _record: object, _proxy: object) -> None:
    """Have the pool made anew where a server has hung up: its goodbye lies in a connection that should be silent.

    So nobody asks the server whether it is there (SQLAlchemy's `pool_pre_ping` does, a round trip for each transaction).
    """
    if not connection.closed:
        waiting = poll()
        waiting.register(connection.fileno(), POLLIN)
        if not waiting.poll(0):
            return
    raise InvalidatePoolError
