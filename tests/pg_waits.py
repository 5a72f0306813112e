"""Waiting until somebody waits."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

_BLOCKED = text(
    "select count(*) from pg_stat_activity, pg_sleep(0.002) "
    "where datname = current_database() and wait_event_type = 'Lock'"
)


def wait_until_blocked(conn: Connection, count: int = 1) -> None:
    """Until so many connections to this one's database wait for a lock."""
    for _ in range(5000):
        found = conn.execute(_BLOCKED).scalar_one()
        conn.rollback()  # one transaction would see the same sessions each time
        if found >= count:
            return
    pytest.fail("nobody waits for a lock")
