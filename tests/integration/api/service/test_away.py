"""A server that is away: PostgreSQL means 503 and another try, Redis means nothing to the caller."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from api import resources as opening
from api.rate_limit import AWAY_S
from api.responses import Json
from journal.batch import Clash
from journal.entries import Entry

ENTRY = Entry(1, "shop", "1", "OrderCreated", 1, datetime.now(UTC), "261101000001", 0, False, {})


def test_while_postgresql_is_away_callers_are_told_when_to_try_again(open_shell, wires, database_url):
    wire = wires(database_url)
    shell = open_shell(DATABASE_URL=wire.url)
    headers = shell.headers()
    wire.cut()
    answer = shell.client.get("/api/me", headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["errors"][0]["name"] == "Unavailable"
    ready = shell.client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    assert "127.0.0.1" not in ready.text
    assert ready.headers["retry-after"]
    assert shell.client.get("/health/live").status_code == 200
    wire.mend()
    assert shell.client.get("/api/me", headers=headers).status_code == 200
    assert shell.client.get("/health/ready").json()["status"] == "ok"


def test_a_row_that_is_locked_too_long_is_a_503(open_shell, monkeypatch, database_url):
    monkeypatch.setattr(opening, "LOCK_S", 0.2)
    shell, rival = open_shell(), open_shell()
    headers = shell.headers()
    with rival.doors.engine.begin() as conn:
        conn.execute(text("lock table api_keys in access exclusive mode"))
        assert shell.client.get("/api/me", headers=headers).status_code == 503
    assert shell.client.get("/api/me", headers=headers).status_code == 200


def test_reads_end_in_time_and_write_nothing(shell):
    with shell.doors.reader.connect() as conn:
        assert conn.execute(text("show statement_timeout")).scalar_one() == "10s"
        assert conn.execute(text("show transaction_read_only")).scalar_one() == "on"
        conn.rollback()
        assert conn.execute(text("show statement_timeout")).scalar_one() == "10s"
    with shell.doors.engine.connect() as conn:
        assert conn.execute(text("show lock_timeout")).scalar_one() == "5s"
        assert conn.execute(text("show enable_seqscan")).scalar_one() == "off"


def test_what_the_database_refuses_has_no_bound_value_in_it(shell):
    for engine in (shell.doors.engine, shell.doors.reader):
        with engine.connect() as conn, pytest.raises(Exception, match="division") as caught:
            conn.execute(text("select 1 / cast(:zero as int), cast(:name as text)"), {"zero": 0, "name": "Kim"})
        assert "Kim" not in str(caught.value)


@pytest.mark.parametrize(
    ("fails", "status"),
    [
        (lambda conn: conn.execute(text("select cast(:v as text)"), {"v": "a\0b"}), 400),
        (lambda conn: conn.execute(text("select cast(:v as smallint)"), {"v": "99999"}), 400),
        (lambda conn: conn.execute(text("set local statement_timeout = 20; select pg_sleep(5)")), 503),
        (lambda conn: conn.execute(text("select pg_terminate_backend(pg_backend_pid())")), 503),
        (lambda conn: conn.execute(text("select nothing")), 500),
        (lambda conn: (_ for _ in ()).throw(Clash("a rival")), 503),
    ],
)
def test_what_the_database_says_becomes_what_the_caller_can_do_about_it(shell, fails, status):
    def door() -> Json:
        with shell.doors.engine.connect() as conn:
            fails(conn)
        return Json({})

    shell.app.get("/fails")(door)
    answer = shell.client.get("/fails")
    assert answer.status_code == status, answer.text
    assert ("retry-after" in answer.headers) is (status == 503)
    assert set(answer.json()) == {"errors"}
    assert "select" not in answer.text


def test_more_requests_than_connections_wait_for_a_thread_and_none_is_refused(shell):
    def door() -> Json:
        with shell.doors.engine.connect() as write, shell.doors.reader.connect() as read:
            read.execute(text("select pg_sleep(0.05)"))
            write.execute(text("select 1"))
        return Json({})

    shell.app.get("/slow")(door)
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: shell.client.get("/slow").status_code, range(80)))
    assert set(answers) == {200}
    assert shell.doors.reader.pool.checkedout() == 0


def test_without_redis_requests_are_served_and_ready_says_degraded(open_shell, wires, redis_url, monkeypatch):
    wire = wires(redis_url)
    shell = open_shell(REDIS_URL=wire.url)
    headers = shell.headers()
    assert "x-ratelimit-limit" in shell.client.get("/api/me", headers=headers).headers
    limits = shell.app.state.limits
    limits._leases.clear()
    wire.cut()
    asked, moment, count = [], limits._now(), limits._count

    def counted(name):
        asked.append(name)
        return count(name)

    monkeypatch.setattr(limits, "_now", lambda: moment)
    monkeypatch.setattr(limits, "_count", counted)
    for _ in range(20):
        answer = shell.client.get("/api/me", headers=headers)
        assert answer.status_code == 200
        assert "x-ratelimit-limit" not in answer.headers
    assert len(asked) == 1, "a Redis that is away was asked again at once"
    ready = shell.client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    wire.mend()
    moment += AWAY_S
    assert "x-ratelimit-limit" in shell.client.get("/api/me", headers=headers).headers


def test_without_redis_publishing_neither_raises_nor_waits(open_shell, wires, redis_url, monkeypatch):
    wire = wires(redis_url)
    shell = open_shell(REDIS_URL=wire.url)
    wire.cut()
    waits: list[float] = []
    monkeypatch.setattr("redis.retry.sleep", waits.append)
    assert shell.doors.streams.publish([ENTRY]) is False
    assert waits == []
