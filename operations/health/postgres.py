"""PostgreSQL itself: whether it answers, keeps what it took, and has our schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic, sleep

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from journal.refold import is_behind
from operations.health.check import ASKED_S, OK, PROBLEM, WARNING, Check, Place, first_line
from operations.health.reach import Door
from storage import engine as engines
from storage import migrate

SKEW_S, WRONG_S = 2, 60  # between this host's clock and the database's: a warning, a problem
LOCKED_S = 0.8  # a statement of a look waits no longer behind somebody's lock
FREE_S, AGAIN_S = 0.6, 0.2  # where no connection is free: so long, and between two tries
NAMES = ("PostgreSQL", "writes", "durability", "clock", "schema", "shards")
# What PostgreSQL says when it refuses a connection (libpq tells no SQLSTATE of these), and the cure.
_REFUSALS: tuple[tuple[str, str], ...] = (
    (r"password authentication failed|no password supplied|role .* does not exist", "correct user and password in DATABASE_URL"),
    (r'database "(?P<name>[^"]*)" does not exist', "create it (`createdb {name}`), then `orders migrate`; or correct DATABASE_URL"),
    (r"no pg_hba\.conf entry", "let this host in: a line for it in pg_hba.conf, then `select pg_reload_conf()`"),
    (r"starting up|in recovery mode|not yet accepting", "wait: it recovers, and says in its log how far it is"),
    (r"shutting down", "it is being stopped: start it again"),
    (r'too many connections for role "(?P<name>[^"]*)"', "`alter role {name} connection limit N` with a larger N, or end some of its processes"),
    (r'too many connections for database "(?P<name>[^"]*)"', "`alter database {name} connection limit N` with a larger N, or end some of its processes"),
    (
        r"too many clients|connection slots are reserved",
        "end some: `select application_name, count(*) from pg_stat_activity group by 1 order by 2 desc` tells whose they "
        "are; or raise max_connections (`alter system set max_connections = N`, then restart PostgreSQL)",
    ),
    (r"SSL|certificate", "correct sslmode and certificates in DATABASE_URL"),
)  # fmt: skip
_FULL = re.compile(r"too many (clients|connections)|connection slots are reserved")


def engine_of(place: Place, connections: int) -> Engine:
    """For the doctor's looks alone: at most so many connections, each statement bounded by ASKED_S."""
    return engines.connect(
        place.settings.database_url or "", pinned=True, pool=connections, application="orders doctor"
    )


def bound(conn: Connection) -> None:
    """Let no statement of this transaction wait longer than a look may, nor take more than one process of PostgreSQL."""
    conn.execute(
        text(
            "select set_config('statement_timeout', :asked, true), set_config('lock_timeout', :locked, true), "
            "set_config('max_parallel_workers_per_gather', '0', true)"
        ),
        {"asked": f"{ASKED_S * 1000:.0f}", "locked": f"{LOCKED_S * 1000:.0f}"},
    )


def look(engine: Engine, place: Place, door: Door) -> Iterator[Check]:
    """The lines NAMES; the first alone where nobody can be asked."""
    if (away := door.unreached()) is not None:
        yield Check("PostgreSQL", PROBLEM, f"does not answer: {away.says}", away.remedy)
        return
    try:
        with _connected(engine) as conn:
            bound(conn)
            yield _version(conn)
            yield _writes(conn)
            yield _durability(conn)
            yield _clock(conn)
    except SQLAlchemyError as error:
        yield refused(error)
        return
    yield from _schema(engine, place)


def refused(error: SQLAlchemyError) -> Check:
    """The reason why PostgreSQL lets nobody in, each cause with its own cure."""
    told = first_line(error)
    for pattern, remedy in _REFUSALS:
        if found := re.search(pattern, str(getattr(error, "orig", None) or error)):
            return Check("PostgreSQL", PROBLEM, f"refuses connections: {told}", remedy.format(**found.groupdict()))
    return Check("PostgreSQL", PROBLEM, f"does not answer: {told}", "see its log; start it, or correct DATABASE_URL")


def _connected(engine: Engine) -> Connection:
    """A connection; where all are taken, one that becomes free within FREE_S."""
    until = monotonic() + FREE_S
    while True:
        try:
            return engine.connect()
        except SQLAlchemyError as error:
            if monotonic() > until or not _FULL.search(str(error)):
                raise
        sleep(AGAIN_S)


def _version(conn: Connection) -> Check:
    number = int(conn.execute(text("show server_version_num")).scalar_one())
    version = conn.execute(text("show server_version")).scalar_one()
    if migrate.is_old(number):
        return Check("PostgreSQL", PROBLEM, f"version {version}", f"upgrade it to {migrate.OLDEST} or newer")
    return Check("PostgreSQL", OK, f"version {version}")


_READ_ONLY = text("""
    select pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on', current_database()
""")


def _writes(conn: Connection) -> Check:
    standby, read_only, database = conn.execute(_READ_ONLY).one()
    if standby:
        says = "it is a standby: nothing can be accepted"
        return Check(
            "writes", PROBLEM, says, "name the primary in DATABASE_URL, or promote this one: `select pg_promote()`"
        )
    if read_only:
        remedy = f"`alter database {database} reset default_transaction_read_only` (it may stand in postgresql.conf instead, or at the role)"
        return Check("writes", PROBLEM, "default_transaction_read_only is on: nothing can be accepted", remedy)
    return Check("writes", OK, "it takes them")


def _durability(conn: Connection) -> Check:
    values = {name: conn.execute(text(f"show {name}")).scalar_one() for name in ("fsync", "synchronous_commit")}
    if values["fsync"] == "off":
        return Check("durability", PROBLEM, "fsync is off: a crash loses what was accepted", "set fsync = on")
    if values["synchronous_commit"] == "off":
        says = "synchronous_commit is off: a crash loses what was accepted last"
        return Check("durability", PROBLEM, says, "set synchronous_commit = on")
    return Check("durability", OK, f"fsync on, synchronous_commit {values['synchronous_commit']}")


def _clock(conn: Connection) -> Check:
    asked = datetime.now(UTC)
    theirs = conn.execute(text("select clock_timestamp()")).scalar_one()
    skew = (asked + (datetime.now(UTC) - asked) / 2 - theirs).total_seconds()
    if abs(skew) < SKEW_S:
        return Check("clock", OK, f"within {SKEW_S} s of the database")
    says = f"this host is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the database"
    return Check("clock", PROBLEM if abs(skew) >= WRONG_S else WARNING, says, "set both clocks by NTP")


def _schema(engine: Engine, place: Place) -> Iterator[Check]:
    shards = place.settings.shards
    try:
        with engine.connect() as conn:
            bound(conn)
            waiting = migrate.missing(conn)
            bound(conn)
            if waiting:
                remedy = "restart `orders up`, which migrates" if place.embedded else "run `orders migrate`"
                yield Check("schema", PROBLEM, f"lacks {', '.join(waiting)}", remedy)
                return
            fixed = migrate.shards_fixed(conn)
            if is_behind(conn):
                remedy = (
                    "restart `orders up`"
                    if place.embedded
                    else "stop all workers, run `orders verify --refold`, start them"
                )
                yield Check("schema", PROBLEM, "orders may be as the rules of a release before made them", remedy)
                return
    except migrate.SchemaNewer as error:
        yield Check("schema", PROBLEM, first_line(error), "install the version that migrated it last")
        return
    except (migrate.StorageError, SQLAlchemyError) as error:
        yield Check(
            "schema", PROBLEM, f"could not be looked at: {first_line(error)}", "see the line `locks`; then look again"
        )
        return
    yield Check("schema", OK, "up to date")
    if fixed == shards:
        yield Check("shards", OK, f"{fixed}, as this database was made with")
    else:
        says = f"ORDERS_SHARDS={shards}, but this database was made with {fixed}"
        yield Check("shards", PROBLEM, says, f"set ORDERS_SHARDS={fixed} for every process")
