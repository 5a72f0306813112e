"""uvicorn's HTTP protocol with bounds: on head and body in bytes, count and time, and on connections.

Whoever needs no key to connect must not be able to fill the memory or hold the door: an endless header, a hundred
thousand of them, requests that are never finished, answers that are never read. Each process counts for itself. What is
refused is answered where HTTP allows it (408, 413, 431, 503), and the connection is closed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES = 32 << 10  # request line and headers together, trailers too
HEADERS = 100
HEAD_S = 10.0  # from the first byte, or from the connection, until the head is whole
BODY_S = 30.0  # from there until the body is whole
REST_BYTES = 2 << 20  # of a body that is sent on although it was answered already
ANSWER_S = 30.0  # a caller takes 64 KiB of an answer in so long, or hangs up
PIPELINED = 8  # requests that wait on one connection behind the one that is answered
CONNECTIONS = 1_000  # of a process; an idle one makes room for a new one
PER_ADDRESS = 100  # of them from one address, but for a proxy on this machine
PROXIES = frozenset(("127.0.0.1", "::1", ""))  # "" is a Unix socket

_SAYS = {
    400: "This is no HTTP request that is served here",
    408: "The request was not finished in time",
    413: "The body is too large",
    431: "The request's head is too large: at most 100 headers and 32 KiB together",
    503: "Too many connections; come back in a moment",
}


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Its bounds are the module's."""

    addresses: ClassVar[Counter[str]] = Counter()  # connections by the peer's address

    _address = ""
    _counted = False
    _refused = 0  # the status that this connection was refused with
    _upgrade = False  # a request asked for another protocol; what follows is no HTTP
    _silent = True  # nothing has come
    _head = True  # the head of a request is awaited, or being read
    _head_bytes = 0  # that came since the head began, whatever of it was parsed
    _parsed_bytes = 0  # of the request line, headers and trailers
    _rest_bytes = 0
    _deadline: asyncio.TimerHandle | None = None  # of the head, or of the body
    _reading: asyncio.TimerHandle | None = None  # of the answer's reader

    # -- connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless there are too many."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self.addresses[self._address] += 1
        self._counted = True
        crowded = self._address not in PROXIES and self.addresses[self._address] > PER_ADDRESS
        if crowded or (len(self.connections) > CONNECTIONS and not self._make_room()):
            self._refuse(503)
            return
        self._deadline = self.loop.call_later(HEAD_S, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, which has ended."""
        if self._counted:
            self._counted = False
            self.addresses[self._address] -= 1
            if self.addresses[self._address] <= 0:
                del self.addresses[self._address]
        self._rest()
        self._took()
        super().connection_lost(exc)

    def _make_room(self) -> bool:
        """Close a connection that stands idle between two requests, if there is one."""
        for other in self.connections:
            if isinstance(other, BoundedProtocol) and other.timeout_keep_alive_task is not None:
                other.timeout_keep_alive_handler()
                return True
        return False

    # -- reading

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless what comes is more than may come."""
        if self._refused or self._upgrade or self.transport.is_closing():
            return
        self._silent = False
        if self._head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431)  # what came is all head, and still not whole
        if self._deadline is None and self._idle():  # blank lines: uvicorn has stopped the clock of an idle connection
            self._deadline = self.loop.call_later(HEAD_S, self._late)

    def _idle(self) -> bool:
        """Whether nothing is under way on this connection, and no clock runs."""
        cycle: RequestResponseCycle | None = self.cycle
        return self.timeout_keep_alive_task is None and (cycle is None or cycle.response_complete)

    def on_message_begin(self) -> None:
        """Begin the next request."""
        super().on_message_begin()
        if self._deadline is None:  # else it runs since the connection was made
            self._deadline = self.loop.call_later(HEAD_S, self._late)
        self._parsed_bytes = 0
        self._rest_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Count the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count headers, and trailers."""
        self._count(len(name) + len(value) + 4)
        if len(self.headers) >= HEADERS:
            self._too_large()
        if self._head:  # a trailer is no header: it came after whoever reads those has begun
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, and the clock of its body."""
        self._head = False
        self._head_bytes = 0
        if len(self.pipeline) >= PIPELINED:
            self._refused = 503
            raise ValueError("too many pipelined requests")
        super().on_headers_complete()
        if self.parser.should_upgrade():  # to nothing that is spoken here: it is answered as it is, and that is all
            self._upgrade = True
            self.cycle.keep_alive = False
        self._rest()
        self._deadline = self.loop.call_later(BODY_S, self._late)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; what nobody reads any more is read for a while, so that its answer arrives."""
        if self.cycle.response_complete:
            self._rest_bytes += len(body)
            if self._rest_bytes > REST_BYTES:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock: the request is whole."""
        self._rest()
        self._head = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read, with the reason if it was ours."""
        self._answer(self._refused or 400)

    def _count(self, size: int) -> None:
        self._parsed_bytes += size
        if self._parsed_bytes > HEAD_BYTES:
            self._too_large()

    def _too_large(self) -> None:
        self._refused = 431
        raise ValueError("the head is too large")  # ends the parser, and with it the request

    # -- clocks

    def _late(self) -> None:
        """The head or the body was not whole in time."""
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._silent:  # opened beforehand: an answer would be taken for that of the request which comes next
            self.transport.close()
            return
        self._refuse(408)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def pause_writing(self) -> None:
        """The caller reads more slowly than we answer: give it ANSWER_S to catch up."""
        super().pause_writing()
        if self._reading is None:
            self._reading = self.loop.call_later(ANSWER_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The caller has caught up."""
        self._took()
        super().resume_writing()

    def _took(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    # -- refusals

    def _refuse(self, status: int) -> None:
        self._refused = status
        self._answer(status)

    def _answer(self, status: int) -> None:
        self._rest()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # whoever waits for the rest of it is told so, and answers nothing
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        text = b'{"errors":[{"message":"%s"}]}' % _SAYS[status].encode()
        again = b"retry-after: 2\r\n" if status == 503 else b""
        head: list[Any] = [
            STATUS_LINE[status],
            b"content-type: application/json\r\nconnection: close\r\n",
            again,
            b"content-length: %d\r\n\r\n" % len(text),
        ]
        self.transport.write(b"".join(head) + text)
        self.transport.close()
