"""A shop behind its HTTP door: a secret key, workers that work when they are told to, and a look into the tables.

shop    the application on real servers; `shop.create()`, `shop.pay()` … are its Server API in words
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import issue
from api.resources import open_doors
from events.envelope import Envelope
from journal.append import append
from journal.drain import Drain
from journal.relay import undecided
from journal.streams import Streams
from journal.verify import verify
from settings.environment import read
from storage import keys

SECRET = "a-secret-of-more-than-32-characters"
SNAPSHOT = {"name": "John Doe", "email": "john@example.com"}
ADDRESS = {"recipientName": "John Doe", "address1": "123 Main St", "postalCode": "06123"}
_numbers = itertools.count(1)


class Shop:
    """One application; each test has its own."""

    def __init__(self, database_url: str, redis_url: str, **environment: str) -> None:
        urls = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "ORDERS_TOKEN_SECRET": SECRET}
        doors = open_doors(read({**urls, **environment}, Path("/nonexistent")))
        # No doorbell: the workers work when a test tells them to.
        self.doors = replace(doors, streams=Streams(doors.streams.client, doors.shop.shards, lambda shard: None))
        self.app = create_app(self.doors)
        self.client = TestClient(self.app, raise_server_exceptions=False)
        self.client.__enter__()
        self.secret = {"Authorization": f"Bearer {self.key('secret')}"}

    def key(self, kind: keys.Kind) -> str:
        with self.doors.engine.begin() as conn:
            return keys.add(conn, kind, None, "test", datetime.now(UTC))[0]

    def customer(self, name: str) -> dict[str, str]:
        """The headers of a customer."""
        token, _ = issue(name, SECRET, datetime.now(UTC), timedelta(hours=1))
        return {"Authorization": f"Bearer {self.key('publishable')}", "X-Customer-Token": token}

    # -- requests

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **more: str) -> Any:
        """An answer; `more` are headers."""
        told = {**(self.secret if headers is None else headers), **{n.replace("_", "-"): v for n, v in more.items()}}
        return self.client.request(method, path, json=body, headers=told) if body is not None else (
            self.client.request(method, path, headers=told))  # fmt: skip

    def ok(self, *request: Any, **more: Any) -> Any:
        """The body of an answer that something was done."""
        answer = self.call(*request, **more)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def refused(self, status: int, *request: Any, **more: Any) -> Any:
        """The error of an answer that nothing was done; and nothing was."""
        before = self.written()
        answer = self.call(*request, **more)
        assert answer.status_code == status, answer.text
        assert self.written() == before
        (error,) = answer.json()["errors"]
        return error

    def written(self) -> list[Any]:
        """The row counts of the tables that a write may touch, in one statement: hundreds of tests ask twice."""
        tables = "journal results duplicates parked dead_letters orders effects answers carts cart_items personal"
        counts = ", ".join(f"(select count(*) from {table})" for table in tables.split())
        return list(self.do(f"select {counts}")[0])

    def body(self, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
        """A new order of two mugs, unless a test says otherwise; its total adds up unless it is given."""
        number = f"N{next(_numbers)}"
        lines = lines or ({"product": "mug", "quantity": 2, "unitPrice": 5000},)
        return {
            "orderNumber": number,
            "customerSnapshot": SNAPSHOT,
            "shippingAddress": ADDRESS,
            "orderProducts": list(lines),
            "totalAmount": sum(line["quantity"] * line["unitPrice"] for line in lines),
            "paymentId": f"pay-{number}",
            **more,
        }

    def create(self, *lines: dict[str, Any], **more: Any) -> Any:
        """A new order, by one call."""
        return self.ok("POST", "/api/orders", self.body(*lines, **more))["doc"]

    def pay(self, order: Any) -> None:
        """The order is paid, and the workers have planned its fulfillment."""
        number = order["orderNumber"]
        self.ok("POST", "/api/transactions/update", {"paymentId": f"pay-{number}", "status": "paid"})
        self.work()

    def paid(self, *lines: dict[str, Any], **more: Any) -> Any:
        order = self.create(*lines, **more)
        self.pay(order)
        return self.order(order)

    def delivered(self, *lines: dict[str, Any], **more: Any) -> Any:
        order = self.paid(*lines, **more)
        self.ok("PATCH", f"/api/orders/{order['id']}", {"status": "delivered"})
        return self.order(order)

    def order(self, order: Any) -> Any:
        """The order as it stands, with all that hangs on it."""
        from domain.ids import uuid_of
        from queries.repository import document

        with self.doors.reader.connect() as conn:
            found = document(conn, "orders", uuid_of(order["id"]) or "", depth=1)
        assert found is not None
        return found

    def status(self, order: Any) -> str:
        return str(self.order(order)["status"])

    # -- what goes on behind

    def work(self) -> None:
        """Decide all that was accepted; it comes into the streams a moment after its answer."""
        drain = Drain(self.doors.engine, self.doors.streams, self.doors.settings.policy, self.doors.shop)
        until = monotonic() + 10
        while self._undecided():
            assert monotonic() < until, "accepted events were not published"
            drain.answer(0)

    def _undecided(self) -> int:
        with self.doors.engine.connect() as conn:
            return undecided(conn)

    def tell(self, *envelopes: Envelope) -> None:
        """Events from elsewhere, decided."""
        with self.doors.engine.begin() as conn:
            appended = append(conn, envelopes, self.doors.shop.shards)
        self.doors.streams.publish(appended.new)
        self.work()

    def do(self, sql: str, **values: Any) -> Sequence[Any]:
        with self.doors.engine.begin() as conn:
            found = conn.execute(text(sql), values)
            return found.all() if found.returns_rows else []

    def one(self, sql: str, **values: Any) -> Any:
        return self.do(sql, **values)[0][0]

    def at_once(self, work: Callable[[int], Any], times: int) -> list[Any]:
        """The results of `work`, done by so many threads at one instant."""
        start = Barrier(times, timeout=30)

        def run(number: int) -> Any:
            start.wait()
            return work(number)

        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(run, range(times)))

    def close(self) -> None:
        """Whatever happened, the journal tells the same state (promise 6)."""
        differences = verify(self.doors.engine).differences
        self.client.__exit__(None, None, None)
        assert differences == []


@pytest.fixture
def open_shop(database_url: str, redis_url: str) -> Iterator[Callable[..., Shop]]:
    """Opens shops with settings of the test's own."""
    opened: list[Shop] = []

    def start(**environment: str) -> Shop:
        opened.append(Shop(database_url, redis_url, **environment))
        return opened[-1]

    yield start
    for shop in opened:
        shop.close()


@pytest.fixture
def shop(open_shop: Callable[..., Shop]) -> Shop:
    """A shop with the default settings."""
    return open_shop()
