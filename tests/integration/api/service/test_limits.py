"""The rate limit: a key's requests per minute, over all processes."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest
import redis

from api.errors import ApiError
from api.rate_limit import AWAY_S, Allowance, Limits
from journal.streams import connect
from storage.clock import epoch


@pytest.fixture
def client(redis_url):
    with connect(redis_url) as client:
        yield client


async def take(limits: Limits, times: int, key: str = "k") -> int:
    """The number that pass of so many at once."""
    told = await asyncio.gather(*(limits.take(key) for _ in range(times)), return_exceptions=True)
    assert all(isinstance(each, Allowance | ApiError) for each in told)
    return sum(isinstance(each, Allowance) for each in told)


@pytest.mark.parametrize("limit", [1, 7, 99, 1000])
def test_exactly_the_limit_passes_in_a_minute_and_again_in_the_next(client, limit):
    now = 600.0

    async def two_minutes() -> None:
        nonlocal now
        limits = Limits(client, limit, lambda: now)
        assert await take(limits, limit + 20) == limit
        assert await take(limits, 5) == 0
        now += 60
        assert await take(limits, limit + 20) == limit

    asyncio.run(two_minutes())


def test_processes_share_the_limit_and_waste_at_most_a_lease_each(client):
    processes = [Limits(client, 1000, lambda: 600.0) for _ in range(3)]
    passed = sum(asyncio.run(take(process, 700)) for process in processes)
    assert 1000 - 3 * 10 <= passed <= 1000


def test_keys_do_not_share(client):
    limits = Limits(client, 5, lambda: 600.0)
    assert (asyncio.run(take(limits, 6, "a")), asyncio.run(take(limits, 6, "b"))) == (5, 5)


def test_most_requests_ask_redis_nothing_and_nothing_stays_there(client, monkeypatch):
    limits = Limits(client, 6000, lambda: 600.0)
    asked: list[str] = []
    count = limits._count

    def counted(name: str) -> int:
        asked.append(name)
        return count(name)

    monkeypatch.setattr(limits, "_count", counted)
    assert asyncio.run(take(limits, 600)) == 600
    assert asked == ["orders:rate:k:10"] * 10
    assert 0 < client.ttl("orders:rate:k:10") <= 120


def test_one_request_waits_for_a_redis_that_hangs_and_the_others_pass(client, monkeypatch):
    now = 600.0
    limits = Limits(client, 100, lambda: now)
    asked: list[str] = []
    release = threading.Event()

    def hangs(name: str) -> int:
        asked.append(name)
        release.wait(10)
        raise redis.TimeoutError("no answer")

    monkeypatch.setattr(limits, "_count", hangs)

    async def a_second_later() -> None:
        nonlocal now
        first = asyncio.create_task(limits.take("k"))
        while not asked:
            await asyncio.sleep(0.001)
        release.set()
        assert await first is None
        release.clear()
        now += AWAY_S
        waits = asyncio.create_task(limits.take("k"))
        while len(asked) < 2:
            await asyncio.sleep(0.001)
        others = await asyncio.wait_for(asyncio.gather(*(limits.take("k") for _ in range(50))), 5)
        assert others == [None] * 50
        assert not waits.done()
        release.set()
        assert await waits is None

    asyncio.run(a_second_later())
    assert len(asked) == 2


def test_a_key_known_to_have_spent_its_minute_does_not_pass_while_redis_is_away(client, monkeypatch):
    now = 600.0
    limits = Limits(client, 5, lambda: now)
    assert asyncio.run(take(limits, 6, "spent")) == 5

    def is_away(name: str) -> int:
        raise redis.ConnectionError("connection refused")

    monkeypatch.setattr(limits, "_count", is_away)
    assert asyncio.run(limits.take("other")) is None
    with pytest.raises(ApiError) as refused:
        asyncio.run(limits.take("spent"))
    assert refused.value.status == 429
    assert asyncio.run(limits.take("other")) is None
    now += 60
    assert asyncio.run(limits.take("spent")) is None  # of the next minute nothing is known


def test_who_has_spent_it_is_told_how_long_to_wait(open_shell):
    shell = open_shell(ORDERS_RATE_LIMIT="3")
    headers = shell.headers("publishable")
    if (left := 60 - epoch() % 60) < 5:
        sleep(left)  # so that no minute ends meanwhile
    answers = [shell.client.get("/api/me", headers=headers) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
    refused = answers[-1]
    assert refused.headers["x-ratelimit-limit"] == "3"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["errors"][0]["name"] == "TooManyRequests"
    assert shell.client.get("/api/me", headers=shell.headers()).status_code == 200  # another key's is its own


def test_off_counts_nothing(open_shell):
    shell = open_shell(ORDERS_RATE_LIMIT="off")
    headers = shell.headers()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: shell.client.get("/api/me", headers=headers), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert "x-ratelimit-limit" not in answers[0].headers
    assert shell.doors.streams.client.keys("orders:rate:*") == []
