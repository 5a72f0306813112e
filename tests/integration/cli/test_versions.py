"""Servers that are too old are refused in a sentence, before anything is changed; the oldest that are good enough are taken."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from sqlalchemy import text

from journal.streams import OLDEST, is_old
from storage import migrate
from storage.engine import connect


class Answering:
    """A connection to a server of this version."""

    def __init__(self, number: str, name: str) -> None:
        self._answers = {"show server_version_num": number, "show server_version": name}

    def scalar(self, statement: Any) -> str:
        """The answer to a `show`."""
        return self._answers[str(statement)]


def test_a_postgresql_that_is_too_old_is_refused_by_its_own_answer():
    with pytest.raises(migrate.ServerTooOld, match=r"PostgreSQL 14\.22 .* needs 15 or newer; nothing was changed"):
        migrate.refuse_old(Answering("140022", "14.22 (Debian)"))  # type: ignore[arg-type]


def test_the_oldest_postgresql_that_was_tested_is_taken():
    migrate.refuse_old(Answering("150000", "15.0"))  # type: ignore[arg-type]


def test_nothing_is_migrated_on_a_postgresql_that_is_too_old(orders, monkeypatch, empty_database_url, redis_url):
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setattr(migrate, "OLDEST", 99)
    answer = orders("migrate")
    assert (answer.code, "needs 99 or newer" in answer.err) == (1, True), answer
    assert tables(empty_database_url) == 0


def test_nothing_is_migrated_beside_a_redis_that_is_too_old(orders, monkeypatch, empty_database_url, redis_url):
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setattr(redis.Redis, "info", lambda *_: {"redis_version": "6.2.14"})
    answer = orders("migrate")
    assert answer.code == 1
    assert " ".join(answer.err.split()).startswith(
        f"orders: REDIS_URL leads to Redis 6.2.14, and this needs {OLDEST} or newer"
    )
    assert tables(empty_database_url) == 0


def test_a_redis_that_is_away_does_not_keep_anybody_from_migrating(orders, monkeypatch, empty_database_url):
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert orders("migrate").code == 0
    assert tables(empty_database_url) > 20


@pytest.mark.parametrize(("version", "old"), [("6.2.14", True), ("7.0.0", False), ("7.2.4", False), ("10.0.1", False)])
def test_versions_of_redis_are_compared_as_numbers(version, old):
    assert is_old(version) is old


def tables(database_url: str) -> int:
    """The number of tables that a database has."""
    engine = connect(database_url)
    try:
        with engine.connect() as conn:
            return int(conn.scalar(text("select count(*) from pg_tables where schemaname = 'public'")))
    finally:
        engine.dispose()
