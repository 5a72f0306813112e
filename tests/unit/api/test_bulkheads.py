"""Shares of the threads: who is held up holds up none but its like."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from api import bulkheads
from api.bulkheads import BODY, HALF, PER_TARGET, READS, WRITES, Bulkheads


class Served:
    """An application whose requests last until they are let go, behind bulkheads."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.go = asyncio.Event()
        self.front = Bulkheads(self._app)

    async def _app(self, scope: Any, _receive: Any, send: Any) -> None:
        self.inside.append(scope["path"])
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def ask(self, path: str, method: str = "GET", key: bytes = b"k", **body: Any) -> asyncio.Task[int]:
        scope: dict[str, Any] = {"type": "http", "path": path, "method": method, "headers": [(b"authorization", key)]}
        scope[BODY] = orjson.dumps(body)

        async def run() -> int:
            status = 0

            async def send(message: Any) -> None:
                nonlocal status
                status = status or message["status"]

            await self.front(scope, None, send)  # type: ignore[arg-type]
            return status

        return asyncio.get_running_loop().create_task(run())

    async def settled(self) -> int:
        """The number of those inside, once nobody moves."""
        for _ in range(50):
            await asyncio.sleep(0)
        return len(self.inside)


def run(test: Any) -> None:
    async def within() -> None:
        await asyncio.wait_for(test(Served()), 30)

    asyncio.run(within())


def test_one_order_holds_a_few_places_and_others_go_on():
    async def test(served: Served) -> None:
        held = [served.ask("/api/orders/ord_1", "PATCH") for _ in range(18)]
        assert await served.settled() == PER_TARGET
        other = [served.ask("/api/returns", "POST", order=f"ord_{n}") for n in range(2, 30)]
        assert await served.settled() == WRITES
        served.go.set()
        assert set(await asyncio.gather(*held, *other)) == {200}
        assert not served.front._writes.by_name

    run(test)


def test_what_a_body_names_counts_as_what_it_is_about():
    async def test(served: Served) -> None:
        tasks = [served.ask("/api/transactions/update", "POST", paymentId="p", status="paid") for _ in range(5)]
        assert await served.settled() == PER_TARGET
        served.go.set()
        await asyncio.gather(*tasks)

    run(test)


def test_one_credential_holds_half_of_the_reads():
    async def test(served: Served) -> None:
        tasks = [served.ask("/api/orders", key=b"a") for _ in range(20)]
        assert await served.settled() == HALF
        tasks += [served.ask("/api/orders", key=b"b") for _ in range(20)]
        assert await served.settled() == READS
        tasks.append(served.ask("/health/ready"))
        tasks.append(served.ask("/webhooks/payments/stripe", "POST"))
        assert await served.settled() == READS + 2
        served.go.set()
        assert set(await asyncio.gather(*tasks)) == {200}

    run(test)


def test_who_waits_too_long_is_answered_503_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulkheads, "WAIT_S", 0.05)

    async def test(served: Served) -> None:
        held = [served.ask("/api/orders/ord_1", "PATCH") for _ in range(PER_TARGET)]
        await served.settled()
        assert await served.ask("/api/orders/ord_1", "PATCH") == 503
        served.go.set()
        assert set(await asyncio.gather(*held)) == {200}
        assert await served.ask("/api/orders/ord_1", "PATCH") == 200

    run(test)


def test_a_queue_that_is_full_turns_away_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulkheads, "QUEUE", 3)

    async def test(served: Served) -> None:
        tasks = [served.ask("/api/orders/ord_1", "PATCH") for _ in range(PER_TARGET + 3)]
        await served.settled()
        assert await served.ask("/api/orders/ord_2", "PATCH") == 503
        served.go.set()
        assert set(await asyncio.gather(*tasks)) == {200}

    run(test)


def test_what_hangs_is_answered_and_keeps_its_place_until_it_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulkheads, "ANSWER_S", 0.05)

    async def test(served: Served) -> None:
        hanging = served.ask("/api/orders/ord_1", "PATCH")
        await served.settled()
        await asyncio.sleep(0.1)
        assert served.front._writes.share.free == WRITES - 1
        served.go.set()
        assert await hanging == 503
        assert served.front._writes.share.free == WRITES

    run(test)


@pytest.mark.parametrize(
    ("path", "token", "status", "told", "again"),
    [
        ("/api/orders", b"t", 429, b"7", 1),  # told to wait: nothing of it is read again
        ("/api/orders", b"t", 429, None, 2),
        ("/api/orders", b"t", 400, b"7", 2),
        ("/api/orders", None, 429, b"7", 2),  # a key's limit is its own, and says more (api/rate_limit.py)
        ("/webhooks/payments/toss", None, 429, b"7", 1),
        ("/webhooks/payments/toss", None, 401, b"7", 2),
    ],
)
def test_who_was_told_to_wait_is_not_read_until_then(monkeypatch, path, token, status, told, again):
    asked = []

    async def refuses(scope, _receive, send):
        asked.append(scope["path"])
        headers = [] if told is None else [(b"retry-after", told)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def test() -> None:
        front: Any = Bulkheads(refuses)
        started: list[Any] = []
        headers = [(b"authorization", b"k"), *([(b"x-customer-token", token)] if token else [])]
        scope = {"type": "http", "path": path, "method": "GET", "headers": headers, "client": ("10.0.0.1", 1)}

        async def send(message):
            if message["type"] == "http.response.start":
                started.append((message["status"], dict(message["headers"]).get(b"retry-after")))

        await front(scope, None, send)
        await front(scope, None, send)
        assert len(asked) == again
        assert started == [(status, told), (status, told)]
        await front({**scope, "client": ("10.0.0.2", 1), "headers": []}, None, send)
        assert len(asked) == again + 1, "others are read"
        clock = asyncio.get_running_loop().time
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock() + 7.5)
        await front(scope, None, send)
        assert len(asked) == again + 2

    asyncio.run(test())
