"""Promise 4 on real servers: every delivery is counted once, and the six outcomes add up to what was accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Event

import pytest

from domain.outcome import REASONS
from domain.policy import Policy
from events.envelope import Envelope
from journal.append import append
from journal.batch import Shop
from journal.drain import Drain
from journal.policy_store import policy_id
from journal.streams import Streams
from journal.streams import connect as connect_redis
from journal.timers import run_due
from journal.totals import OUTCOMES, account
from storage.engine import connect
from tests.conftest import SHARDS
from tests.scenario_generator import RandomChoices, a_life, arrivals

NOW = datetime.now(UTC)
POLICY = Policy(return_window=None)


class Place:
    """One shop on one database: takes deliveries, and answers its doorbells when told to."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.engine = connect(database_url, pinned=True)
        self.streams = Streams(connect_redis(redis_url), SHARDS, lambda _shard: None)
        with self.engine.begin() as conn:
            self.shop = Shop(policy_id(conn, POLICY), SHARDS)

    def take(self, envelopes: Sequence[Envelope], *, held: bool = False) -> None:
        with self.engine.begin() as conn:
            appended = append(conn, envelopes, SHARDS, effects_suppressed=held)
        self.streams.publish(appended.new)

    def work(self) -> None:
        drain = Drain(self.engine, self.streams, POLICY, self.shop)
        for shard in self.streams.look().waiting():
            drain.answer(shard)

    def account(self):
        with self.engine.connect() as conn:
            return account(conn)

    def close(self) -> None:
        self.engine.dispose()
        self.streams.client.close()


@pytest.fixture
def place(database_url: str, redis_url: str):
    made = Place(database_url, redis_url)
    yield made
    made.close()


def told(id: str, kind: str, data: dict | None = None, *, order: str | None = "n1") -> Envelope:
    return Envelope(id, "shop", kind, NOW, order, data or {})


def created(order: str, **more: object) -> Envelope:
    line = {"item": "tea", "product": "p1", "quantity": 1, "unitPrice": "3000"}
    data = {"items": [line], "totalAmount": "3000", "paymentIds": [f"pay_{order}"], **more}
    return told(f"c-{order}", "OrderCreated", data, order=order)


def paid(order: str, amount: str = "3000", **more: object) -> Envelope:
    data = {"paymentId": f"pay_{order}", "amount": amount, **more}
    return told(f"p-{order}", "PaymentSucceeded", data, order=order)


def assert_adds_up(counts) -> None:
    assert sum(counts[outcome] for outcome in OUTCOMES) == counts["accepted"]
    for outcome in ("accepted", *OUTCOMES):
        assert sum(of_type[outcome] for of_type in counts["by_type"].values()) == counts[outcome]
    for of_type in counts["by_type"].values():
        assert sum(of_type[outcome] for outcome in OUTCOMES) == of_type["accepted"]


def reasons(counts) -> dict[tuple[str, str], int]:
    return {(found["outcome"], found["reason"]): found["count"] for found in counts["by_reason"]}


def test_an_empty_shop_has_an_account_too(place: Place):
    counts = place.account()
    zeros: dict[str, object] = dict.fromkeys(("accepted", *OUTCOMES, "body_differs"), 0) | {
        "by_type": {},
        "by_reason": [],
    }
    assert counts == {
        **zeros,
        "own": zeros,
        "timers": {"set": 0, "held": 0},
        "effects": dict.fromkeys(("due", "in_flight", "unknown", "account_needed", "done", "held", "staff", "dead"), 0),
        "held": {"timers": 0, "effects": 0},
    }


def test_each_outcome_is_counted_with_its_reason(place: Place):
    place.take(
        [created("n1"), created("n1"), created("n1", customer="another")]
    )  # 1 new, 2 repeated, 1 of them differs
    place.take([created("n1")])  # repeated in a delivery of its own
    place.work()
    place.take(
        [
            paid("n1"),
            told("early", "OrderConfirmed"),  # parked: not delivered
            told("odd", "SomethingElse"),  # ignored
            told("odd", "SomethingElse"),
            told("bad", "PaymentSucceeded", {"amount": "x"}),  # dead
            told("usd", "PaymentSucceeded", {"paymentId": "pay_n1", "amount": "1", "currency": "USD"}),  # dead
            told("lost", "PaymentFailed", {"paymentId": "pay_9"}, order=None),  # parked
        ]
    )
    place.work()
    with place.engine.begin() as conn:
        append(conn, [told("late", "OrderCanceled"), told("late", "OrderCanceled", {"by": "x"})], SHARDS)  # waiting
    counts = place.account()
    assert {name: counts[name] for name in ("accepted", *OUTCOMES, "body_differs")} == {
        "accepted": 13, "applied": 2, "duplicate": 5, "ignored": 1, "parked": 2, "dead": 2, "waiting": 1,
        "body_differs": 2,
    }  # fmt: skip
    assert_adds_up(counts)
    assert reasons(counts) == {
        ("duplicate", "body_differs"): 2,
        ("ignored", "unknown_type"): 1,
        ("parked", "not_delivered"): 1,
        ("parked", "payment_unknown"): 1,
        ("dead", "currency_mismatch"): 1,
        ("dead", "malformed"): 1,
    }
    for found in counts["by_reason"]:
        assert found["text"] == REASONS.get(found["reason"], found["text"]) != found["reason"]
    assert counts["by_type"]["SomethingElse"] == {
        "accepted": 2, "applied": 0, "duplicate": 1, "ignored": 1, "parked": 0, "dead": 0, "waiting": 0,
    }  # fmt: skip
    assert counts["own"]["accepted"] == counts["own"]["applied"] == 1  # the plan of the paid order
    assert list(counts["own"]["by_type"]) == ["FulfillmentCreated"]
    assert counts["timers"] == {"set": 1, "held": 0}


def test_what_the_timers_make_is_our_own(place: Place):
    place.take([created("n1")])
    place.work()
    assert run_due(place.engine, POLICY, place.shop, datetime.now(UTC) + timedelta(hours=30)) == 1
    counts = place.account()
    assert counts["accepted"] == counts["applied"] == 1
    assert counts["own"]["by_type"]["OrderExpired"]["applied"] == 1
    assert counts["timers"] == {"set": 0, "held": 0}


def test_an_outside_scheduler_may_call_itself_timers(place: Place):
    place.take([created("n1"), replace(told("exp-1", "OrderExpired"), source="timers")])
    counts = place.account()
    assert (counts["accepted"], counts["own"]["accepted"]) == (2, 0)


def test_refunds_are_counted_by_state_and_history_holds_them_back(place: Place):
    for number, held in (("n1", False), ("n2", True), ("n3", True)):
        place.take([created(number), paid(number, "3500")], held=held)
    place.work()
    place.take([created("n4")], held=True)
    place.work()
    counts = place.account()
    assert counts["effects"] == {
        "due": 1, "in_flight": 0, "unknown": 0, "account_needed": 0, "done": 0, "held": 2, "staff": 0, "dead": 0,
    }  # fmt: skip
    assert counts["held"] == {"timers": counts["timers"]["held"], "effects": 2}
    assert counts["timers"]["held"] == 1  # of n4: the others were paid in the batch that created them
    assert counts["timers"]["set"] == 1


def test_lives_with_duplicates_poison_and_unknown_types_add_up_exactly(place: Place):
    random = Random(4711)
    choices = RandomChoices(random)
    mixed = [e for seed in range(120) for e in arrivals(a_life(Random(seed)), choices)]
    for number in range(40):
        kind = random.choice(("PaymentSucceeded", "OrderCreated", "Unheard"))
        mixed.append(told(f"poison-{number}", kind, {"items": 3}, order=f"poison-{number}"))
    mixed += [replace(e, data={**e.data, "extra": 1}) for e in random.sample(mixed, 50)]
    random.shuffle(mixed)
    seen: dict[tuple[str, str], bytes] = {}
    expected: Counter[str] = Counter()
    for envelope in mixed:
        first = seen.setdefault((envelope.source, envelope.id), envelope.digest())
        expected["differs"] += first != envelope.digest()
    expected["duplicate"] = len(mixed) - len(seen)
    for start in range(0, len(mixed), 300):
        place.take(mixed[start : start + 300])
        assert_adds_up(place.account())
        if start % 600:
            place.work()
    place.work()
    counts = place.account()
    assert_adds_up(counts)
    assert_adds_up(counts["own"])
    assert counts["accepted"] == len(mixed)
    assert counts["duplicate"] == expected["duplicate"] > 100
    assert counts["body_differs"] == expected["differs"] > 0
    assert counts["waiting"] == counts["own"]["waiting"] == counts["own"]["duplicate"] == 0
    assert counts["by_type"]["Unheard"]["ignored"] > 0
    assert counts["dead"] > 0


def test_the_numbers_add_up_at_every_moment_of_a_run(place: Place):
    over = Event()

    def look() -> int:
        seen = 0
        while not over.is_set():
            counts = place.account()
            assert_adds_up(counts)
            assert_adds_up(counts["own"])
            seen += 1
        return seen

    choices = RandomChoices(Random(1))
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(look)
        try:
            for seed in range(60):
                place.take(arrivals(a_life(Random(seed)), choices))
                place.work()
        finally:
            over.set()
        assert watching.result() > 20
