"""Bulkheads: each kind of request has a share of the threads, so that none of them starves the others.

    webhooks   what providers send; they wait for the journaler's commit, and take no thread
    watching   the console's first page, which must be there when the others hang (api/console/now.py)
    reads      queries and other pages: a credential has HALF of them at most
    writes     the Server API: one order, payment, cart … has PER_TARGET of them at most, for they wait for its row

A request waits for its place for WAIT_S, then it is answered 503. One that was let in and has no answer after
ANSWER_S (PostgreSQL hangs, say) is answered 503 too; its place is free once its thread is. Readiness and liveness pass
by all of this (api/health.py).

A customer's token that was told to wait (429), and an address at an unsigned webhook's path, is told so again until its
time is up, before anything of what it asks is read: a stranger who goes on asking costs little.

Pure ASGI, behind the body's reader (api/body_middleware.py): who sends slowly holds no place.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import ceil

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ApiError, too_many, unavailable

READS, WRITES, WATCHING = 6, 6, 2  # requests that are served at once; each takes one thread at a time
HALF = 3  # of the reads, for one credential
PER_TARGET = 2
READING = ("GET", "HEAD", "OPTIONS")
QUEUE = 200  # requests of a kind that wait; more are turned away at once
WAIT_S = 5.0
ANSWER_S = 28.0  # longer than a write may wait for a row and take in its statement (api/resources.py)
REMEMBERED = 10_000  # tokens and addresses that were told to wait
BODY = "orders.body"  # in a scope: the whole body
WATCHED = ("/console", "/console/now", "/console/now/checks")
_NAMES = ("orderNumber", "order", "paymentId", "cartId", "cart")  # of what a write is about, in its body


class _Share:
    """So many places, and a queue of those who wait for one, first come first served."""

    def __init__(self, places: int) -> None:
        self.free = places
        self.waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, until: float) -> None:
        """Take a place; TimeoutError where none is free by then."""
        if self.free > 0 and not self.waiting:
            self.free -= 1
            return
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self.waiting.append(place)
        try:
            async with asyncio.timeout_at(until):
                await place
        except BaseException:
            if place.done() and not place.cancelled():  # it was handed over in the moment that we gave up
                self.leave()
            elif place in self.waiting:
                self.waiting.remove(place)
            raise

    def leave(self) -> None:
        """Give the place to who waits longest, else keep it free."""
        while self.waiting:
            place = self.waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.free += 1


@dataclass(slots=True)
class _Kind:
    share: _Share
    each: int  # places that one name may have
    queued: int = 0
    by_name: dict[Hashable, tuple[_Share, list[int]]] = field(default_factory=dict)  # its share, and who uses it

    @asynccontextmanager
    async def place(self, name: Hashable) -> AsyncIterator[None]:
        """A place for a request of this name; TimeoutError where there is none in time."""
        if self.queued >= QUEUE:
            raise TimeoutError
        until = asyncio.get_running_loop().time() + WAIT_S
        own, users = self.by_name.setdefault(name, (_Share(self.each), [0]))
        users[0] += 1
        self.queued += 1
        waits = True
        try:
            await own.take(until)
            try:
                await self.share.take(until)
                try:
                    self.queued -= 1
                    waits = False
                    yield
                finally:
                    self.share.leave()
            finally:
                own.leave()
        finally:
            self.queued -= waits
            users[0] -= 1
            if not users[0]:
                self.by_name.pop(name, None)


class _Waits:
    """Those who were told to wait, and until when: tokens by their headers, addresses with the path that they post to."""

    def __init__(self) -> None:
        self._until: dict[Hashable, float] = {}

    def note(self, name: Hashable, seconds: int | None) -> None:
        """An answer to this name told it to wait for so many seconds; None: it did not."""
        if name is not None and seconds is not None:
            if len(self._until) >= REMEMBERED:
                self._until.clear()
            self._until[name] = asyncio.get_running_loop().time() + seconds

    def left(self, name: Hashable) -> int:
        """Whole seconds that this name has to wait; 0 where it need not."""
        until = self._until.get(name)
        if until is None:
            return 0
        left = until - asyncio.get_running_loop().time()
        if left <= 0:
            del self._until[name]
        return max(0, ceil(left))


class Bulkheads:
    """Lets requests through, each kind by its share."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._reads = _Kind(_Share(READS), HALF)
        self._writes = _Kind(_Share(WRITES), PER_TARGET)
        self._watching = _Kind(_Share(WATCHING), WATCHING)
        self._waits = _Waits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, once there is a place for it."""
        if scope["type"] != "http" or scope["path"].startswith("/health"):
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, receive, send)
        late = asyncio.get_running_loop().call_later(ANSWER_S, answer.give_up)
        try:
            asker = _asker(scope)
            if wait_s := self._waits.left(asker):
                await answer.refuse(too_many(f"Too much was asked, as the answer before said; wait {wait_s} s", wait_s))
                return
            if scope["path"].startswith("/webhooks"):
                await self._app(scope, receive, answer.send)
                self._waits.note(asker, answer.retry_after)
                return
            kind, name = self._kind(scope)
            try:
                async with kind.place(name):
                    late.cancel()  # the wait is over; from here on counts what the request itself takes
                    late = asyncio.get_running_loop().call_later(ANSWER_S, answer.give_up)
                    await self._app(scope, receive, answer.send)
                self._waits.note(asker, answer.retry_after)
            except TimeoutError:
                await answer.refuse(unavailable("Too much is asked at once; send the same request again in a moment"))
        finally:
            late.cancel()

    def _kind(self, scope: Scope) -> tuple[_Kind, Hashable]:
        """The kind of a request, and the name that a share of it goes by."""
        if scope["method"] not in READING:
            return self._writes, _target(scope)
        return self._watching if scope["path"] in WATCHED else self._reads, _credential(scope)


class _Answer:
    """A request's answer: the application's, or ours where that does not come in time."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._begun = False
        self.retry_after: int | None = None  # seconds, where the application's answer was 429 and named them
        self._given_up: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> None:
        """The application's answer; it goes nowhere once it was given up."""
        if message["type"] == "http.response.start" and message["status"] == 429:
            told = dict(message["headers"]).get(b"retry-after", b"")
            self.retry_after = int(told) if told.isdigit() else None
        if self._given_up is None:
            self._begun = True
            await self._send(message)

    def give_up(self) -> None:
        """Answer 503, unless the answer is on its way. What the application does goes on."""
        if not self._begun:
            says = "No answer in time; if this was a write it may be done yet: send it again with its Idempotency-Key"
            self._given_up = asyncio.get_running_loop().create_task(self._refuse(unavailable(says)))

    async def refuse(self, error: ApiError) -> None:
        """Answer with a refusal, unless there is an answer."""
        if not self._begun and self._given_up is None:
            await self._refuse(error)

    async def _refuse(self, error: ApiError) -> None:
        await error.answer()(self._scope, self._receive, self._send)


def _asker(scope: Scope) -> Hashable:
    """The name that a 429 is remembered under: a webhook's address and path, a customer's token that reads; else None."""
    if scope["path"].startswith("/webhooks"):
        return (scope.get("client") or ("",))[0], scope["path"]
    credential = _credential(scope)
    return credential if scope["method"] in READING and credential[1] is not None else None


def _credential(scope: Scope) -> tuple[bytes | None, bytes | None]:
    """Who asks: the key, or the console's cookies, and the customer's token."""
    named = dict(each for each in scope["headers"] if each[0] in (b"authorization", b"cookie", b"x-customer-token"))
    return named.get(b"authorization") or named.get(b"cookie"), named.get(b"x-customer-token")


def _target(scope: Scope) -> Hashable:
    """What a write is about: what its body names first, else the id in its path, else nothing but itself."""
    try:
        body = orjson.loads(scope.get(BODY) or b"null")
    except orjson.JSONDecodeError:
        body = None  # the endpoint says so
    if isinstance(body, dict):
        for name in _NAMES:
            if isinstance(value := body.get(name), str):
                return name, value
    parts = scope["path"].strip("/").split("/")
    return (parts[1], parts[2]) if len(parts) > 2 else object()
