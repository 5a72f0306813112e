"""Pauses of what goes outward, on real servers: under load nothing that rests is called after a second, and all else is.

`PAUSE_RACES` (races of a pause against a claim) and `PAUSE_S` (seconds of load) say the size; `make proofs` runs it at full size and
has its figures from the file `PAUSE_FIGURES`.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import pytest

from journal.append import append
from journal.pauses import Paused
from operations import pauses
from outbound import payment_lookups, refunds, tracking
from outbound.payment_lookups import Webhook
from outbound.reconciliation import run as reconciliation
from outbound.refund_accounts import Vault
from outbound.refund_attempt import Refunder
from outbound.webhooks import deliveries, dispatcher, subscriptions
from outbound.webhooks.sender import Reply
from providers.base import NoAnswer, RefundNotMade
from providers.payments.standard import RULES
from storage import audit
from tests.simulators import SHARDS, a_paid_order, a_shop, an_event

CJ = "cj logistics"
RACES = int(os.environ.get("PAUSE_RACES", "60"))
LOAD_S = float(os.environ.get("PAUSE_S", "0.5"))
OBEYED_S = 1.0
ORDERS = 4
DUE_AGAIN = {
    "tracking": "update trackers set next_at = now() - interval '1 second', failures = 0, finished = false",
    "deliveries": "update deliveries set state = 'due', next_at = now() - interval '1 second', attempts = 0",
    "lookups": "update inbox set state = 'due', next_at = now() - interval '1 second', leased_until = null, attempts = 0",
    "refunds": "update effects set state = 'due', next_at = now() - interval '1 second', attempts = 0, idempotency_key = null, "
    "asked = null",
}


class Outside:
    """Everybody outside: each call is noted with its time, and comes to nothing, so that it is due again."""

    rules = RULES

    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []

    def _note(self, kind: str) -> None:
        self.calls.append((kind, monotonic()))
        sleep(0.002)

    def track(self, number):
        self._note("tracking")
        raise NoAnswer("not today")

    def ask(self, kind, time, data):
        self._note("lookups")
        raise NoAnswer("not today")

    def refunds(self, payment_id):
        return []

    def refund(self, request):
        self._note("refunds")
        raise RefundNotMade("not today")

    def post(self, url, secrets, webhook_id, body):
        self._note("deliveries")
        return Reply(500, "not today")

    def of(self, kind: str, since: float = 0.0) -> int:
        return sum(each == kind and at >= since for each, at in list(self.calls))


@pytest.fixture
def shop(database_url, redis_url):
    with a_shop(database_url, redis_url, {CJ: (CJ, None)}.get) as shop:
        now = datetime.now(UTC)
        with shop.engine.begin() as conn:
            subscriptions.add(conn, "https://hook.example/", ["orders"], ["create", "update"], "kim", now)
        for n in range(ORDERS):
            number = f"o{n}"
            shop.tell(
                *a_paid_order(number, 10_000, payment=f"pay{n}"),
                an_event("FulfillmentShipped", number, fulfillment="box", carrier=CJ, trackingNumber=f"T{n}"),
            )
            shop.tell(*a_paid_order(f"c{n}", 9_000, payment=f"back{n}"), an_event("OrderCanceled", f"c{n}"))
        with shop.engine.begin() as conn:
            new = append(
                conn, [an_event("portone.paid", f"o{n}", paymentId=f"pay{n}") for n in range(ORDERS)], SHARDS
            ).new
            payment_lookups.enter(conn, [Webhook("portone", entry.seq, f"pay{n}") for n, entry in enumerate(new)], now)
        yield shop


@pytest.fixture
def outside():
    return Outside()


def rounds(shop, outside) -> dict[str, Callable[[], object]]:
    """One round of each kind of calls."""
    now = lambda: datetime.now(UTC)  # noqa: E731
    pace = timedelta(minutes=15)
    return {
        "tracking": lambda: tracking.run_due(shop.engine, shop.streams, SHARDS, {CJ: outside}, pace, now()),
        "deliveries": lambda: dispatcher.dispatch(shop.engine, outside, now(), slice_s=0.2),
        "lookups": lambda: payment_lookups.run_due(
            shop.engine, shop.streams, SHARDS, {"portone": outside}, None, now()
        ),
        "refunds": lambda: refunds.run_due(
            shop.engine, shop.streams, SHARDS, Refunder("simulated", outside, unnamed=True), now()
        ),
    }


def claims(shop, outside) -> dict[str, Callable[[], int]]:
    """One claim of each kind, by the statement that the rounds claim with."""
    lease = timedelta(seconds=60)

    def claim(kind: str) -> int:
        now = datetime.now(UTC)
        with shop.engine.begin() as conn:
            if kind == "tracking":
                return len(tracking._claim(conn, {CJ: outside}, now, now + lease, 10))
            if kind == "deliveries":
                [(own_id,)] = shop.rows("select id from subscriptions")
                return len(deliveries.claim(conn, {str(own_id): 8}, now))
            if kind == "lookups":
                values = {"now": now, "lease": now + lease, "names": "{portone}", "most": 10}
                return len(conn.execute(payment_lookups._CLAIM, values).all())
            refunder = Refunder("simulated", outside, unnamed=True)
            return len(refunds._claim(conn, refunder, Vault(()), now, 10)[0])

    return {kind: partial(claim, kind) for kind in DUE_AGAIN}


def do(shop, sql: str) -> None:
    with shop.engine.begin() as conn:
        conn.exec_driver_sql(sql)


def pause(shop, kind: str, name: str | None = None) -> float:
    with shop.engine.begin() as conn:
        pauses.pause(conn, kind, name, "a test", "kim")
    return monotonic()


def resume(shop, kind: str, name: str | None = None) -> None:
    with shop.engine.begin() as conn:
        pauses.resume(conn, kind, name, "kim")


def test_nothing_is_claimed_by_a_statement_that_began_after_the_pause(shop, outside):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance, claim = random.Random(seed), claims(shop, outside)
    broken: list[tuple[int, str]] = []
    seen: Counter[str] = Counter()
    for race in range(RACES):
        kind = list(DUE_AGAIN)[race % len(DUE_AGAIN)]
        do(shop, DUE_AGAIN[kind])
        ready = threading.Barrier(2)
        found: dict[str, float] = {}

        wait = chance.random() * 0.02

        def claiming(kind=kind, ready=ready, found=found, wait=wait) -> None:
            ready.wait()
            sleep(wait)
            found["begun"] = monotonic()
            found["claimed"] = claim[kind]()

        thread = threading.Thread(target=claiming)
        thread.start()
        ready.wait()
        sleep(chance.random() * 0.01)
        paused = pause(shop, "effect", kind)
        thread.join()
        seen["claimed" if found["claimed"] else "refused"] += 1
        if found["claimed"] and found["begun"] > paused:
            broken.append((race, kind))
        resume(shop, "effect", kind)
    assert broken == []
    assert min(seen["claimed"], seen["refused"]) > 0, f"both ends are met: {seen}"
    _figures(races=RACES, **seen)


def test_under_load_what_is_paused_is_called_no_more_after_a_second_and_all_else_is(shop, outside):
    over, work = threading.Event(), rounds(shop, outside)
    errors: list[BaseException] = []

    def load(kind: str) -> None:
        try:
            while not over.is_set():
                do(shop, DUE_AGAIN[kind])
                work[kind]()
        except BaseException as error:
            errors.append(error)

    def flows(kind: str, since: float) -> bool:
        return outside.of(kind, since) > 0

    threads = [threading.Thread(target=load, args=(kind,), daemon=True) for kind in work]
    for each in threads:
        each.start()
    counted = {}
    try:
        for kind in work:
            _until(partial(flows, kind, 0.0), f"{kind} flows", errors)
            paused = pause(shop, "effect", kind)
            sleep(OBEYED_S + LOAD_S)
            counted[kind] = outside.of(kind, paused + OBEYED_S)
            others = {each: outside.of(each, paused) for each in work if each != kind}
            assert all(others.values()), f"while {kind} is paused all else flows: {others}"
            resume(shop, "effect", kind)
        paused = pause(shop, "outward")
        sleep(OBEYED_S + LOAD_S)
        counted["outward"] = sum(outside.of(kind, paused + OBEYED_S) for kind in work)
        resume(shop, "outward")
        back = monotonic()
        for kind in work:
            _until(partial(flows, kind, back), f"{kind} flows again", errors)
    finally:
        over.set()
        for each in threads:
            each.join(30)
    assert errors == []
    assert counted == dict.fromkeys((*work, "outward"), 0)
    _figures(calls=len(outside.calls), **{f"after a second, {kind}": n for kind, n in counted.items()})


@pytest.mark.parametrize(
    ("what", "rest"),
    [
        (("order", "o1"), {"tracking": 1, "lookups": 1, "deliveries": 1, "refunds": 0}),
        (("provider", "portone"), {"tracking": 0, "lookups": ORDERS, "deliveries": 0, "refunds": 0}),
        (("provider", "Simulated"), {"tracking": 0, "lookups": 0, "deliveries": 0, "refunds": ORDERS}),
        (("carrier", "CJ Logistics"), {"tracking": ORDERS, "lookups": 0, "deliveries": 0, "refunds": 0}),
        (("effect", "refunds"), {"tracking": 0, "lookups": 0, "deliveries": 0, "refunds": ORDERS}),
        (("outward", None), {"tracking": ORDERS, "lookups": ORDERS, "deliveries": 2 * ORDERS, "refunds": ORDERS}),
    ],
    ids=lambda each: "-".join(map(str, each)) if isinstance(each, tuple) else "",
)
def test_each_kind_of_pause_keeps_its_own_and_nothing_else(shop, outside, what, rest):
    claim = claims(shop, outside)
    free = {}
    for kind in DUE_AGAIN:
        do(shop, DUE_AGAIN[kind])
        free[kind] = claim[kind]()
        do(shop, DUE_AGAIN[kind])
    pause(shop, *what)
    assert {kind: free[kind] - claim[kind]() for kind in DUE_AGAIN} == rest


def test_a_paused_subscription_is_sent_nothing_until_it_is_resumed(shop, outside):
    [(own_id,)] = shop.rows("select id from subscriptions")
    do(shop, DUE_AGAIN["deliveries"])
    pause(shop, "subscription", str(own_id))
    work = rounds(shop, outside)["deliveries"]
    work()
    assert outside.of("deliveries") == 0
    resume(shop, "subscription", str(own_id))
    work()
    assert outside.of("deliveries") > 0


def test_a_comparison_with_a_provider_that_rests_asks_nothing(shop, outside):
    pause(shop, "provider", "portone")
    now = datetime.now(UTC)
    pages = reconciliation.try_out(shop.engine, "portone", outside, now, now, lambda: now, lambda *_: None)
    with pytest.raises(Paused, match="all that portone is asked for is paused by kim"):
        next(pages)


def test_each_pause_and_its_end_stand_in_the_audit(shop):
    pause(shop, "order", "o1")
    resume(shop, "order", "o1")
    rows = shop.rows(
        "select actor, action, target, reason, order_number from audit where action in ('pause', 'resume') order by id"
    )
    assert [tuple(row) for row in rows] == [
        ("kim", "pause", "order o1", "a test", "o1"),
        ("kim", "resume", "order o1", None, "o1"),
    ]
    assert audit.LOOKED not in str(rows)


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("orders", "7", "orders cannot be paused; these can: order, event_type"),
        ("order", "", "order: say which"),
        ("outward", "all", "outward takes no name"),
        ("effect", "mails", "mails is no kind of calls; these are: refunds, lookups"),
        ("event_type", "OrderCreate", "OrderCreate is no type of event"),
        ("subscription", "sub_00000000000000000000000000000000", "there is no subscription sub_0"),
    ],
)
def test_what_cannot_be_paused_is_refused_in_words(shop, kind, name, why):
    with shop.engine.begin() as conn, pytest.raises(pauses.PauseRefused, match=why):
        pauses.pause(conn, kind, name, "a test", "kim")


def _until(true: Callable[[], bool], what: str, errors: list[BaseException]) -> None:
    until = monotonic() + 60
    while not true():
        assert errors == []
        assert monotonic() < until, what
        sleep(0.02)


def _figures(**found: object) -> None:
    if file := os.environ.get("PAUSE_FIGURES"):
        path = Path(file)
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, **found}))
