"""The bench of scaling, `orders bench scale`: does the drain keep its speed as the database, the workers, the shards and the backlog grow?

Databases of all sizes stand on one server and take turns, round by round: a fresh play is journaled and
drained in each. What is measured here is measured on one machine; docs/why/scaling.md says what is reckoned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import psutil
import redis
from sqlalchemy import Engine, text

from bench import history_seed, measure, paused_worker, product, workload
from bench.drain_process import Hand
from bench.run import Say
from bench.servers import BenchError, Servers
from bench.workload import Play
from events.envelope import Envelope
from queries import parser, repository
from storage import engine as engines
from storage.migrate import upgrade

BATCH = 256
SEED_ORDERS = 1_700  # of the play that history is copied from: about 10,000 events
HOT_EVENTS = 10_000
MANY_ORDERS, FEW_ORDERS = 100_000, 10


@dataclass(frozen=True, slots=True)
class Plan:
    """The amounts of a run of `orders bench scale`."""

    sizes: Sequence[int] = (10_000, 100_000, 1_000_000, 10_000_000)  # events in the database
    workers: Sequence[int] = (1, 2, 4)
    shards: Sequence[int] = (8, 64, 256)
    rounds: int = 5
    orders: int = 1_700  # lives per round
    backlog: int = 500_000  # events
    short: int = 4  # plays of a short backlog


QUICK = Plan(sizes=(10_000, 100_000), rounds=2, backlog=20_000, short=1)


@dataclass(slots=True)
class Found:
    """The results of a run: events per second, unless it says otherwise."""

    sizes: dict[int, list[float]] = field(default_factory=dict)
    bytes: dict[int, int] = field(default_factory=dict)  # size → bytes of its database
    workers: dict[int, list[float]] = field(default_factory=dict)
    shards: dict[int, list[float]] = field(default_factory=dict)
    hot: float = 0.0
    customer: dict[str, Any] = field(default_factory=dict)
    backlog: dict[str, Any] = field(default_factory=dict)


def run(servers: Servers, plan: Plan, say: Say) -> Found:
    """All of it. Errors: BenchError where something is not applied, or a hand dies."""
    with ExitStack() as stack:
        hands = [Hand(number, servers.folder) for number in range(max(*plan.workers, 2))]
        for hand in hands:
            stack.callback(hand.close)
        stage = _Stage(servers, plan, say, hands, servers.redis_database())
        stage.backlog()
        stage.shards()
        stage.sizes()
        stage.workers()
        stage.hot_order()
        stage.customer()
        return stage.found


class _Stage:
    def __init__(self, servers: Servers, plan: Plan, say: Say, hands: list[Hand], redis_url: str) -> None:
        self.servers, self.plan, self.say, self.hands, self.redis_url = servers, plan, say, hands, redis_url
        self.found = Found()
        self._plays = 0
        self._databases: dict[int, str] = {}

    def backlog(self) -> None:
        """All at the door before any worker moves; then how fast it is worked off, and what it takes meanwhile."""
        url, redis_url = self._fresh("backlog"), self.servers.redis_database()
        told = {"DATABASE_URL": url, "REDIS_URL": redis_url, "ORDERS_SHARDS": str(product.SHARDS)}
        worker = paused_worker.celery(
            "backlog", *product.WORKER[:1], self.servers.folder, told, *product.WORKER[1:], beat=True
        )
        full = product.FullPath(url, redis_url)
        with worker, redis.Redis.from_url(redis_url) as client:
            try:
                short = [self._short_full(worker, full) for _ in range(self.plan.rounds)]
                before, empty = measure.memory_mb(worker.tree()[:1], pool=True), _used(client)
                events, began = 0, time.monotonic()
                while events < self.plan.backlog:
                    play = self._play()
                    events += len(play.deliveries)
                    full.hand_in_all(play)
                appended = time.monotonic() - began
                self.say(f"backlog: {events:,} events wait, at the door in {appended:.0f} s")
                most = _used(client) - empty
                with worker.moving():
                    began = time.monotonic()
                    while not full.is_done():
                        most = max(most, _used(client) - empty)
                        worker.check()
                        if time.monotonic() - began > max(120, events / 500):
                            raise BenchError("the backlog is not worked off; see the worker's log")
                        time.sleep(0.25)
                    took = time.monotonic() - began
                after = measure.memory_mb(worker.tree()[:1], pool=True)
            finally:
                full.close()
        self.found.backlog = {
            "events": events, "accepted_per_second": events / appended, "seconds": took,
            "events_per_second": events / took, "short_events_per_second": median(short),
            "redis_mb_at_most": most / 1e6, "memory_mb": [before, after],
        }  # fmt: skip
        self.say(f"backlog: {events / took:,.0f} events/s; a short one of the same worker {median(short):,.0f}")

    def _short_full(self, worker: paused_worker.Worker, full: product.FullPath) -> float:
        """Some plays at the door before the worker moves, as the backlog is; no more than Redis holds."""
        events = 0
        for _ in range(self.plan.short):
            play = self._play()
            events += len(play.deliveries)
            full.hand_in_all(play)
        with worker.moving():
            began = time.monotonic()
            full.wait()
            return events / (time.monotonic() - began)

    def shards(self) -> None:
        """The same plays through databases with more and fewer shards."""
        urls = {count: self._fresh(f"shards{count}", count) for count in self.plan.shards}
        for _ in range(self.plan.rounds):
            for count, url in urls.items():
                self.found.shards.setdefault(count, []).append(self._drain(url, self.hands[:2], shards=count))
        self._tell("shards", self.found.shards)

    def sizes(self) -> None:
        """The same plays in databases with a short and a long past."""
        seed = self._fresh("seed")
        self._drain(seed, self.hands[:2], workload.play(SEED_ORDERS, "seed", duplicates=0))
        for size in self.plan.sizes:
            url = self._databases[size] = self.servers.database(f"size{size}", seed)
            engine = engines.connect(url)
            have = history_seed.grow(engine, size, self.say)
            with engine.connect() as conn:
                self.found.bytes[size] = int(
                    conn.execute(text("select pg_database_size(current_database())")).scalar_one()
                )
            engine.dispose()
            self.say(f"a database of {have:,} events, {self.found.bytes[size] / 1e9:.1f} GB")
            self._drain(url, self.hands[:2])  # what is read first comes from the disk
        for turn in range(self.plan.rounds):
            order = list(self._databases.items())
            for size, url in order[turn % len(order) :] + order[: turn % len(order)]:
                self.found.sizes.setdefault(size, []).append(self._drain(url, self.hands[:2]))
        self._tell("events in the database", self.found.sizes)

    def workers(self) -> None:
        """One process and more, on a database of middling size."""
        url = self._middling()
        for _ in range(self.plan.rounds):
            for count in self.plan.workers:
                self.found.workers.setdefault(count, []).append(self._drain(url, self.hands[:count]))
        self._tell("worker processes", self.found.workers)

    def hot_order(self) -> None:
        """One order that everything is about: its events come one after another, whoever applies them."""
        self.found.hot = self._drain(self._middling(), self.hands[:2], Play(_hot_order(), {}))
        self.say(f"one order with {HOT_EVENTS:,} events: {self.found.hot:,.0f} events/s")

    def customer(self) -> None:
        """The newest ten orders of a customer with very many, and of one with few."""
        engine = engines.connect(self._databases[max(self._databases)])
        with engine.connect() as conn:
            half = int(conn.execute(text("select count(*) / 2 from orders")).scalar_one())
        for name, count in (("many", min(MANY_ORDERS, half)), ("few", FEW_ORDERS)):
            with engine.begin() as conn:
                changed = conn.execute(_OWN, {"customer": f"cus_{name}", "count": count}).rowcount
            times = sorted(self._newest_ten(engine, f"cus_{name}") for _ in range(100))
            self.found.customer[name] = {"orders": changed, "p50_ms": times[50], "p99_ms": times[98]}
            self.say(f"newest ten of {changed:,} orders of one customer: {times[50]:.1f} ms")
        engine.dispose()

    def _newest_ten(self, engine: Engine, customer: str) -> float:
        query = parser.parse(f"where[customer][equals]={customer}&sort=-createdAt&limit=10&depth=1")
        began = time.perf_counter()
        with engine.connect() as conn:
            found = repository.find(conn, "orders", query)
        if len(found["docs"]) != 10:
            raise BenchError(f"{customer} has {found['totalDocs']} orders; ten were to be found")
        return (time.perf_counter() - began) * 1000

    def _middling(self) -> str:
        return sorted(self._databases.items())[len(self._databases) // 2][1]

    def _fresh(self, name: str, shards: int = product.SHARDS) -> str:
        url = self.servers.database(name)
        upgrade(url, shards)
        return url

    def _play(self) -> Play:
        self._plays += 1
        return workload.play(self.plan.orders, f"s{self._plays}")

    def _drain(self, url: str, hands: list[Hand], play: Play | None = None, shards: int = product.SHARDS) -> float:
        """Journal a play and drain it: events per second."""
        play = play or self._play()
        product.pour(self.redis_url, product.filled(url, play, shards), shards)
        commands = product.drain_commands(hands, url, self.redis_url, BATCH, shards)
        seconds, answers = product.work(hands, commands)
        decided = sum(sum(answer["outcomes"].values()) for answer in answers)
        if decided < play.events:
            raise BenchError(f"{decided} events have a result, of {play.events}")
        return len(play.deliveries) / seconds

    def _tell(self, what: str, found: dict[int, list[float]]) -> None:
        self.say(f"{what}: " + "  ·  ".join(f"{key:,}: {median(rates):,.0f}/s" for key, rates in found.items()))


def _hot_order() -> list[Envelope]:
    """An order that is paid, leaves, and is scanned again and again."""
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    number = f"hot-{began:%H%M%S}"
    parcel = {"carrier": "CJ Logistics", "trackingNumber": f"{number}-1"}
    item = {"item": "L0", "product": "tea", "quantity": 1, "unitPrice": "1000"}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("OrderCreated", {"items": [item], "totalAmount": "1000", "currency": "KRW", "paymentIds": [f"pi_{number}"]}),
        ("PaymentSucceeded", {"paymentId": f"pi_{number}", "amount": "1000", "currency": "KRW"}),
        ("FulfillmentShipped", {"fulfillment": f"{number}-1", **parcel}),
    ]
    steps += [("TrackingUpdated", {**parcel, "status": "in_transit"})] * (HOT_EVENTS - len(steps))
    return [
        Envelope(f"{number}:{i}", "bench", kind, began + timedelta(seconds=i), number, data)
        for i, (kind, data) in enumerate(steps)
    ]


def _used(client: redis.Redis) -> int:
    info: Any = client.info("memory")
    return int(info["used_memory"])


_OWN = text(
    "update orders set customer = :customer where id in "
    "(select id from orders where customer not in ('cus_many', 'cus_few') order by placed_at desc limit :count)"
)


def document(found: Found, plan: Plan, machine: dict[str, Any]) -> dict[str, Any]:
    """The document that `--json` answers."""

    def rates(of: dict[int, list[float]]) -> dict[str, dict[str, float]]:
        return {
            str(key): {"median": round(median(each)), "least": round(min(each)), "most": round(max(each))}
            for key, each in of.items()
        }

    return {
        "rounds": plan.rounds,
        "sizes": rates(found.sizes),
        "bytes": {str(size): count for size, count in found.bytes.items()},
        "workers": rates(found.workers),
        "shards": rates(found.shards),
        "hot_order": round(found.hot),
        "customer": found.customer,
        "backlog": found.backlog,
        "machine": {**machine, "memory_gb": round(psutil.virtual_memory().total / 1e9, 1)},
    }
