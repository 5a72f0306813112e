"""Clients of the HTTP doors: threads that live orders' lives by requests and signed webhooks, and note every answer.

A client does what the API tells it: after a 503 it waits for as long as `Retry-After` says, and sends the very same
request again, until it is answered. So every life ends, and how it must end is known.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random
from time import monotonic, sleep
from typing import Any

import httpx

from tests.webhooks import as_stripe, stripe_paid

TIMEOUT_S = 30.0  # of a request: the API's own bounds are shorter
LOOK_AGAIN_S = 1.0  # between looks at what the workers have yet to do
AGAIN = 0.1  # share of writes that are sent once more after their answer
QUERIES = 0.2  # share of requests that only look
NEW = 0.12  # share of the others that begin a life where some are under way: each takes five to eight requests
HURRY = 4  # times the rate, once lives are only brought to their ends
PRICE, QUANTITY = 5000, 2

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. `key` is the id of the event that it makes; without one it only looks, `until` it likes what it sees."""

    name: str
    method: str
    path: str
    body: Any = None
    key: str | None = None
    webhook: bool = False
    becomes: tuple[str, ...] = ()  # the statuses that the document in the answer may have
    until: Callable[[Any], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class Answered:
    """The end of one request; times by `monotonic`. Status 0: there was no answer."""

    name: str
    began: float
    ended: float
    status: int
    retry_after: str | None = None
    error: str = ""

    @property
    def done(self) -> bool:
        return 200 <= self.status < 300


Steps = Generator[Ask, Any, str]


@dataclass(slots=True)
class Life:
    """One order: its steps, and the status that it must end in, once they are done."""

    number: str
    steps: Steps
    ask: Ask
    tries: int = 0
    ends: str = ""


def a_life(number: str, random: Random) -> Steps:
    """The requests of one order, each after the answer to the one before; returns the status that it ends in."""
    payment = f"pi_{number}"
    create = Ask("createOrder", "POST", "/api/orders", _order(number, payment), f"{number}/create", becomes=_PLACED)
    webhook = stripe_paid(payment, PRICE * QUANTITY)
    pay = Ask("stripe webhook", "POST", "/webhooks/payments/stripe", webhook, webhook["id"], webhook=True)
    look = f"/api/orders?where[orderNumber][equals]={number}"
    settled = Ask("wait: paid", "GET", look, until=lambda found: found["docs"][0]["status"] == "preparing")
    kind = random.random()
    if kind < 0.15:
        order = (yield create)["doc"]
        yield _cancel(number, order["id"])
        return "canceled"
    if random.random() < 0.3:  # the webhook comes before its order
        yield pay
        order = (yield create)["doc"]
    else:
        order = (yield create)["doc"]
        yield pay
    yield settled
    if kind < 0.35:
        yield _cancel(number, order["id"])
        return "canceled"
    parcel = {"orderNumber": number, "carrier": "CJ Logistics", "trackingNumber": f"T{number}"}
    made = yield Ask("createFulfillment", "POST", "/api/fulfillments", parcel, f"{number}/box", becomes=("pending",))
    for status in ("shipped", "delivered"):
        yield _step("updateFulfillment", f"/api/fulfillments/{made['doc']['id']}", number, status)
    if kind < 0.6:
        return "delivered"
    wish = {"orderNumber": number, "reason": "defective"}
    back = (yield Ask("createReturn", "POST", "/api/returns", wish, f"{number}/back", becomes=("requested",)))["doc"]
    path = f"/api/returns/{back['id']}"
    yield Ask("wait: return taken", "GET", path, until=lambda found: found["status"] == "processing")
    yield _step("updateReturn", path, number, "completed")
    return "returned"


_PLACED = ("pending", "paid", "preparing")  # the later ones where the webhook was there first


def _order(number: str, payment: str) -> Body:
    return {
        "orderNumber": number,
        "customerSnapshot": {"name": "Kim", "email": "kim@example.com"},
        "shippingAddress": {"recipientName": "Kim", "address1": "1 Road"},
        "orderProducts": [{"product": "mug", "quantity": QUANTITY, "unitPrice": PRICE}],
        "totalAmount": PRICE * QUANTITY,
        "paymentId": payment,
    }


def _cancel(number: str, order: str) -> Ask:
    return _step("cancel", f"/api/orders/{order}", number, "canceled")


def _step(name: str, path: str, number: str, status: str) -> Ask:
    return Ask(name, "PATCH", path, {"status": status}, f"{number}/{status}", becomes=(status,))


LOOKS = (
    Ask("query: orders", "GET", "/api/orders?sort=-createdAt&limit=5&depth=1"),
    Ask("query: count", "GET", "/api/orders/count?where[status][equals]=delivered"),
    Ask("query: transactions", "GET", "/api/transactions?where[status][equals]=paid&limit=5"),
    Ask("health", "GET", "/health/live"),
)


@dataclass(slots=True)
class Clients:
    """`threads` threads that send `rate` requests per second together, from `start` to `finish`."""

    url: str
    key: str
    source: str  # of the events that this key causes
    seed: int
    rate: float
    threads: int = 4
    answers: list[Answered] = field(default_factory=list)
    noted: dict[tuple[str, str], str] = field(default_factory=dict)  # source and id of an event that got a 2xx → ask
    documents: dict[str, str] = field(default_factory=dict)  # id as shown → the status in the last answer to a write
    ended: list[Life] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    repeated: int = 0  # webhooks that were answered as duplicates
    unsure: int = 0  # webhooks that were answered neither 2xx nor 4xx: they may be in the journal
    open: int = 0  # lives that have begun and not ended
    _due: list[tuple[float, int, Life]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)
    _leave: threading.Event = field(default_factory=threading.Event)
    _running: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin to send requests."""
        for number in range(self.threads):
            thread = threading.Thread(target=self._run, args=(Random(f"{self.seed}:{number}"),), daemon=True)
            self._running.append(thread)
            thread.start()

    def finish(self, within_s: float) -> float:
        """Begin no more lives, and bring those under way to their ends; seconds. A life that does not end is a fault."""
        began = monotonic()
        self._closing.set()
        for thread in self._running:
            thread.join(max(0.0, began + within_s - monotonic()))
        self._leave.set()
        for thread in self._running:
            thread.join(TIMEOUT_S)
        for _, _, life in self._due:
            self.faults.append(f"order {life.number} has not ended after {within_s} s: it stands at {life.ask.name}")
        return monotonic() - began

    def _run(self, random: Random) -> None:
        with httpx.Client(base_url=self.url, timeout=TIMEOUT_S, trust_env=False) as client:
            while not self._leave.is_set() and not (self._closing.is_set() and not self.open):
                if random.random() < QUERIES and not self._closing.is_set():
                    self._send(client, random.choice(LOOKS))
                elif (life := self._take(random)) is not None:
                    self._live(client, life, random)
                hurry = HURRY if self._closing.is_set() else 1
                sleep(random.expovariate(hurry * self.rate / self.threads))

    def _take(self, random: Random) -> Life | None:
        """What is due, or a life that begins."""
        with self._lock:
            is_due = bool(self._due) and self._due[0][0] <= monotonic()
            if self._closing.is_set() or (is_due and random.random() > NEW):
                return heapq.heappop(self._due)[2] if is_due else None
            number = f"C{next(self._numbers):07}"
            self.open += 1
        steps = a_life(number, Random(f"{self.seed}:{number}"))
        return Life(number, steps, next(steps))

    def _live(self, client: httpx.Client, life: Life, random: Random) -> None:
        """One request of a life."""
        ask = life.ask
        life.tries += 1
        answered, response = self._send(client, ask)
        if response is not None and answered.status == 503:
            self._later(life, float(answered.retry_after or LOOK_AGAIN_S))
        elif response is None or not answered.done:
            told = "no answer" if response is None else response.text[:300]
            self._end(life, f"{ask.name} of {life.number} was answered {answered.status}: {told} {answered.error}")
        elif ask.key is None and not ask.until(response.json()):
            self._later(life, LOOK_AGAIN_S)
        else:
            body = response.json()
            if ask.key is not None:
                self._note(life, ask, body, response)
                if random.random() < AGAIN:
                    self._repeat(client, ask, response)
            try:
                life.ask, life.tries = life.steps.send(body), 0
            except StopIteration as end:
                life.ends = end.value
                self._end(life, None)
            else:
                self._later(life, 0)

    def _note(self, life: Life, ask: Ask, body: Body, response: httpx.Response) -> None:
        """A 2xx: its event is in the journal from now on, or the API has lied."""
        with self._lock:
            self.noted["stripe" if ask.webhook else self.source, ask.key or ""] = ask.name
            if ask.webhook:
                self.repeated += response.status_code == 200
                if response.status_code == 200 and life.tries == 1:
                    self.faults.append(f"the webhook {ask.key} was new, and answered as a duplicate")
                return
            doc = body["doc"]
            self.documents[doc["id"]] = doc["status"]
            if doc["status"] not in ask.becomes:
                self.faults.append(f"{ask.name} of {life.number} answered {doc['status']}, must be of {ask.becomes}")

    def _repeat(self, client: httpx.Client, ask: Ask, first: httpx.Response) -> None:
        """The same again: the same answer to a write, `duplicate` to a webhook."""
        answered, second = self._send(client, ask)
        if second is None or not answered.done:  # judged with all others
            return
        with self._lock:
            if ask.webhook:
                self.repeated += 1
                right = second.status_code == 200
            else:
                right = (second.status_code, second.text) == (first.status_code, first.text)
                right = right and second.headers.get("idempotent-replayed") == "true"
            if not right:
                self.faults.append(f"{ask.name} {ask.key} came twice, and the second answer is {second.text[:300]}")

    def _send(self, client: httpx.Client, ask: Ask) -> tuple[Answered, httpx.Response | None]:
        content, headers = None, {"Authorization": f"Bearer {self.key}"}
        if ask.webhook:
            content, headers = as_stripe(ask.body)
        elif ask.key is not None:
            headers["Idempotency-Key"] = ask.key
        began = monotonic()
        response, error = None, ""
        try:
            if content is not None:
                response = client.request(ask.method, ask.path, content=content, headers=headers)
            else:
                response = client.request(ask.method, ask.path, json=ask.body, headers=headers)
        except httpx.TransportError as problem:
            error = f"{type(problem).__name__}: {problem}"
        status = 0 if response is None else response.status_code
        told = None if response is None else response.headers.get("retry-after")
        answered = Answered(ask.name, began, monotonic(), status, told, error)
        with self._lock:
            self.answers.append(answered)
            self.unsure += ask.webhook and (status == 0 or status >= 500)
        return answered, response

    def _later(self, life: Life, seconds: float) -> None:
        with self._lock:
            heapq.heappush(self._due, (monotonic() + seconds, next(self._numbers), life))

    def _end(self, life: Life, fault: str | None) -> None:
        with self._lock:
            self.open -= 1
            if fault is None:
                self.ended.append(life)
            else:
                self.faults.append(fault)
