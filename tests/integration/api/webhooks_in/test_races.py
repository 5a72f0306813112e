"""A payment's webhook and its order, both at the doors, whoever commits first: the order is paid, once.

Everything between is real: the whole application over ASGI, PostgreSQL, the streams, and two workers that answer
doorbells in threads; no relay and no sweep looks afterwards. `RACE_TRIES=1000` runs each so often; `-s` shows how
often which commit came first.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from random import Random

import httpx
import pytest
from sqlalchemy import text

from api.app import create_app
from api.resources import Doors, open_doors
from events.envelope import OWN_SOURCE
from journal.drain import Drain
from journal.relay import undecided
from journal.streams import Streams
from journal.totals import account
from journal.verify import verify
from settings.environment import read
from storage import keys
from tests.webhooks import STRIPE, as_stripe, stripe_paid

TRIES = 10
SEED = 20261101
WORKERS = 2
STARTS_S = (0, 0, 0.002, 0.004, 0.008)  # before a request
LATE_S = (0, 0.004, 0.008, 0.012, 0.02)  # before a webhook: it commits sooner than an order does
SETTLED_S = 60
APART = ("webhook before its order", "order before its webhook")

_ORDERS = text("select order_number, status from orders")
_MONEY = text("select payment_id, status, amount from transactions")
_ENDS = text("""
    select j.type, r.outcome, r.reason, j.source = :own as own, count(*) from journal j left join results r using (seq)
    group by 1, 2, 3, 4
""")
_FIRST = text("""
    select j.type, count(*) from orders o join lateral (
        select j.type from journal j where j.subject = o.order_number and j.type = 'OrderCreated'
        or j.type = 'PaymentSucceeded' and j.data ->> 'paymentId' = 'pi_' || o.order_number
        order by j.seq limit 1) j on true group by 1
""")


class Shop:
    """One application and its workers, from open doors to their close."""

    def __init__(self, doors: Doors, bells: SimpleQueue[int | None]) -> None:
        self.doors, self._bells = doors, bells
        self.faults: list[BaseException] = []
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(WORKERS)]
        with doors.engine.begin() as conn:
            key = keys.add(conn, "secret", None, "test", datetime.now(UTC))[0]
        self.headers = {"Authorization": f"Bearer {key}"}

    def _work(self) -> None:
        """A worker with connections of its own would be a process; the pool has one for each of these."""
        drain = Drain(self.doors.engine, self.doors.streams, self.doors.settings.policy, self.doors.shop)
        while (shard := self._bells.get()) is not None:
            try:
                drain.answer(shard)
            except BaseException as error:
                self.faults.append(error)
                raise

    def run(self, race) -> None:
        """`race(client)` on the running application, then until every event has a result."""

        async def play() -> None:
            app = create_app(self.doors)
            transport = httpx.ASGITransport(app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://shop") as client,
            ):
                for worker in self._workers:
                    worker.start()
                await race(client)
                async with asyncio.timeout(SETTLED_S):
                    while self._undecided():
                        assert not self.faults, self.faults
                        await asyncio.sleep(0.05)
                for _ in self._workers:
                    self._bells.put(None)
                for worker in self._workers:
                    await asyncio.to_thread(worker.join, SETTLED_S)

        asyncio.run(play())

    def _undecided(self) -> int:
        with self.doors.reader.connect() as conn:
            return undecided(conn)

    def rows(self, statement, **values):
        with self.doors.reader.connect() as conn:
            return conn.execute(statement, values).all()


@pytest.fixture
def shop(database_url, redis_url) -> Iterator[Shop]:
    urls = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    doors = open_doors(
        read({**urls, "ORDERS_STRIPE_SECRETS": STRIPE, "ORDERS_RATE_LIMIT": "off"}, Path("/nonexistent"))
    )
    bells: SimpleQueue[int | None] = SimpleQueue()
    yield Shop(replace(doors, streams=Streams(doors.streams.client, doors.shop.shards, bells.put)), bells)
    doors.close()  # the application let go of its connections; the assertions have opened others


@pytest.fixture(scope="module")
def tries() -> int:
    return int(os.environ.get("RACE_TRIES") or TRIES)


def order(number: str) -> dict:
    return {
        "orderNumber": number,
        "customerSnapshot": {"name": "Kim"},
        "shippingAddress": {"recipientName": "Kim"},
        "orderProducts": [{"product": "mug", "quantity": 2, "unitPrice": 5000}],
        "totalAmount": 10000,
        "paymentId": f"pi_{number}",
    }


async def create(shop: Shop, client: httpx.AsyncClient, number: str, pause: float = 0) -> str:
    """The status that the new order is answered with."""
    await asyncio.sleep(pause)
    headers = {**shop.headers, "Idempotency-Key": f"create/{number}"}
    answer = await client.post("/api/orders", json=order(number), headers=headers)
    assert answer.status_code == 201, answer.text
    status = str(answer.json()["doc"]["status"])
    assert status in ("pending", "paid", "preparing")
    return status


async def pay(client: httpx.AsyncClient, webhook: tuple[bytes, dict[str, str]], pause: float = 0) -> int:
    await asyncio.sleep(pause)
    body, headers = webhook
    answer = await client.post("/webhooks/payments/stripe", content=body, headers=headers)
    assert answer.status_code in (200, 202), answer.text
    return answer.status_code


def webhook_of(number: str) -> tuple[bytes, dict[str, str]]:
    return as_stripe(stripe_paid(f"pi_{number}", 10000))


def assert_paid_once(shop: Shop, count: int, repeated: int) -> None:
    numbers = [f"N{n}" for n in range(count)]
    assert dict(shop.rows(_ORDERS)) == dict.fromkeys(numbers, "preparing")
    money = [(payment, status, int(amount)) for payment, status, amount in shop.rows(_MONEY)]
    assert sorted(money) == sorted((f"pi_{number}", "paid", 10000) for number in numbers)
    ends = shop.rows(_ENDS, own=OWN_SOURCE)
    told = {(kind, outcome, reason): n for kind, outcome, reason, own, n in ends if not own}
    assert told == {("OrderCreated", "applied", None): count, ("PaymentSucceeded", "applied", None): count}
    assert {outcome for _, outcome, _, _, _ in ends} == {"applied"}
    plans = {kind: n for kind, _, _, own, n in ends if own}
    assert set(plans.values()) <= {count}, "what follows a payment follows it once"
    with shop.doors.reader.connect() as conn:
        found = account(conn)
    assert [found[name] for name in ("applied", "duplicate", "parked", "dead", "waiting")] == [
        2 * count,
        repeated,
        0,
        0,
        0,
    ]
    assert not shop.faults
    assert verify(shop.doors.engine).differences == []


@pytest.mark.timeout(600)
def test_a_webhook_and_its_order_at_one_instant_make_one_paid_order(shop, tries):
    random = Random(SEED)
    kinds: Counter[str] = Counter()

    async def race(client):
        for n in range(tries):
            number = f"N{n}"
            webhook = webhook_of(number)
            webhooks = [pay(client, webhook, random.choice(LATE_S))]
            if random.random() < 0.3:  # providers deliver again, sometimes at once
                webhooks.append(pay(client, webhook, random.choice(LATE_S)))
            told = [create(shop, client, number, random.choice(STARTS_S)), *webhooks]
            random.shuffle(told)
            answers = await asyncio.gather(*told)
            codes = sorted(answer for answer in answers if isinstance(answer, int))
            assert codes == [200, 202][-len(webhooks) :]
            kinds["again"] += len(webhooks) - 1
            kinds.update(f"answered {answer}" for answer in answers if isinstance(answer, str))

    shop.run(race)
    assert_paid_once(shop, tries, kinds["again"])
    first = dict(shop.rows(_FIRST))
    print(f"\nat one instant, {tries} tries: journaled first {first}; {dict(kinds)}")
    if tries >= 100:  # fewer may be all alike by chance
        assert len(first) == 2, "the race never ended both ways"
        assert kinds["answered pending"] < tries, "no webhook was decided before its order was"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("which", APART)
def test_whoever_is_answered_first_the_order_is_paid_once(shop, tries, which):
    """The second is sent when the first is answered, while the workers are at the first, or when they are done with it."""
    random = Random(SEED)

    async def race(client):
        for n in range(tries):
            number = f"N{n}"
            webhook = webhook_of(number)
            if which == APART[0]:
                assert await pay(client, webhook) == 202
                await create(shop, client, number, random.choice((*STARTS_S, 0.03)))
            else:
                await create(shop, client, number)
                assert await pay(client, webhook, random.choice((*STARTS_S, 0.03))) == 202

    shop.run(race)
    assert_paid_once(shop, tries, 0)
    assert dict(shop.rows(_FIRST)) == {"PaymentSucceeded" if which == APART[0] else "OrderCreated": tries}
