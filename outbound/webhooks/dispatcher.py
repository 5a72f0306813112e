"""The dispatcher: sends what is due, many at once, and never more than a share of them to one receiver.

It runs alone (a lease, renewed with each look), so that a receiver that hangs holds up one process and no
more. Should two run after all, leases keep them apart. Short transactions claim what goes out and record what came
back (`outbound.leases`); between them threads wait for receivers, and none of them holds a connection.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from time import monotonic
from typing import Protocol
from urllib.parse import urlsplit
from uuid import uuid4

import orjson
from sqlalchemy import Connection, Engine

from domain.ids import format_id
from outbound import backoff
from outbound.leases import Claimed, Round
from outbound.webhooks import deliveries, subscriptions
from outbound.webhooks.deliveries import LEASE, Claim, Result
from outbound.webhooks.subscriptions import Waiting
from queries.json_encoder import format_time
from storage import leases
from telemetry import traces
from telemetry.meters import CALLS

AT_ONCE = 64  # attempts side by side
A_RECEIVER = 16  # of them to one host: of receivers that take 100 ms, more than a hundred per second
A_FAILING = 2  # … whose last attempt failed
SLICE_S = 20.0  # then nothing more is claimed; the next chore goes on
LOOK_S = 1.0  # between two looks at what became due
DUTY = "webhooks"  # the lease of the one that runs
DUTY_S = 5.0  # of a dispatcher that says nothing; then another may, once the lease of its chore is over, too (6 s)

log = logging.getLogger(__name__)


class Reply(Protocol):
    """Outcome of one attempt; `error` is None where it was taken."""

    @property
    def status(self) -> int | None: ...
    @property
    def error(self) -> str | None: ...


class Sender(Protocol):
    """One that signs and posts, within ten seconds: three less than a lease."""

    def post(self, url: str, secrets: Sequence[str], webhook_id: str, body: bytes) -> Reply:
        """One attempt; what the network does is told in the reply."""
        ...


def run_due(engine: Engine, sender: Sender, now: datetime, slice_s: float = SLICE_S) -> int:
    """Send what is due, unless another dispatcher does; how many attempts were made.

    May be doubled or killed at any line: what was under way is sent again once its lease is over, under the same id.
    Errors: OperationalError when PostgreSQL is away, which means the same for what was under way.
    """
    run = uuid4().hex
    with engine.begin() as conn:
        if not leases.take(conn, DUTY, run, DUTY_S):
            return 0
    try:
        return dispatch(engine, sender, now, slice_s, lambda conn: leases.take(conn, DUTY, run, DUTY_S))
    finally:
        with engine.begin() as conn:
            leases.end(conn, DUTY, run)


def dispatch(
    engine: Engine,
    sender: Sender,
    now: datetime,
    slice_s: float = SLICE_S,
    renew: Callable[[Connection], bool] = lambda _conn: True,
) -> int:
    """`run_due`, also beside another, for as long as `renew` answers True."""
    return _Dispatcher(engine, sender, backoff.ticking(now), renew).run(slice_s)


class _Dispatcher:
    """One run: what is under way, and which subscriptions may have more to send."""

    def __init__(
        self, engine: Engine, sender: Sender, clock: Callable[[], datetime], renew: Callable[[Connection], bool]
    ) -> None:
        self._renew = renew
        self._alone = True
        self._engine = engine
        self._sender = sender
        self._clock = clock
        self._under_way: Counter[str] = Counter()  # attempts by the receiver's host
        self._known: dict[str, Waiting] = {}
        self._looking: set[str] = set()
        self._look_at = monotonic()

    def run(self, slice_s: float) -> int:
        """Claim and send until nothing is due, or the slice is over; how many attempts were made."""
        return Round(
            self._claim, self._attempt, self._settle, AT_ONCE, AT_ONCE, slice_s, LEASE.total_seconds(), at_once=True
        ).run()

    def _claim(self, free: int) -> Claimed[Claim, None]:
        """In one transaction: go on being the one that runs, look at what became due, and take of it."""
        look = monotonic() >= self._look_at
        if not self._alone or not (look or self._rooms(free)):
            return Claimed((), None, 0)
        with self._engine.begin() as conn:
            self._alone = self._renew(conn)
            if not self._alone:  # frozen for longer than the lease: another runs
                return Claimed((), None, 0)
            if look:
                self._known = {each.id: each for each in subscriptions.waiting(conn)}
                self._looking = set(self._known)
                self._look_at = monotonic() + LOOK_S
            claims: list[Claim] = []
            while not claims and (rooms := self._rooms(free)):  # those that have nothing give way to the others
                claims = deliveries.claim(conn, rooms, self._clock())
                found = Counter(claim.subscription_id for claim in claims)
                self._looking -= {name for name, room in rooms.items() if found[name] < room}
        self._under_way.update(_host(claim.url) for claim in claims)
        return Claimed(claims, None, len(claims))

    def _settle(self, _: None, ended: Sequence[tuple[Claim, Future[Result]]], late: Sequence[Claim]) -> None:
        """A taken delivery may have made the next of its order the first: its subscription is looked at again at once."""
        results = [job.result() for _, job in ended]
        self._under_way.subtract(_host(claim.url) for claim in (*(claim for claim, _ in ended), *late))
        with self._engine.begin() as conn:
            kept = deliveries.settle(conn, results)
            disabled = subscriptions.judge(conn, kept, self._clock())
        self._looking |= {result.claim.subscription_id for result in kept if result.error is None} & self._known.keys()
        if len(kept) < len(results):
            log.warning("%d webhooks ended after their lease: they are sent again", len(results) - len(kept))
        if late:
            log.warning("%d webhooks are without an end after their lease", len(late))
        for name, notice in disabled:
            log.warning("webhooks to %s are disabled: %s", format_id("subscriptions", name), notice)

    def _rooms(self, free: int) -> dict[str, int]:
        """How many of `free` each subscription that may have more can send; by chance, where there is not room for all."""
        busy = self._under_way.copy()
        rooms: dict[str, int] = {}
        names = [name for name in self._looking if name in self._known]
        random.shuffle(names)
        for name in names:
            each = self._known[name]
            host = _host(each.url)
            room = min((A_FAILING if each.failing else A_RECEIVER) - busy[host], free)
            if room > 0:
                rooms[name] = room
                busy[host] += room
                free -= room
        return rooms

    def _attempt(self, claim: Claim) -> Result:
        about: traces.Attributes = {
            "webhook_id": claim.webhook_id,
            "collection": claim.collection,
            "attempt": claim.attempts,
        }
        with traces.later("webhook delivery", claim.order_id or "", **about) as span:
            return self._deliver(claim, span)

    def _deliver(self, claim: Claim, span: traces.Span) -> Result:
        body = orjson.dumps(
            {
                "collection": claim.collection,
                "operation": claim.operation,
                "data": orjson.Fragment(claim.document),
                "timestamp": format_time(claim.at),
            }
        )
        try:
            reply = self._sender.post(claim.url, claim.secrets, claim.webhook_id, body)
            status, error = reply.status, reply.error
        except Exception as bug:  # one delivery that our own code fails on must not hold up the others
            log.exception("webhook %s: our own code failed", claim.webhook_id)
            status, error = None, f"our own code failed: {type(bug).__name__}"
        outcome = "taken" if error is None else str(status or "no answer")
        CALLS.add(1, "deliveries", "subscriber", outcome)
        span.ended(outcome, failed=error is not None)
        return Result(claim, status, error, self._clock(), random.random())


def _host(url: str) -> str:
    """Who answers there: subscriptions of one host share its room."""
    return urlsplit(url).netloc.lower()
