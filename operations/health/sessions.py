"""PostgreSQL's sessions: how many are left, who holds rows that others need, the oldest database transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, text

from operations.health.check import OK, PROBLEM, WARNING, Check, Look, Place, ago, some

WAITED_S = 2  # somebody waits for a lock that long: a problem
HELD_S = 15  # rows of ours in one database transaction: none of our processes does that
OLD_S, STUCK_S = 60, 900  # the oldest database transaction: a warning, a problem
FEW, SCARCE = 10, 4  # connections left: a warning, a problem
SHOWN = 3
QUERY = 60  # characters of a query that are shown

# The smallest of three limits, and what is taken of it. A superuser is bound by the server's alone.
_CONNECTIONS = text("""
    with sessions as (
        select datname, usename, application_name from pg_stat_activity where usesysid is not null
          and coalesce(backend_type, 'client backend') = 'client backend' and pid <> pg_backend_pid()
          and coalesce(application_name, '') <> 'orders doctor'
    ), me as (select rolname, rolsuper, rolconnlimit from pg_roles where rolname = current_user)
    select what, name, most, taken from (
        select 'server' as what, 'max_connections' as name, current_setting('max_connections')::int
            - case when rolsuper then 0 else current_setting('superuser_reserved_connections')::int
              + coalesce(current_setting('reserved_connections', true)::int, 0) end as most,
            (select count(*) from sessions) as taken from me
        union all
        select 'role', rolname, rolconnlimit, (select count(*) from sessions where usename = rolname) from me
        where rolconnlimit >= 0 and not rolsuper
        union all
        select 'database', d.datname, datconnlimit, (select count(*) from sessions s where s.datname = d.datname)
        from pg_database d, me where d.datname = current_database() and datconnlimit >= 0 and not rolsuper
    ) limits order by most - taken limit 1
""")
_HOLDERS = text("""
    select coalesce(nullif(application_name, ''), 'without a name') as name, count(*) as n from pg_stat_activity
    where usesysid is not null and application_name <> 'orders doctor' group by 1 order by 2 desc, 1 limit 6
""")
_RAISE = {
    "server": "raise max_connections (`alter system set max_connections = N`, then restart PostgreSQL)",
    "role": "`alter role {name} connection limit N` with a larger N",
    "database": "`alter database {name} connection limit N` with a larger N",
}

# Sessions that wait for nobody themselves, and whom others wait for, or that hold rows of our tables for long. Who only
# reads holds no such lock.
_LOCKS = text("""
    with blockers as (
        select blocker as pid, count(*) as waiting,
               max(extract(epoch from clock_timestamp() - coalesce(l.waitstart, w.query_start))) as waited,
               array_agg(distinct coalesce(nullif(w.application_name, ''), 'a session without a name')) as who
        from pg_stat_activity w join pg_locks l on l.pid = w.pid and not l.granted
        cross join lateral unnest(pg_blocking_pids(w.pid)) as blocker
        where w.datname = current_database() and w.wait_event_type = 'Lock' group by 1
    ), holders as (
        select l.pid, array_agg(distinct cast(c.relname as text)) as tables
        from pg_locks l join pg_class c on c.oid = l.relation
        where l.locktype = 'relation' and l.granted and c.relkind in ('r', 'p')
          and l.database = (select oid from pg_database where datname = current_database())
          and c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('journal'))
          and l.mode in ('RowShareLock', 'RowExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                         'AccessExclusiveLock')
        group by 1
    )
    select pid, a.application_name as name, host(a.client_addr) as address, a.state, a.query,
           extract(epoch from clock_timestamp() - a.xact_start) as age, b.waiting, b.waited, b.who, h.tables
    from blockers b full join holders h using (pid) left join pg_stat_activity a using (pid)
    where pid <> pg_backend_pid() and a.wait_event_type is distinct from 'Lock'
      and coalesce(a.backend_type, 'client backend') = 'client backend'
      and (b.waited >= :waited or extract(epoch from clock_timestamp() - a.xact_start) >= :held)
    order by b.waited desc nulls last, age desc
""")
_OLDEST = text("""
    select pid, application_name as name, host(client_addr) as address, state, query,
           extract(epoch from clock_timestamp() - xact_start) as age
    from pg_stat_activity where xact_start is not null and backend_type = 'client backend' and pid <> pg_backend_pid()
      and datname = current_database() and application_name <> 'orders doctor'
    order by xact_start limit 1
""")
_PREPARED = text("""
    select gid, extract(epoch from clock_timestamp() - prepared) as age from pg_prepared_xacts
    where database = current_database() order by prepared limit 1
""")


def connections(conn: Connection, place: Place) -> Iterator[Check]:
    """The check of connections: how many are left, and who holds the others."""
    what, name, most, taken = conn.execute(_CONNECTIONS).one()
    left = most - taken
    if left > FEW:
        yield Check("connections", OK, f"{taken:,} of {most:,} taken")
        return
    holders = ", ".join(f"{row.n} by {row.name}" for row in conn.execute(_HOLDERS))
    whose = name if what == "server" else f"{what} {name}"
    says = f"{taken:,} of {most:,} taken ({whose}): {holders}"
    remedy = f"end processes that are not needed, or {_RAISE[what].format(name=name)}"
    yield Check("connections", PROBLEM if left <= SCARCE else WARNING, says, remedy)


def locks(conn: Connection, place: Place) -> Iterator[Check]:
    """The check of sessions that hold rows or tables that our processes need."""
    found = conn.execute(_LOCKS, {"waited": WAITED_S, "held": HELD_S}).all()
    for row in found[:SHOWN]:
        if row.pid == 0:
            says = f"a prepared database transaction blocks {_waiting(row)}"
            remedy = (
                "`select gid, prepared from pg_prepared_xacts`, then `commit prepared` or `rollback prepared` that one"
            )
            yield Check("locks", PROBLEM, says, remedy)
            continue
        tables = f" holds {', '.join(row.tables[:4])}" if row.tables else ""
        blocks = f"{' and' if tables else ''} blocks {_waiting(row)}" if row.waiting else ""
        says = f"{_session(row)}{tables or ''}{blocks}; its last statement: {_query(row)}"
        remedy = f"commit or roll back there; else `select pg_terminate_backend({row.pid})`"
        yield Check("locks", PROBLEM, says, remedy)
    if len(found) > SHOWN:
        yield Check(
            "locks", PROBLEM, f"{len(found) - SHOWN} more sessions do the same", "mend those first, and look again"
        )
    if not found:
        yield Check("locks", OK, "nobody holds ours for long")


def transactions(conn: Connection, place: Place) -> Iterator[Check]:
    """The oldest database transaction: what it saw cannot be tidied away, and its locks stay."""
    row = conn.execute(_OLDEST).one_or_none()
    prepared = conn.execute(_PREPARED).one_or_none()
    if prepared is not None and prepared.age >= OLD_S:
        gid = prepared.gid.replace("'", "''")
        says = f"{prepared.gid} is prepared since {ago(float(prepared.age))}, and keeps its locks"
        yield Check("database transactions", PROBLEM, says, f"`commit prepared '{gid}'` or `rollback prepared '{gid}'`")
    if row is None or row.age < OLD_S:
        says = "none is open" if row is None else f"the oldest is {ago(float(row.age))} old"
        if prepared is None or prepared.age < OLD_S:
            yield Check("database transactions", OK, says)
        return
    says = f"the oldest: {_session(row)}; its last statement: {_query(row)}"
    remedy = f"commit or roll back there; else `select pg_terminate_backend({row.pid})`"
    yield Check("database transactions", PROBLEM if row.age >= STUCK_S else WARNING, says, remedy)


LOOKS: tuple[Look, ...] = (
    (("locks",), locks),
    (("database transactions",), transactions),
    (("connections",), connections),
)


def _session(row: Row[Any]) -> str:
    whose = f"{row.name or 'without a name'}{f' at {row.address}' if row.address else ''}"
    if row.age is None:
        return f"session {row.pid} ({whose})"
    return f"session {row.pid} ({whose}, {row.state}, its database transaction {ago(float(row.age))} old)"


def _query(row: Row[Any]) -> str:
    query = " ".join((row.query or "unknown").split())
    return query if len(query) <= QUERY else f"{query[:QUERY]}…"


def _waiting(row: Row[Any]) -> str:
    return f"{some(row.waiting, 'session')} for {ago(float(row.waited or 0))} ({', '.join(row.who)})"
