"""Retries of a call, against a server that answers what a test says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from order_lifecycle_client import (
    ApiError,
    Conflict,
    Forbidden,
    KeyReused,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    ValidationFailed,
    create_async_server_client,
    create_server_client,
)
from order_lifecycle_client._async import connection as async_connection
from order_lifecycle_client._sync import connection

KEY = "sk01_" + "x" * 28
HANG_UP, SILENCE = 0, -1  # instead of a status
TOKEN = b'{"token": "a.b.c", "expiresAt": "2026-11-01T00:00:00.000Z"}'
CART = b"""{"doc": {"id": "crt_1", "customer": null, "currency": "KRW", "order": null,
    "items": {"docs": [], "hasNextPage": false}, "createdAt": "2026-11-01T00:00:00.000Z",
    "updatedAt": "2026-11-01T00:00:00.000Z"}, "message": ""}"""


@dataclass
class Scripted:
    """A server: each request gets the next of `answers`, the last one again and again."""

    url: str = ""
    answers: list[Any] = field(default_factory=list)  # a status, or (status, headers, body)
    headers: list[dict[str, str]] = field(default_factory=list)  # of the requests that came
    lines: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def server() -> Iterator[Scripted]:
    found = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            found.lines.append(f"{self.command} {self.path}")
            found.bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))))
            found.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
            status, headers, body = answer if isinstance(answer, tuple) else (answer, {}, b"")
            if status == SILENCE:
                found.done.wait(20)
            if status <= 0:
                self.close_connection = True
                return
            with suppress(OSError):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.url = f"http://127.0.0.1:{listening.server_address[1]}"
    yield found
    found.done.set()
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that the client meant; it does not wait."""
    found: list[float] = []

    async def nap(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(connection, "sleep", found.append)
    monkeypatch.setattr(async_connection, "sleep", nap)
    return found


Create = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def create_cart(request: pytest.FixtureRequest, server: Scripted) -> Create:
    """One write by a client of either kind."""

    def blocking(idempotency_key: str | None = None, **options: Any) -> Any:
        with create_server_client(secret_key=KEY, base_url=server.url, **options) as client:
            return client.api.create_cart(idempotency_key=idempotency_key)

    async def awaited(idempotency_key: str | None = None, **options: Any) -> Any:
        async with create_async_server_client(secret_key=KEY, base_url=server.url, **options) as client:
            return await client.api.create_cart(idempotency_key=idempotency_key)

    return blocking if request.param == "sync" else lambda *a, **o: asyncio.run(awaited(*a, **o))


@pytest.mark.parametrize("first", [500, 502, 503, 504, 429, HANG_UP])
def test_what_may_pass_is_tried_again_with_one_idempotency_key(server, waits, create_cart, first):
    server.answers = [first, first, (201, {}, CART)]
    assert create_cart().id == "crt_1"
    keys = [headers["idempotency-key"] for headers in server.headers]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1
    create_cart()
    assert server.headers[-1]["idempotency-key"] != keys[0]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, ValidationFailed), (401, Unauthorized), (403, Forbidden), (404, NotFound), (409, Conflict),
     (422, KeyReused), (413, ApiError)],
)  # fmt: skip
def test_a_refusal_is_told_at_once(server, waits, create_cart, status, kind):
    body = b'{"errors": [{"message": "No", "name": "why", "data": {"status": "paid", "allowed": ["x"]}}]}'
    server.answers = [(status, {"X-Request-Id": "r1"}, body)]
    with pytest.raises(kind) as refused:
        create_cart()
    assert type(refused.value) is kind
    assert (refused.value.message, refused.value.name) == ("No", "why")
    assert (refused.value.status_code, refused.value.request_id) == (status, "r1")
    assert str(refused.value).startswith(f"No (HTTP {status}, request r1)")
    assert (len(server.lines), waits) == (1, [])


def test_the_wait_that_was_asked_for_is_kept(server, waits, create_cart):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.answers = [(503, {"Retry-After": "7"}, b""), (429, {"Retry-After": date}, b""), (201, {}, CART)]
    create_cart()
    assert 7 <= waits[0] <= 7.5
    assert 25 <= waits[1] <= 30.5


def test_a_wait_over_a_minute_is_the_callers(server, waits, create_cart):
    server.answers = [(429, {"Retry-After": "61"}, b"")]
    with pytest.raises(RateLimited) as refused:
        create_cart()
    assert refused.value.retry_after == 61
    assert (len(server.lines), waits) == (1, [])


def test_after_all_tries_the_error_holds_the_key_to_try_again_with(server, waits, create_cart):
    server.answers = [503]
    with pytest.raises(Unavailable) as failed:
        create_cart()
    assert len(server.lines) == 5
    assert all(wait <= 8 for wait in waits)
    assert failed.value.idempotency_key == server.headers[0]["idempotency-key"]
    server.answers = [(201, {}, CART)]
    create_cart(idempotency_key=failed.value.idempotency_key)
    assert server.headers[-1]["idempotency-key"] == failed.value.idempotency_key


def test_silence_is_no_answer(server, waits, create_cart):
    server.answers = [SILENCE]
    with pytest.raises(Unavailable, match="ReadTimeout") as failed:
        create_cart(timeout=0.2, retries=1)
    assert failed.value.status_code is None
    assert (len(server.lines), len(waits)) == (2, 1)


def test_nobody_there_is_no_answer(server, waits):
    client = create_server_client(secret_key=KEY, base_url="http://127.0.0.1:1", retries=2)
    with client, pytest.raises(Unavailable, match="ConnectError"):
        client.from_("orders").count()
    assert len(waits) == 2


def test_an_answer_of_somebody_else_says_so(server, waits, create_cart):
    server.answers = [(200, {}, b"<html>")]
    with pytest.raises(ApiError, match="base_url"):
        create_cart()
    server.answers = [(200, {}, b'{"doc": {"id": 7}}')]
    with pytest.raises(ApiError, match="fields"):
        create_cart()
    server.answers = [(307, {"Location": "https://elsewhere.example/api"}, b"")]
    with pytest.raises(ApiError, match=r"elsewhere\.example"):
        create_cart()
    assert waits == []


def test_reads_carry_no_key_and_writes_without_a_change_neither(server, waits):
    server.answers = [(200, {}, TOKEN)]
    with create_server_client(secret_key=KEY, base_url=server.url) as client:
        token = client.api.customer_token("c/1")
        assert token.token == "a.b.c"
        assert "a.b.c" not in repr(token)
        server.answers = [(200, {}, b'{"totalDocs": 3}')]
        assert client.from_("orders").count(where={"id": {"in": ["x" * 40] * 200}}) == 3
    assert all("idempotency-key" not in headers for headers in server.headers)
    assert server.lines[0] == "POST /api/customers/c%2F1/token"
    assert server.lines[-1] == "POST /api/orders/count"  # a query too long for an address
    assert server.headers[-1]["x-payload-http-method-override"] == "GET"
    assert server.bodies[-1].startswith(b"where=")
