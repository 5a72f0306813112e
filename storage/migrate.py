"""The schema, brought to this version of the code; and what is missing of it, or too much.

    ServerTooOld         PostgreSQL lacks what our SQL needs; nothing was changed
    SchemaError          the database and the code do not fit; nothing was changed
    ├── SchemaAbsent     it was never migrated
    └── SchemaNewer      a newer version of the code migrated it

Rivals wait for each other, so every process may call `upgrade` as it starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from time import sleep
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from events.errors import OrdersError
from storage.engine import connect

if TYPE_CHECKING:
    from alembic.config import Config

# The last of storage/migrations; a test holds it so. A database that stands here is asked without Alembic, whose import
# takes an eighth of the time in which a worker or a command is up.
NEWEST = "0033_refunds_for_person"
LOCK = 7_061_989_204_713  # any number; one bigint cannot meet the shards' locks, which are pairs
POLL_S = 0.05
OLDEST = 15  # the oldest major version of PostgreSQL that all tests were run on


class StorageError(OrdersError):
    """The database is not as this version needs it."""

    code = "storage"
    remedy = "Run `orders doctor`: it says what is wrong with the database."


class ServerTooOld(StorageError):
    """PostgreSQL is older than the least version that this needs."""

    code = "server_too_old"
    remedy = "Upgrade the server, or name a newer one (docs/reference/servers.md)."

    def __init__(self, found: str) -> None:
        super().__init__(
            f"DATABASE_URL leads to PostgreSQL {found}, and this needs {OLDEST} or newer; nothing was changed. "
            f"Upgrade that server, or name a newer one"
        )
        self.found = found


class SchemaError(StorageError):
    """The database and the code do not fit; nothing was changed."""

    code = "schema"
    remedy = "Run `orders migrate`, or install the version that the database was made with."


class SchemaAbsent(SchemaError):
    """Our tables are not there."""

    code = "schema_absent"
    remedy = "Run `orders migrate`."

    def __init__(self, database: str) -> None:
        super().__init__(f"database {database} holds no orders schema; run `orders migrate`")
        self.database = database


class SchemaNewer(SchemaError):
    """A newer version of the code was here."""

    code = "schema_newer"
    remedy = "Install the version that migrated it, or name another database in DATABASE_URL."

    def __init__(self, database: str, found: str, newest: str) -> None:
        super().__init__(
            f"database {database} stands at migration {found}, and the newest that this version "
            f"knows is {newest}; nothing was changed. Install the version that made {found}, "
            f"or name another database in DATABASE_URL"
        )
        self.database, self.found, self.newest = database, found, newest


def upgrade(database_url: str, shards: int) -> list[str]:
    """Run what is pending, each migration in its own transaction; return their names.

    `shards` counts at the first migration only, which fixes it for good: see `shards_fixed`.
    Errors: ServerTooOld, SchemaNewer. Any error of PostgreSQL undoes the migration it came from, none before it.
    """
    if shards < 1:
        raise ValueError(f"shards={shards} must be at least 1")
    with _connected(database_url) as conn:
        refuse_old(conn)
        _wait_alone(conn)
        waiting = missing(conn)
        if waiting:
            from alembic import command

            command.upgrade(config(conn, shards), "head")
        return waiting


def pending(database_url: str) -> list[str]:
    """Names of the migrations that `upgrade` would run, in their order. Errors: SchemaNewer."""
    with _connected(database_url) as conn:
        return missing(conn)


def missing(conn: Connection) -> list[str]:
    """`pending`, on a connection that is there; ends its database transaction. Errors: SchemaNewer."""
    found = _stands_at(conn)
    conn.commit()
    if found == NEWEST:
        return []
    known = revisions()
    if found and found not in known:
        raise SchemaNewer(conn.engine.url.database or "", found, NEWEST)
    return list(known[known.index(found) + 1 :] if found else known)


@cache
def revisions() -> tuple[str, ...]:
    """The migrations that this version knows, in their order."""
    from alembic.script import ScriptDirectory

    return tuple(script.revision for script in ScriptDirectory.from_config(config()).walk_revisions())[::-1]


def refuse_old(conn: Connection) -> None:
    """Raise ServerTooOld where PostgreSQL is older than OLDEST."""
    if is_old(int(conn.scalar(text("show server_version_num")) or 0)):
        raise ServerTooOld(str(conn.scalar(text("show server_version"))))


def is_old(server_version_num: int) -> bool:
    """True of a PostgreSQL older than OLDEST, by its `server_version_num` (150018 is 15.18)."""
    return server_version_num // 10_000 < OLDEST


def shards_fixed(conn: Connection) -> int:
    """The number of shards that the first migration fixed. Errors: SchemaAbsent."""
    if conn.scalar(text("select to_regclass('fixed')")) is None:
        raise SchemaAbsent(conn.engine.url.database or "")
    return int(conn.execute(text("select value from fixed where name = 'shards'")).scalar_one())


def config(conn: Connection | None = None, shards: int | None = None) -> Config:
    """Alembic's configuration, for its commands: `command.downgrade(config(conn), "base")`."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", "storage:migrations")
    if conn is not None:
        made.attributes["connection"] = conn
    if shards is not None:
        made.attributes["shards"] = shards
    return made


def _stands_at(conn: Connection) -> str | None:
    """The migration that the database stands at; None where nothing was migrated."""
    if conn.scalar(text("select to_regclass('alembic_version')")) is None:
        return None
    found: str | None = conn.scalar(text("select version_num from alembic_version"))
    return found


@contextmanager
def _connected(database_url: str) -> Iterator[Connection]:
    engine = connect(database_url, pool=1, application="orders migrate", bounds={})
    try:
        with engine.connect() as conn:
            yield conn
    finally:
        engine.dispose()  # ends the session, and with it the lock


def _wait_alone(conn: Connection) -> None:
    """Until no rival migrates this database.

    Asks again and again: one who waits inside PostgreSQL holds a snapshot, and `create index
    concurrently` in the migration that he waits for would wait for him.
    """
    while not conn.scalar(text("select pg_try_advisory_lock(:lock)"), {"lock": LOCK}):
        conn.commit()
        sleep(POLL_S)
    conn.commit()
