"""A steady load through the product's own doors: open loop, from a seed, and every acknowledgement in the ledger.

append    lives of orders, five events at a time, journaled and published as every door does
create    POST /api/orders with an idempotency key
webhook   Stripe's signed webhook that the order was paid
health    GET /health/ready
read      GET of an order that was just made

An open loop asks at its own pace, whatever is answered; what was refused, or got no answer, is sent again in the next
turn of its kind, so that the rate stays the same and nothing that was begun is left out.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from random import Random
from time import monotonic, sleep
from typing import Any

import httpx

from api.publisher import Publisher
from bench import workload
from events.envelope import Envelope
from journal.append import append
from tests.faults.ledger import Ledger
from tests.webhooks import as_stripe, stripe_paid
from workers.resources import Parts

GROUP = 5  # events of one append
RATES = {"append": 24.0, "create": 8.0, "webhook": 8.0, "health": 8.0, "read": 8.0}  # per second
WRITERS = 8  # appends side by side
IN_FLIGHT = 200  # requests; beyond them a turn is left out, and counted
CONNECTIONS = 80  # from one address: the API takes a hundred
TIMEOUT_S = 10.0
ORDERS = 300  # lives told side by side
HOT_SHARE = 0.25  # of appends that bring an event of an order that a fault aims at
PRICE, QUANTITY = 5000, 2


def schedule(seed: int, rates: dict[str, float]) -> Iterator[tuple[float, str]]:
    """The moments of sending, in seconds from the start, for ever: each kind at its own even pace, from a phase by chance."""
    random = Random(seed)
    due = [(random.random() / rate, kind) for kind, rate in sorted(rates.items()) if rate]
    heapq.heapify(due)
    while due:
        at, kind = heapq.heappop(due)
        yield at, kind
        heapq.heappush(due, (at + 1 / rates[kind], kind))


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of one request; times are monotonic. Status 0: no answer."""

    name: str
    began: float
    ended: float
    status: int


@dataclass(slots=True)
class Load:
    """The load of one deployment, from `start` to `stop`."""

    url: str
    key: str
    source: str  # of events that the key causes
    stripe_secret: str
    parts: Parts
    seed: int
    ledger: Ledger
    scale: float = 1.0  # of RATES, where a machine has less to give
    answers: list[Answer] = field(default_factory=list)
    refused: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=10_000))  # when, what
    wrong: list[str] = field(default_factory=list)  # answers that no fault excuses
    hot: list[str] = field(default_factory=list)  # orders that a fault aims at
    hot_payment: str | None = None  # or the payment of one
    left_out: int = 0
    paused: threading.Event = field(default_factory=threading.Event)  # set: turns are left out, for as long
    _again: deque[list[Envelope]] = field(default_factory=deque)
    _created: deque[str] = field(default_factory=lambda: deque(maxlen=200))
    _to_create: deque[str] = field(default_factory=deque)
    _to_pay: deque[dict[str, Any]] = field(default_factory=deque)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True, name="load")
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(TIMEOUT_S + 5)

    def rest(self) -> None:
        """Leave turns out, and return once nothing is under way; `paused.clear()` ends it."""
        self.paused.set()
        until = monotonic() + TIMEOUT_S + 5
        while self._under_way and monotonic() < until:
            sleep(0.05)

    @property
    def rates(self) -> dict[str, float]:
        """Turns per second, by kind."""
        return {kind: rate * self.scale for kind, rate in RATES.items()}

    @property
    def events(self) -> float:
        """Events offered per second."""
        return GROUP * self.rates["append"] + self.rates["create"] + self.rates["webhook"]

    @property
    def under_way(self) -> int:
        """The number of requests and appends that have not ended."""
        return len(self._under_way)

    def latencies(self, begin: float, end: float) -> dict[str, list[float]]:
        """Milliseconds of the requests that began in a span, by kind; one without an answer took as long as it waited."""
        found: dict[str, list[float]] = {}
        for answer in list(self.answers):
            if begin <= answer.began < end:
                found.setdefault(answer.name, []).append(1000 * (answer.ended - answer.began))
        return found

    def statuses(self, begin: float, end: float) -> dict[str, int]:
        """The number of answers per status to requests that began in a span."""
        found: dict[str, int] = {}
        for answer in list(self.answers):
            if begin <= answer.began < end:
                found[str(answer.status)] = found.get(str(answer.status), 0) + 1
        return found

    # -- the thread

    async def _main(self) -> None:
        stream = self._lives()
        publisher = Publisher(self.parts.streams)
        random = Random(self.seed)
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=32)
        with ThreadPoolExecutor(WRITERS, "append") as writers:
            async with httpx.AsyncClient(
                base_url=self.url, timeout=TIMEOUT_S, trust_env=False, limits=limits
            ) as client:
                began = monotonic()
                for at, kind in schedule(self.seed, self.rates):
                    if (left := began + at - monotonic()) > 0:
                        await asyncio.sleep(left)
                    if self._stopping.is_set():
                        break
                    if self.paused.is_set():
                        continue
                    if len(self._under_way) >= IN_FLIGHT:
                        self.left_out += 1
                        continue
                    if kind == "append":
                        group = self._again.popleft() if self._again else self._heated(stream, random)
                        asked = asyncio.get_running_loop().run_in_executor(writers, self._append, group, publisher)
                        task = asyncio.ensure_future(_waited(asked))
                    else:
                        task = asyncio.ensure_future(self._request(client, kind))
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
                if self._under_way:
                    await asyncio.wait(self._under_way, timeout=TIMEOUT_S)
        publisher.stop()

    def _lives(self) -> Iterator[Envelope]:
        for wave in count():
            yield from workload.play(ORDERS, f"F{self.seed}x{wave}", seed=self.seed + wave, duplicates=0).deliveries

    def _heated(self, stream: Iterator[Envelope], random: Random) -> list[Envelope]:
        group = [next(stream) for _ in range(GROUP)]
        if self.hot and random.random() < HOT_SHARE:
            own_id, now = f"hot-{next(self._numbers)}", datetime.now(UTC)
            if self.hot_payment is not None:
                data = {"paymentId": self.hot_payment}
                group.append(Envelope(own_id, "payments", "PaymentFailed", now, None, data))
            else:
                group.append(
                    Envelope(own_id, "shop", "OrderConfirmed", now, random.choice(self.hot), {"by": "customer"})
                )
        return group

    def _append(self, group: list[Envelope], publisher: Publisher) -> None:
        try:
            with self.parts.engine.begin() as conn:
                done = append(conn, group, self.parts.shop.shards)
        except Exception as error:  # whatever the fault makes of it: not acknowledged, so sent again
            self.refused.append((monotonic(), f"append: {type(error).__name__}"))
            self._again.append(group)
            return
        self.ledger.note((each.source, each.id) for each in group)
        publisher.publish(done.new)

    async def _request(self, client: httpx.AsyncClient, kind: str) -> None:
        if kind == "health":
            await self._send(client, kind, "GET", "/health/ready")
        elif kind == "read" and self._created:
            await self._send(client, kind, "GET", f"/api/orders?where[orderNumber][equals]={self._created[-1]}")
        elif kind == "create":
            number = self._to_create.popleft() if self._to_create else f"W{self.seed}x{next(self._numbers):06}"
            headers = {"Idempotency-Key": f"{number}/create"}
            if await self._send(client, kind, "POST", "/api/orders", json=_order(number), headers=headers):
                self.ledger.note([(self.source, f"{number}/create")])
                self._created.append(number)
                self._to_pay.append(stripe_paid(f"pi_{number}", PRICE * QUANTITY))
            else:
                self._to_create.append(number)
        elif kind == "webhook" and self._to_pay:
            document = self._to_pay.popleft()
            content, headers = as_stripe(document, self.stripe_secret)
            if await self._send(client, kind, "POST", "/webhooks/payments/stripe", content=content, headers=headers):
                self.ledger.note([("stripe", document["id"])])
            else:
                self._to_pay.append(document)

    async def _send(self, client: httpx.AsyncClient, kind: str, method: str, path: str, **given: Any) -> bool:
        headers = {"Authorization": f"Bearer {self.key}", **given.pop("headers", {})}
        began, status, told = monotonic(), 0, ""
        try:
            response = await client.request(method, path, headers=headers, **given)
            status, told = response.status_code, response.text[:200] if response.status_code >= 400 else ""
        except httpx.TransportError as error:
            told = type(error).__name__
        self.answers.append(Answer(kind, began, monotonic(), status))
        done = 200 <= status < 300
        if not done:
            self.refused.append((monotonic(), f"{kind}: {status} {told}"))
            if 400 <= status < 500 or status == 500:
                self.wrong.append(f"{kind} was answered {status}: {told}")
        return done


async def _waited(asked: asyncio.Future[None]) -> None:
    await asked


def _order(number: str) -> dict[str, Any]:
    return {
        "orderNumber": number,
        "customerSnapshot": {"name": "Kim", "email": "kim@example.com"},
        "shippingAddress": {"recipientName": "Kim", "address1": "1 Road"},
        "orderProducts": [{"product": "mug", "quantity": QUANTITY, "unitPrice": PRICE}],
        "totalAmount": PRICE * QUANTITY,
        "paymentId": f"pi_{number}",
    }
