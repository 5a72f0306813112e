"""A lean HTTP client, so that the caller's own time stays small beside the server's: keep-alive sockets, and
requests that are bytes. Answers must carry a Content-Length, as our API's do.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson
from standardwebhooks import Webhook

from bench.servers import BenchError

TIMEOUT_S = 30.0
WEBHOOK_SECRET = "whsec_dGhlIHNlY3JldCBvZiB0aGlzIHJ1biwgYW5kIG5vIG90aGVy"  # noqa: S105  of this run's servers alone


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def payment(event_id: str, payment_id: str, number: str, amount: int) -> bytes:
    """A signed PaymentSucceeded over `amount` won (Standard Webhooks), good for five minutes."""
    now = datetime.now(UTC)
    note = {
        "id": event_id, "source": "bench", "type": "PaymentSucceeded", "time": now.isoformat(), "subject": number,
        "data": {"paymentId": payment_id, "amount": str(amount), "currency": "KRW", "paymentMethod": "card"},
    }  # fmt: skip
    body = orjson.dumps(note)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(WEBHOOK_SECRET).sign(event_id, now, body.decode()),
    }
    return request("POST", "/webhooks/payments/standard", headers, body)


@dataclass(slots=True)
class Line:
    """One keep-alive connection, made by its first call, and how long calls took: name of a call → seconds each."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)
    took: dict[str, list[float]] = field(default_factory=dict)
    _socket: socket.socket | None = None

    def __enter__(self) -> Line:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._socket is not None:
            self._socket.close()

    def call(self, name: str, method: str, path: str, document: Any = None) -> tuple[int, Any]:
        """Send and wait: (status, the answer's document)."""
        body = b"" if document is None else orjson.dumps(document)
        return self.send(name, request(method, path, self.headers, body))

    def send(self, name: str, sent: bytes) -> tuple[int, Any]:
        """The same with a request that was made before. Errors: BenchError where the server hangs up."""
        if self._socket is None:  # the API closes what nothing comes on
            self._socket = connect(self.port)
        began = time.perf_counter()
        self._socket.sendall(sent)
        got = b""
        while (answer := parsed(got)) is None:
            more = self._socket.recv(1 << 18)
            if not more:
                raise BenchError(f"the API hung up on {name}; see its log")
            got += more
        self.took.setdefault(name, []).append(time.perf_counter() - began)
        status, body = answer
        return status, orjson.loads(body)


def storm(port: int, requests: Sequence[bytes], connections: int) -> dict[int, int]:
    """Send all `requests`, one after the other on each of so many connections: status → how many.

    Errors: BenchError where the server hangs up or is silent for TIMEOUT_S.
    """
    waiting = iter(requests)
    statuses: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        for _, sent in zip(range(connections), waiting, strict=False):
            opened = connect(port)
            opened.sendall(sent)
            selector.register(opened, selectors.EVENT_READ, bytearray())
        while selector.get_map():
            ready = selector.select(TIMEOUT_S)
            if not ready:
                raise BenchError(f"no answer within {TIMEOUT_S:.0f} s; see the server's log")
            for key, _ in ready:
                one, got = key.fileobj, key.data
                assert isinstance(one, socket.socket)  # noqa: S101  nothing else was registered
                more = one.recv(1 << 16)
                if not more:
                    raise BenchError("the server hung up; see its log")
                got += more
                if (answer := parsed(bytes(got))) is None:
                    continue
                statuses[answer[0]] = statuses.get(answer[0], 0) + 1
                got.clear()
                if (sent_next := next(waiting, None)) is not None:
                    one.sendall(sent_next)
                else:
                    selector.unregister(one)
                    one.close()
    return statuses


def parsed(got: bytes) -> tuple[int, bytes] | None:
    """Status and body of one answer; None while it is not whole."""
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = got[:end].lower()
    place = head.find(b"\r\ncontent-length:")
    if place < 0:
        raise BenchError(f"an answer without Content-Length: {got[:200]!r}")
    size = int(head[place + 17 :].partition(b"\r\n")[0])
    body = got[end + 4 :]
    return None if len(body) < size else (int(got[9:12]), body)


def connect(port: int) -> socket.socket:
    """A connection to this machine's `port`, that waits for nothing to fill its packets."""
    made = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
