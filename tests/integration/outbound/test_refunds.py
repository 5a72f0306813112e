"""Refunds on real servers, against a provider in a process of its own: each goes out once, or is dead and visible."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from domain.ids import format_id
from events.money import Money
from outbound import backoff, refunds
from outbound.refund_attempt import Refunder
from providers.base import RefundClient, RefundNotMade, RefundStale, RefundUnknown
from providers.movements import RefundMovement, RefundRequest
from providers.payments.standard import RULES, StandardRefunds
from providers.refund_rules import RefundRules
from storage import engine as engines
from tests.refund_services import options
from tests.simulators import ROOT, SHARDS, a_paid_order, a_shop, an_event, running

HOUR = timedelta(hours=1)  # as `now` goes on: no wait and no lease is longer, but for the longest waits
LEASE_OVER = timedelta(seconds=RULES.answer_s + refunds.QUESTION_S + 1)
QUICK = replace(RULES, answer_s=0.3)


@pytest.fixture
def shop(database_url, redis_url):
    with a_shop(database_url, redis_url) as shop:
        yield shop


@pytest.fixture(scope="module")
def calm():
    with running("standard") as (_, url):
        yield url


@pytest.fixture
def provider(calm):
    with closing(StandardRefunds(calm)) as client:
        yield client


@pytest.fixture
def name(request):
    """Of a payment that the provider, shared by all tests, has never heard of."""
    return f"pay {request.node.name}"


def run(shop, provider, later=timedelta(0), **more):
    """The executor, then the drain."""
    refunder = Refunder("simulated", provider, unnamed=True)
    taken = refunds.run_due(shop.engine, shop.streams, SHARDS, refunder, datetime.now(UTC) + later, **more)
    shop.work()
    return taken


def ledger(url, *payments):
    found = httpx.get(f"{url}/_simulator/books", trust_env=False).json()["payments"]
    return [
        {**made, "payment_id": name} for name, kept in found.items() if name in payments for made in kept["refunds"]
    ]


def amounts(url, *payments):
    return [Decimal(made["amount"]) for made in ledger(url, *payments)]


def states(shop):
    with shop.engine.connect() as conn:
        return {state: n for state, n in refunds.counts(conn).items() if n}


def effect(shop):
    return shop.rows("select * from effects")[0]


def refunded(shop):
    return shop.rows("select status, refunded_amount from transactions")[0]


def release(shop, effect_id):
    with shop.engine.begin() as conn:
        return refunds.release(conn, effect_id, "kim")


def a_canceled_order(number="1", paid=12_000, **more):
    return [*a_paid_order(number, paid, **more), an_event("OrderCanceled", number)]


@dataclass
class Scripted:
    """A provider that notes each call, and does what `script` says next; else what the real one does."""

    real: RefundClient
    script: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    rules: RefundRules = RULES

    def refund(self, request):
        self.calls.append(("refund", request.amount.amount, request.id))
        return self._next(lambda: self.real.refund(request))

    def refunds(self, payment_id):
        self.calls.append("asked")
        return self.real.refunds(payment_id)

    def _next(self, act):
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        return step(act) if step else act()


def lose_the_answer(act):
    act()
    raise RefundUnknown("the line broke")


# -- the good end --------------------------------------------------------------------------------------------


def test_what_is_in_flight_on_one_payment_does_not_go_out_on_another(shop, provider, calm, name):
    """A target that fell meanwhile, and rose on the other payment: the order's money goes back once."""
    other = f"{name} again"
    shop.tell(*a_paid_order("1", 12_000, payment=name))
    shop.tell(an_event("PaymentSucceeded", "1", paymentId=other, amount="12000", currency="KRW"))
    shop.do(
        "insert into effects (id, order_id, transaction_id, payment_id, currency, target, made, asked, state,"
        " idempotency_key, next_at) select gen_random_uuid(), order_id, id, payment_id, currency, 0, 0, 5000, 'in_flight',"
        " 'another', now() + interval '2 h' from transactions where payment_id = :name",
        name=name,
    )
    run(shop, provider)
    assert amounts(calm, name, other) == [7_000]


def test_a_refund_goes_out_and_comes_back_as_an_event(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    assert states(shop) == {"due": 1}
    assert run(shop, provider) == 1
    assert states(shop) == {"done": 1}
    assert amounts(calm, name) == [12_000]
    assert refunded(shop) == ("canceled", 12_000)
    (told,) = shop.rows("select source, subject, version, data from journal where type = 'PaymentRefunded'")
    assert told[:3] == ("refunds:simulated", "1", 2)
    about = {"paymentId": name, "amount": "12000", "status": "succeeded"}
    assert {name: told.data[name] for name in about} == about
    assert told.data["refund"].startswith("re_")
    assert run(shop, provider, HOUR) == 0


def test_what_was_refunded_by_hand_and_reported_counts(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    shop.tell(an_event("PaymentRefunded", paymentId=name, refundedAmount="5000"))
    run(shop, provider)
    assert amounts(calm, name) == [7_000]
    assert effect(shop).made == 12_000


def test_nothing_is_asked_where_nothing_is_left(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    shop.tell(an_event("PaymentRefunded", paymentId=name, refundedAmount="12000"))
    assert run(shop, provider) == 1
    assert states(shop) == {"done": 1}
    assert not ledger(calm, name)


def test_a_target_that_rises_in_flight_is_reached_in_a_second_step(shop, provider, calm, name):
    def meanwhile(act):
        shop.tell(an_event("OrderCanceled", "1"))
        return act()

    shop.tell(*a_paid_order("1", 12_000, total=10_000, payment=name))
    scripted = Scripted(provider, [meanwhile])
    assert run(shop, scripted) == 2
    assert amounts(calm, name) == [2_000, 10_000]
    assert states(shop) == {"done": 1}
    assert refunded(shop) == ("canceled", 12_000)
    first, second = (call[2] for call in scripted.calls if call != "asked")
    assert first != second, "each attempt has an id of its own"


def test_where_staff_decide_what_rose_in_flight_waits_for_them(shop, provider, calm, name):
    def meanwhile(act):
        shop.tell(an_event("OrderCanceled", "1"))
        return act()

    shop.tell(*a_paid_order("1", 12_000, total=10_000, payment=name))
    run(shop, Scripted(provider, [meanwhile]), raised="staff")
    assert amounts(calm, name) == [2_000]
    assert states(shop) == {"staff": 1}


def test_a_target_that_rises_afterwards_makes_it_due_again(shop, provider, calm, name):
    shop.tell(*a_paid_order("1", 12_000, total=10_000, payment=name))
    run(shop, provider)
    shop.tell(an_event("OrderCanceled", "1"))
    run(shop, provider)
    assert amounts(calm, name) == [2_000, 10_000]
    assert refunded(shop) == ("canceled", 12_000)


# -- bad days ------------------------------------------------------------------------------------------------


def until_done(shop, engine, provider, rounds=80):
    """Run with time going on until every refund is made; an operator lets go what was given up."""
    for later in range(rounds):
        refunder = Refunder("simulated", provider, unnamed=True)
        refunds.run_due(engine, shop.streams, SHARDS, refunder, datetime.now(UTC) + later * 2 * HOUR)
        for row in shop.rows("select effect_id from dead_letters where state = 'open' and reason = 'refund_gave_up'"):
            release(shop, row.effect_id)
        if set(states(shop)) == {"done"}:
            return
    pytest.fail(f"after {rounds} rounds: {states(shop)}")


@pytest.mark.parametrize("executors", [1, 3])
@pytest.mark.timeout(300)
def test_on_bad_days_exactly_the_target_goes_back(shop, database_url, executors):
    """Three executors whose clocks run apart take each other's leases for over; still none doubles."""
    orders = {f"bad-{n}": 10_000 + n for n in range(24)}
    shop.tell(*(event for number, paid in orders.items() for event in a_canceled_order(number, paid)))
    assert states(shop) == {"due": 24}
    with running("standard", *options(bad=True)) as (_, url), ThreadPoolExecutor(executors) as rivals:

        def executor():
            engine = engines.connect(database_url, pinned=True)
            with closing(StandardRefunds(url, rules=QUICK)) as client:
                until_done(shop, engine, client)
            engine.dispose()

        for job in [rivals.submit(executor) for _ in range(executors)]:
            job.result()
        made = ledger(url, *(f"pay-{number}" for number in orders))
    assert {m["payment_id"]: Decimal(m["amount"]) for m in made} == {f"pay-{n}": paid for n, paid in orders.items()}
    assert max(Counter(m["payment_id"] for m in made).values()) == 1
    shop.work()
    assert shop.rows("select distinct status from transactions where refunded_amount = amount") == [("canceled",)]
    assert shop.rows("select count(*) from journal where type = 'PaymentRefunded'") == [(24,)]


def test_after_an_unknown_answer_it_asks_what_was_done(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    scripted = Scripted(provider, [lose_the_answer])
    run(shop, scripted)
    assert states(shop) == {"unknown": 1}
    assert run(shop, scripted) == 0  # not before its wait is over
    run(shop, scripted, HOUR)
    assert [call if call == "asked" else call[0] for call in scripted.calls] == ["asked", "refund", "asked"]
    assert amounts(calm, name) == [12_000]
    assert states(shop) == {"done": 1}
    assert refunded(shop) == ("canceled", 12_000)


def test_then_it_asks_again_with_the_same_key_and_amount(shop, provider, calm, name):
    """Also where the next answer says that nothing was done, and the target rose: the first may be on its way."""
    shop.tell(*a_paid_order("1", 12_000, total=10_000, payment=name))
    scripted = Scripted(provider, [RefundUnknown("silence"), RefundNotMade("busy")])
    run(shop, scripted)
    shop.tell(an_event("OrderCanceled", "1"))
    run(shop, scripted, HOUR)
    assert states(shop) == {"unknown": 1}
    run(shop, scripted, 3 * HOUR)
    assert scripted.calls[::2] == ["asked"] * 4
    first, second, third, rest = scripted.calls[1::2]
    assert first == second == third
    assert first[1] == 2_000
    assert rest[1] == 10_000
    assert amounts(calm, name) == [2_000, 10_000]


def test_what_was_surely_not_made_is_due_again_later(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    scripted = Scripted(provider, [RefundNotMade("busy")])
    run(shop, scripted)
    row = effect(shop)
    assert (row.state, row.idempotency_key, row.attempts, row.last_error) == ("due", None, 1, "busy")
    assert run(shop, scripted) == 0
    run(shop, scripted, HOUR)
    first, second = (call for call in scripted.calls if call != "asked")
    assert first[2] != second[2]
    assert amounts(calm, name) == [12_000]


def test_an_adapter_that_fails_leaves_the_refund_unknown(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    run(shop, Scripted(provider, [KeyError("amount")]))
    assert (effect(shop).state, effect(shop).last_error) == ("unknown", "KeyError: 'amount'")
    run(shop, provider, HOUR)
    assert amounts(calm, name) == [12_000]


def test_an_answer_that_cannot_be_kept_stops_nobody(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    run(shop, Scripted(provider, [lambda act: replace(act(), refund_id="\x00")]))
    assert states(shop) == {"unknown": 1}
    run(shop, provider, HOUR)
    assert amounts(calm, name) == [12_000]
    assert states(shop) == {"done": 1}


# -- killed, or too slow -------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from providers.payments.standard import StandardRefunds
from outbound import refund_attempt, refunds
from journal.streams import Streams, connect
from storage import engine

database_url, redis_url, url, moment = sys.argv[1:]

class Killed(StandardRefunds):
    def refund(self, *arguments):
        if moment == "after":
            super().refund(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

streams = Streams(connect(redis_url), 64, lambda shard: None)
refunder = refund_attempt.Refunder("simulated", Killed(url), unnamed=True)
refunds.run_due(engine.connect(database_url), streams, 64, refunder, datetime.now(UTC))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_worker_killed_between_claim_and_answer_costs_the_lease(
    shop, provider, calm, name, moment, database_url, redis_url
):
    shop.tell(*a_canceled_order(payment=name))
    died = subprocess.run(
        [sys.executable, "-c", KILLED, database_url, redis_url, calm, moment], cwd=ROOT, check=False, timeout=60
    )
    assert died.returncode == -9
    assert len(ledger(calm, name)) == (moment == "after")
    assert states(shop) == {"in_flight": 1}
    assert run(shop, provider) == 0
    assert run(shop, provider, LEASE_OVER) == 1
    assert amounts(calm, name) == [12_000]
    assert states(shop) == {"done": 1}
    assert refunded(shop) == ("canceled", 12_000)


def test_an_answer_after_the_lease_changes_nothing(shop, provider, calm, name):
    def slow(act):
        told = act()
        assert run(shop, provider, LEASE_OVER) == 1  # a rival takes it over, and ends it
        return told

    shop.tell(*a_canceled_order(payment=name))
    run(shop, Scripted(provider, [slow]))
    assert amounts(calm, name) == [12_000]
    assert states(shop) == {"done": 1}
    assert shop.rows("select count(*) from journal where type = 'PaymentRefunded'") == [(1,)]


# -- given up ------------------------------------------------------------------------------------------------


@pytest.fixture
def refusing():
    """A provider that refuses every refund."""
    with running("standard", "--mishap", "refused=1") as (_, url), closing(StandardRefunds(url)) as client:
        yield client


def test_what_is_refused_is_dead_until_a_person_releases_it(shop, refusing):
    provider = refusing
    shop.tell(*a_canceled_order(payment="REFUSE-1"))
    run(shop, provider)
    row = effect(shop)
    assert (row.state, row.idempotency_key) == ("dead", None)
    (letter,) = shop.rows("select * from dead_letters")
    assert (letter.effect_id, letter.reason, letter.state) == (row.id, "refund_refused", "open")
    for word in ("12,000 KRW", "REFUSE-1", "never refunded", f"orders given-up replay {format_id('effects', row.id)}"):
        assert word in letter.detail
    assert run(shop, provider, 24 * HOUR) == 0

    assert release(shop, row.id)
    assert not release(shop, row.id)
    assert states(shop) == {"due": 1}
    assert shop.rows("select state from dead_letters") == [("replayed",)]
    (audit,) = shop.rows("select actor, action, target, before, after, order_number from audit")
    assert audit == (
        "kim",
        "refunds release",
        format_id("effects", row.id),
        {"state": "dead"},
        {"state": "due"},
        "1",
    )
    run(shop, provider)
    assert shop.rows("select state, deaths from dead_letters") == [("open", 2)]


@pytest.mark.parametrize("effect_id", ["nonsense", "00000000-0000-7000-8000-000000000000"])
def test_nothing_else_can_be_released(shop, effect_id):
    assert not release(shop, effect_id)


def test_one_that_is_tried_too_often_is_dead_and_still_in_doubt(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    away = Scripted(provider, [RefundUnknown("silence")] * backoff.MAX_ATTEMPTS)
    for attempt in range(backoff.MAX_ATTEMPTS):
        assert run(shop, away, attempt * 2 * HOUR) == 1
    assert states(shop) == {"dead": 1}
    assert shop.rows("select reason from dead_letters") == [("refund_gave_up",)]
    assert release(shop, format_id("effects", effect(shop).id))
    assert states(shop) == {"unknown": 1}
    run(shop, away)
    assert away.calls[-2] == "asked"
    assert len({call[2] for call in away.calls if call != "asked"}) == 1
    assert amounts(calm, name) == [12_000]


def test_the_waits_are_as_their_examples_say():
    found = doctest.testmod(backoff)
    assert found.attempted
    assert not found.failed


def test_a_provider_that_is_away_is_tried_again_then_given_up(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    with closing(StandardRefunds("http://127.0.0.1:1")) as nobody:
        for attempt in range(backoff.MAX_ATTEMPTS):
            assert states(shop) == {"due": 1}
            run(shop, nobody, attempt * 2 * HOUR)
    assert states(shop) == {"dead": 1}
    release(shop, effect(shop).id)
    run(shop, provider)
    assert amounts(calm, name) == [12_000]


def test_a_refund_that_somebody_else_crossed_is_left_to_a_person(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    run(shop, Scripted(provider, [RefundUnknown("silence")]))
    by_hand(provider, name, 5_000)
    run(shop, provider, HOUR)
    assert shop.rows("select reason from dead_letters") == [("refund_in_doubt",)]
    assert refunded(shop) == ("paid", 5_000)
    release(shop, effect(shop).id)
    run(shop, provider)
    assert amounts(calm, name) == [5_000, 7_000]
    assert refunded(shop) == ("canceled", 12_000)


# -- what the provider knows first --------------------------------------------------------------------------


def by_hand(provider, payment, amount):
    provider.refund(RefundRequest(f"hand-{payment}-{amount}", payment, Money(Decimal(amount), "KRW")))


def test_what_went_back_there_unreported_is_learnt_and_only_the_rest_goes_out(shop, provider, calm, name):
    """A refund in the dashboard whose webhook was lost; so too one of ours, after a backup was restored."""
    shop.tell(*a_canceled_order(payment=name))
    by_hand(provider, name, 5_000)
    assert run(shop, provider) == 2
    assert amounts(calm, name) == [5_000, 7_000]
    assert refunded(shop) == ("canceled", 12_000)
    assert states(shop) == {"done": 1}


def test_one_that_is_open_there_is_followed_to_its_end_and_not_made_again(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    told = Told(provider, ["pending"] * (backoff.MAX_ATTEMPTS + 2) + ["succeeded"])
    for turn in range(backoff.MAX_ATTEMPTS + 2):
        run(shop, told, turn * 2 * HOUR)
        assert states(shop) == {"unknown": 1}, "it waits as long as the provider does, and is no dead letter"
        assert "pending there since" in effect(shop).last_error
    run(shop, told, 40 * HOUR)
    assert states(shop) == {"done": 1}
    assert amounts(calm, name) == [12_000]


def test_one_that_fails_there_is_dead_with_the_providers_words(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    told = Told(provider, ["pending", "failed"])
    run(shop, told)
    run(shop, told, HOUR)
    (letter,) = shop.rows("select reason, detail from dead_letters")
    assert letter.reason == "refund_failed"
    assert "failed there: closed_account The account is closed" in letter.detail
    assert refunded(shop) == ("paid", 0)


@dataclass
class Told:
    """A provider that says of a refund what the script has; else what the real one does."""

    real: RefundClient
    statuses: list
    rules: RefundRules = RULES

    def refund(self, request):
        return self._said(self.real.refund(request))

    def refunds(self, payment_id):
        return [self._said(each) for each in self.real.refunds(payment_id)]

    def _said(self, movement: RefundMovement):
        status: Any = self.statuses.pop(0) if self.statuses else "succeeded"
        if status == "failed":
            return replace(movement, status=status, code="closed_account", message="The account is closed")
        return replace(movement, status=status)


def test_a_balance_that_is_not_what_we_think_is_asked_for_and_tried_again(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    scripted = Scripted(provider, [RefundStale("another amount can be canceled")])
    run(shop, scripted)
    assert states(shop) == {"due": 1}
    by_hand(provider, name, 2_000)
    run(shop, scripted, HOUR)
    assert amounts(calm, name) == [2_000, 10_000]


def test_after_the_keys_life_an_attempt_that_is_not_there_was_not_made(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name))
    scripted = Scripted(provider, [RefundUnknown("silence")])
    run(shop, scripted)
    run(shop, scripted, RULES.key_life + HOUR)
    first, second = (call for call in scripted.calls if call != "asked")
    assert first[2] != second[2]
    assert amounts(calm, name) == [12_000]


def test_an_error_that_the_provider_repeats_for_one_key_takes_another(shop, provider, calm, name):
    """Stripe answers a key with its stored 500 for a day: the same key would never come to a good end."""
    shop.tell(*a_canceled_order(payment=name))
    stored = RefundUnknown("answered 500", answered=True)
    scripted = Scripted(provider, [stored, stored], rules=replace(RULES, stores_errors=True))
    for turn in range(3):
        run(shop, scripted, turn * 2 * HOUR)
    first, second, third = (call[2] for call in scripted.calls if call != "asked")
    assert first == second != third
    assert amounts(calm, name) == [12_000]


# -- what does not go out by itself --------------------------------------------------------------------------


def test_what_is_held_never_goes_out(shop, provider, calm, name):
    shop.tell(*a_canceled_order(payment=name), held=True)
    assert states(shop) == {"held": 1}
    assert run(shop, provider, 10_000 * HOUR) == 0
    assert not release(shop, effect(shop).id)
    assert not ledger(calm, name)


def test_what_staff_decide_waits_for_their_release(database_url, redis_url, provider, calm, name):
    with a_shop(database_url, redis_url, refunds="staff") as shop:
        shop.tell(*a_canceled_order(payment=name))
        assert states(shop) == {"staff": 1}
        assert run(shop, provider, 10_000 * HOUR) == 0
        assert release(shop, effect(shop).id)
        run(shop, provider)
        assert states(shop) == {"done": 1}
        assert amounts(calm, name) == [12_000]


def test_at_most_the_limit_is_taken_up(shop, provider):
    shop.tell(*(event for n in range(3) for event in a_canceled_order(f"limit-{n}")))
    assert run(shop, provider, limit=2) == 2
    assert states(shop) == {"done": 2, "due": 1}
