"""Leases on a name: who alone does a duty, until when.

A session's advisory lock would go with its connection, and a host that is cut off keeps its connection for as long as
TCP likes. A lease ends by itself, by PostgreSQL's clock; whoever has one renews it while it works.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

_TAKE = text("""
    insert into leases (name, holder, until)
    values (:name, :holder, clock_timestamp() + make_interval(secs => :seconds))
    on conflict (name) do update set holder = excluded.holder, until = excluded.until
    where leases.holder = excluded.holder or leases.until < clock_timestamp()
    returning holder
""")
_END = text("delete from leases where name = :name and holder = :holder")


def take(conn: Connection, name: str, holder: str, seconds: float) -> bool:
    """Take or renew the lease called `name` for so many seconds; False where another holder has it.

    Errors: OperationalError where a frozen session is just renewing it, until the server ends that session.
    """
    return conn.execute(_TAKE, {"name": name, "holder": holder, "seconds": seconds}).scalar_one_or_none() is not None


def end(conn: Connection, name: str, holder: str) -> None:
    """Give the lease back, if `holder` has it still."""
    conn.execute(_END, {"name": name, "holder": holder})
