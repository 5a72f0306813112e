"""Connections to PostgreSQL: pooled engines that give up what is dead, with what the drain's plans need pinned.

A host that is cut off, a firewall that forgets a connection and a process that is frozen in a transaction say nothing.
So both ends ask by themselves (TCP keepalives, `tcp_user_timeout`), and the server ends a session that idles in a
transaction: its locks go with it. Seconds, where PostgreSQL's and Linux' own defaults are hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from select import POLLIN, poll
from typing import Any

import orjson
import psycopg
from psycopg.types.json import set_json_loads
from psycopg.types.string import TextLoader
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError

from storage import clock

# Plans made while tables are small or not analyzed scan them whole, and stay: +20 % events/s without. And what
# is planned once is not planned anew for a batch of one.
PINNED = (
    "-c timezone=UTC -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off "
    "-c plan_cache_mode=force_generic_plan"
)

_FREELY = text(
    "select set_config('enable_seqscan', 'on', true), set_config('enable_hashjoin', 'on', true), "
    "set_config('enable_mergejoin', 'on', true)"
)

# Statements of theirs are few and long: each is prepared when it comes the second time, not the fifth.
_PREPARED_AT = 1

# A peer that is silent for so long is asked, so often, and given up; and so is one that acknowledges nothing that was
# sent. Together a dead connection is left after 5 + 3 × 3 = 14 seconds, by the client and by the server.
_IDLE_S, _INTERVAL_S, _PROBES, _UNANSWERED_MS = 5, 3, 3, 14_000
_CLIENT: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": _IDLE_S,
    "keepalives_interval": _INTERVAL_S,
    "keepalives_count": _PROBES,
    "tcp_user_timeout": _UNANSWERED_MS,
    "connect_timeout": 10,
}
_SERVER = {
    "tcp_keepalives_idle": str(_IDLE_S),
    "tcp_keepalives_interval": str(_INTERVAL_S),
    "tcp_keepalives_count": str(_PROBES),
    "tcp_user_timeout": str(_UNANSWERED_MS),
}
# What a session may take. A person's command may wait and compute for long, and stop at a prompt; it holds no lock then.
TOOL = {"idle_in_transaction_session_timeout": "60s", "lock_timeout": "30s"}
# A worker's batches are short: one that says nothing for so long in a transaction is frozen.
WORKER = {"idle_in_transaction_session_timeout": "10s", "lock_timeout": "5s", "statement_timeout": "60s"}


def connect(
    database_url: str,
    *,
    pinned: bool = False,
    pool: int = 5,
    application: str = "orders",
    bounds: Mapping[str, str] = TOOL,
    process: str | None = None,
) -> Engine:
    """An engine on `database_url` (postgresql://…); ids come as text, times are UTC.

    `pinned` is for statements that touch rows by key only (the drain, the relay): it keeps
    PostgreSQL from planning sequential scans over tables that were small once. `bounds`: parameters of each session
    that bound what it may take (`TOOL`, `WORKER`); what the URL's own `options` set stands before them. `process` is the
    name of a process that lives long: how far its host's clock is off is recorded under it, so the schema must be there.
    """
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    parameters = "".join(f" -c {name}={value}" for name, value in {**_SERVER, **bounds}.items())
    options = f"{PINNED if pinned else '-c timezone=UTC'}{parameters}"
    if own := url.query.get("options"):
        options = f"{options} {own if isinstance(own, str) else ' '.join(own)}"
    engine = create_engine(
        url,
        pool_size=pool,
        use_native_hstore=False,  # there is none, and each engine would ask for it
        hide_parameters=True,  # errors are logged, and what is bound may be a customer's name
        max_overflow=pool,
        connect_args={
            **_CLIENT,
            "options": options,
            "application_name": application,
            **({"prepare_threshold": _PREPARED_AT} if pinned else {}),
        },
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "checkout", _refuse_the_dead)
    clock.follow(engine, process)
    return engine


def plan_freely(conn: Connection) -> None:
    """Let the rest of a transaction be planned for many rows at once: by keys alone it would go through each table per row."""
    conn.execute(_FREELY)


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
