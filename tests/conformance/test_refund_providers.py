"""One suite that every refund provider passes, in its own wire format: once a target, whatever happens on the way."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest

from events.money import Money
from outbound.refund_attempt import DEAD, DONE
from providers.base import RefundNotMade, RefundRefused, RefundUnknown
from providers.movements import RefundRequest
from tests.conformance.conftest import QUICK_S, able, named
from tests.refund_services import Service, a_claim, options, settle, simulator
from tests.simulators import WIRE_FORMATS

PAYMENTS = [f"pay-{number}" for number in range(8)]
TARGETS = [Decimal("3.50"), Decimal("10.00")]  # cumulative
ID = "018f2e6a-7b1c-7d2e-9f3a-0b1c2d3e4f5{}"


def dollars(amount):
    return Money(Decimal(amount), "USD")


def a_request(payment, amount, number=0, **more):
    return RefundRequest(ID.format(number), payment, dollars(amount), **more)


@pytest.fixture(scope="module", params=able("refunds"), ids=named)
def subject(request):
    return request.param


def connected(connect, subject, url, *, bad=False):
    client = connect(subject, "refunds", url)
    if bad:
        client.rules = replace(client.rules, answer_s=QUICK_S)
    return Service(subject.name, url, client)


@pytest.fixture(scope="module", params=[False, True], ids=["calm", "bad days"])
def service(request, running, subject, connect, quick):
    with running(simulator(subject.name), *options(bad=request.param)) as (_, url):
        quick(request.param)
        yield connected(connect, subject, url, bad=request.param)


def test_a_payment_is_refunded_once_a_target(service):
    for payment in PAYMENTS:
        service.capture(payment, "10.00")
        before = Decimal(0)
        for target in TARGETS:
            answer = settle(service.client, a_claim(payment, dollars(target - before), before, captured=Decimal(10)))
            assert answer.state == DONE, answer
            assert answer.gone == target
            before = target
    made = service.books(*PAYMENTS)
    assert {(each.payment_id, each.amount) for each in made} == {
        (payment, amount) for payment in PAYMENTS for amount in (Decimal("3.50"), Decimal("6.50"))
    }
    assert len(made) == len({each.key for each in made}) == 2 * len(PAYMENTS)


def test_of_20_attempts_in_a_row_on_one_payment_the_books_show_each_amount_once(running, subject, connect, quick):
    """On one payment, through failures, stored errors and timeouts; each amount is another, so that a double is seen."""
    quick(True)
    amounts = [Decimal(n) / 4 for n in range(1, 21)]
    with running(simulator(subject.name), *options(bad=True)) as (_, url):
        service = connected(connect, subject, url, bad=True)
        service.capture("row", "100.00")
        gone = Decimal(0)
        for amount in amounts:
            answer = settle(service.client, a_claim("row", dollars(f"{amount:.2f}"), gone, captured=Decimal(100)))
            assert answer.state == DONE, answer
            gone += amount
        made = service.books("row")
    assert sorted(each.amount for each in made) == amounts


def test_the_same_id_answers_the_same_refund(service):
    service.capture("again", "10.00")
    first = until_answered(service.client, a_request("again", "5"))
    assert until_answered(service.client, a_request("again", "5")) == first
    assert len(service.books("again")) == 1


def test_rivals_with_one_id_make_one_refund(service):
    service.capture("rivals", "10.00")
    with ThreadPoolExecutor(8) as rivals:
        jobs = [rivals.submit(until_answered, service.client, a_request("rivals", "5", 1)) for _ in range(8)]
        assert len({job.result() for job in jobs}) == 1
    assert len(service.books("rivals")) == 1


def test_the_same_id_for_another_amount_is_refused(service):
    service.capture("reused", "10.00")
    until_answered(service.client, a_request("reused", "5", 2))
    with pytest.raises(RefundRefused):
        until_answered(service.client, a_request("reused", "4", 2))
    assert len(service.books("reused")) == 1


def test_more_than_was_captured_changes_nothing(service):
    service.capture("small", "10.00")
    assert settle(service.client, a_claim("small", dollars(6))).state == DONE
    with pytest.raises((RefundRefused, RefundNotMade)):
        until_answered(service.client, a_request("small", "5", 3), once=(RefundNotMade,))
    assert sum(each.amount for each in service.books("small")) == 6


def test_ids_may_hold_any_sign(service):
    for payment in ("결제 1", "a/b?c#d", "50%"):
        service.capture(payment, "10.00")
        assert settle(service.client, a_claim(payment, dollars(5))).state == DONE
        assert [(each.payment_id, each.amount) for each in service.books(payment)] == [(payment, 5)]


def test_a_payment_that_is_never_refunded_is_dead_with_the_providers_words(running, subject, connect, quick):
    quick(False)
    with running(simulator(subject.name), "--mishap", "refused=1") as (_, url):
        service = connected(connect, subject, url)
        service.capture("REFUSE-1", "10.00")
        answer = settle(service.client, a_claim("REFUSE-1", dollars(5)))
        assert (answer.state, answer.reason) == (DEAD, "refund_refused")
        assert ": " in (answer.error or "")
        if subject.name in WIRE_FORMATS:
            assert answer.next_step
        assert service.books("REFUSE-1") == []
        assert list(service.client.refunds("REFUSE-1")) == []


def test_a_careless_caller_does_refund_twice_on_bad_days(running, subject, connect, quick):
    """The suite can see a double: a new id after each failure makes some."""
    quick(True)
    with running(simulator(subject.name), *options(bad=True)) as (_, url):
        service = connected(connect, subject, url, bad=True)
        for place, payment in enumerate(PAYMENTS):
            service.capture(payment, "1000.00")
            for turn in range(60):
                careless = RefundRequest(f"018f2e6a-7b1c-7d2e-9f3a-{place:04d}{turn:08d}", payment, dollars(5))
                try:
                    service.client.refund(careless)
                    break
                except (RefundNotMade, RefundUnknown):
                    continue
        made = Counter(each.payment_id for each in service.books())
    assert max(made.values()) > 1


def test_a_provider_that_is_killed_and_restarted_forgets_nothing(running, tmp_path, subject, connect, quick):
    quick(False)
    state = ("--state", tmp_path / "provider.sqlite")
    with running(simulator(subject.name), *state) as (process, url):
        before = connected(connect, subject, url)
        before.capture("pay", "10.00")
        first = before.client.refund(a_request("pay", "5"))
        process.kill()
        process.wait()
        with pytest.raises((RefundNotMade, RefundUnknown)):
            before.client.refund(a_request("pay", "5"))
        with pytest.raises(RefundNotMade):
            before.client.refund(a_request("pay", "5"))
        with pytest.raises(RefundUnknown):
            before.client.refunds("pay")
    with running(simulator(subject.name), *state) as (_, url):
        after = connected(connect, subject, url)
        assert list(after.client.refunds("pay")) == [first]
        assert after.client.refund(a_request("pay", "5")) == first
        assert len(after.books()) == 1


def until_answered(client, request, tries=60, once=()):
    """The provider's word on one request, asked with one id until it has one; after a stored error, with another."""
    for turn in range(tries):
        try:
            return client.refund(request)
        except once:
            raise
        except RefundNotMade:
            continue
        except RefundUnknown as error:
            if error.answered and client.rules.stores_errors:
                request = replace(request, id=request.id[:-4] + f"{turn:04d}")
    raise AssertionError(f"no word on {request.payment_id} after {tries} tries")
