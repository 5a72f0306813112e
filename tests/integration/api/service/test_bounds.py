"""Strangers at the door: what they send is bounded in bytes, count and time, and others are served meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request

from api import bounded_protocol as bounds
from api.body_middleware import WholeBody
from api.bounded_protocol import HEADERS, PER_ADDRESS, BoundedProtocol
from tests.api_server import served

STRANGER = "127.0.0.2"  # no proxy of this machine


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A small application behind the bounds, whose clocks are short."""
    for name in ("HEAD_S", "BODY_S", "ANSWER_S"):
        monkeypatch.setattr(bounds, name, 0.5)
    app = FastAPI()
    app.add_middleware(WholeBody)

    @app.get("/live")
    async def live() -> str:
        return "ok"

    @app.get("/large")
    async def large() -> str:
        return "x" * 20_000_000

    @app.get("/headers")
    @app.post("/headers")
    async def headers(request: Request) -> list[str]:
        await request.body()
        return sorted(request.headers)

    @app.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    with served(app) as at:
        yield at
    assert not BoundedProtocol.addresses


@pytest.fixture
def connect(url: str) -> Iterator[object]:
    """`connect()`: a connection of a stranger's."""
    with ExitStack() as stack:

        def make(address: str = STRANGER) -> socket.socket:
            port = urlsplit(url).port or 0
            return stack.enter_context(
                closing(socket.create_connection(("127.0.0.1", port), 15, source_address=(address, 0)))
            )

        yield make


def send(to: socket.socket, *parts: bytes) -> None:
    """Send, whether or not somebody still listens."""
    try:
        for part in parts:
            to.sendall(part)
    except OSError:
        return


def answer(of: socket.socket) -> bytes:
    """All that is answered until the connection ends, however it ends."""
    found = b""
    try:
        while part := of.recv(65536):
            found += part
    except OSError:
        pass
    return found


def lives(url: str) -> bool:
    return httpx.get(f"{url}/live", trust_env=False, timeout=5).is_success


def test_an_endless_header(connect, url):
    one = connect()
    send(one, b"GET /live HTTP/1.1\r\nHost: x\r\nX-Long: ", *[b"a" * 65536] * 64)
    assert lives(url)
    assert answer(one)[:12] in (b"HTTP/1.1 431", b"")  # nothing: the reset was faster
    assert len(BoundedProtocol.addresses) <= 1


@pytest.mark.parametrize(
    "head",
    [
        b"GET /live HTTP/1.1\r\n" + b"X-A: b\r\n" * (HEADERS + 1) + b"\r\n",
        b"GET /live HTTP/1.1\r\nX-A: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"X-T: b\r\n" * 5000 + b"\r\n",
    ],
    ids=["many", "long", "path", "trailers"],
)
def test_a_head_that_is_too_large(connect, url, head):
    one = connect()
    send(one, head)
    assert answer(one).startswith(b"HTTP/1.1 431")
    assert lives(url)


@pytest.mark.parametrize(
    "start",
    [
        b"GET /live HTT",
        b"GET /live HTTP/1.1\r\nHost: x\r\n",
        b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n12345",
        b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
    ],
    ids=["line", "head", "length", "chunks"],
)
def test_a_request_that_is_never_finished(connect, url, start):
    one = connect()
    send(one, start)
    assert answer(one).startswith(b"HTTP/1.1 408")
    assert lives(url)


def test_a_connection_that_nothing_comes_on_is_closed_without_a_word(connect, url):
    """Callers that open connections beforehand would take a 408 for the answer to their first request."""
    assert answer(connect()) == b""
    assert lives(url)


def test_a_connection_that_serves_many_requests_has_no_clock_between_them(connect):
    one = connect()
    for _ in range(3):
        send(one, b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_body_that_goes_on_after_its_answer(connect, url):
    one = connect()
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    send(one, head, *[b"10000\r\n" + b"a" * 65536 + b"\r\n"] * 200)
    assert answer(one)[:12] in (b"HTTP/1.1 413", b"")
    assert lives(url)


def test_an_answer_that_nobody_reads(connect, url):
    one = connect()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    send(one, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    assert lives(url)
    until_alone(url)


def until_alone(url: str) -> None:
    """Until the stranger's connections are gone."""
    for _ in range(200):
        if not BoundedProtocol.addresses[STRANGER]:
            return
        assert lives(url)
    pytest.fail("the connection stays")


def test_one_address_has_so_many_connections_and_others_come_in(connect, url):
    many = [connect() for _ in range(PER_ADDRESS + 20)]
    refused = answer(many[-1])
    assert refused.startswith(b"HTTP/1.1 503")
    assert b"retry-after" in refused
    assert lives(url)


def test_an_idle_connection_makes_room_for_a_new_one(connect, url, monkeypatch):
    monkeypatch.setattr(bounds, "CONNECTIONS", 3)
    idle = [connect() for _ in range(3)]
    for one in idle:
        send(one, b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one.recv(65536).startswith(b"HTTP/1.1 200")
    assert lives(url)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /live HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /live HTTP/1.1\r\nHo st: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["two lengths", "nul", "tls", "space", "http2"],
)
def test_what_is_no_http_is_refused_and_the_connection_closed(connect, url, request_):
    one = connect()
    send(one, request_)
    assert answer(one).startswith((b"HTTP/1.1 400", b"HTTP/1.1 408"))
    assert lives(url)


def test_many_requests_at_once_on_one_connection(connect, url):
    one = connect()
    send(one, b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
    answer(one)
    assert lives(url)


def test_blank_lines_between_requests_keep_no_connection(connect, url):
    one = connect()
    send(one, b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert one.recv(65536).startswith(b"HTTP/1.1 200")
    send(one, b"\r\n")
    assert answer(one)[:12] in (b"HTTP/1.1 408", b"")
    assert lives(url)


def test_a_trailer_is_no_header(connect):
    one = connect()
    head = b"POST /headers HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    send(one, head, b"1\r\na\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
    assert b"authorization" not in answer(one)


def test_a_request_to_speak_something_else_is_answered_and_ends(connect, url):
    one = connect()
    send(one, b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b"x" * 1000)
    assert answer(one).startswith(b"HTTP/1.1 200")
    assert lives(url)
