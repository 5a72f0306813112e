"""One suite that every listing passes: what happened at a provider in a time, page by page, as its look-up tells it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from events.money import Money
from outbound.refund_attempt import DONE
from providers.base import NoAnswer, Payment
from providers.movements import Dispute, RefundMovement
from tests.conformance.conftest import able, named
from tests.refund_services import Service, a_claim, settle, simulator

HOUR = timedelta(hours=1)
MANY = 120  # more than a page
TOLD = ("dp_pay-010", Decimal("10.00"))
DISPUTES = {"stripe": TOLD, "standard": TOLD, "portone": ("dp_pay-010", None)}  # amounts, where they are told


@pytest.fixture(scope="module", params=able("lists"), ids=named)
def subject(request):
    return request.param


@pytest.fixture(scope="module")
def listed(running, subject, connect):
    """A provider with payments, refunds of ours, one by hand, and a dispute; the client that refunds lists, too."""
    with running(simulator(subject.name)) as (_, url):
        service = Service(subject.name, url, connect(subject, "lists", url))
        for n in range(MANY):
            service.capture(f"pay-{n:03d}", "10.00", "USD")
        for n in range(3):
            assert settle(service.client, a_claim(f"pay-{n:03d}", Money(Decimal("2.50"), "USD"))).state == DONE
        service.by_hand("pay-003", "4.00")
        service.dispute("pay-010")
        service.dispute("pay-011")
        service.by_hand("pay-011", "1.00")
        yield service


def every(client, since, until):
    """(payments, movements, disputes, remarks, pages) of all pages, as they came."""
    payments: list[Payment] = []
    movements: list[RefundMovement] = []
    disputes: list[Dispute] = []
    remarks: set[str] = set()
    after: str | None = None
    for pages in range(1, 100):
        page = client.page(since, until, after)
        payments += page.payments
        movements += page.movements
        disputes += page.disputes or ()
        remarks |= {page.remark} if page.remark else set()
        after = page.after
        if after is None:
            return payments, movements, disputes, remarks, pages
    raise AssertionError("a hundred pages, and no end")


def test_every_payment_of_the_time_is_listed_as_it_stands(listed):
    now = datetime.now(UTC)
    payments, _, _, _, pages = every(listed.client, now - HOUR, now + HOUR)
    assert {each.payment_id for each in payments} == {f"pay-{n:03d}" for n in range(MANY)}
    assert {each.captured for each in payments} == {Decimal("10.00")}
    assert pages > 1
    for payment in ("pay-000", "pay-003", "pay-050"):
        asked = listed.client.ask("", now, {"paymentId": payment})
        for told in (each for each in payments if each.payment_id == payment):
            assert (asked.captured, asked.captured_at, asked.currency) == (
                told.captured, told.captured_at, told.currency,
            )  # fmt: skip


def test_every_refund_of_the_time_is_listed_whoever_made_it(listed):
    now = datetime.now(UTC)
    _, found, _, _, _ = every(listed.client, now - HOUR, now + HOUR)
    assert {(each.payment_id, each.amount, each.status) for each in found} == {
        *((f"pay-{n:03d}", Decimal("2.50"), "succeeded") for n in range(3)),
        ("pay-003", Decimal("4.00"), "succeeded"),
        ("pay-011", Decimal("1.00"), "succeeded"),
    }
    ours = {each.key for each in listed.books() if each.key}
    assert {each.reference for each in found} == {*ours, None}


def test_disputes_are_listed_or_it_is_said_that_they_are_not(listed):
    now = datetime.now(UTC)
    _, _, found, remarks, _ = every(listed.client, now - HOUR, now + HOUR)
    expected = DISPUTES.get(listed.provider)
    if expected is None:
        assert found == []
        assert any("dispute" in each for each in remarks)
    else:
        told = {(each.dispute_id, each.payment_id, each.amount, each.outcome) for each in found}
        assert (expected[0], "pay-010", expected[1], "open") in told
        assert {payment for _, payment, _, _ in told} <= {"pay-010", "pay-011"}


def test_all_that_is_known_of_one_payment(listed):
    page = listed.client.about("pay-003")
    assert [each.payment_id for each in page.payments] == ["pay-003"]
    assert [(each.amount, each.reference) for each in page.movements] == [(Decimal("4.00"), None)]
    disputed = listed.client.about("pay-010").disputes
    assert (disputed is None) == (listed.provider not in DISPUTES)
    assert listed.client.about("unheard-of") is None


def test_no_word_of_a_dispute_is_not_the_word_that_there_is_none(listed):
    """PortOne tells the disputes of a payment until a part of it went back."""
    disputes = listed.client.about("pay-011").disputes
    assert disputes is None or [each.payment_id for each in disputes] == ["pay-011"]
    assert (disputes is None) == (listed.provider not in ("stripe", "standard"))


def test_a_payment_that_changes_between_two_pages_takes_no_other_out_of_them(listed):
    """A list by the last change loses a payment that changes, and all behind it move up."""
    time.sleep(1.1)  # a time of whole seconds leaves out what happened in this one
    until = datetime.now(UTC)
    page = listed.client.page(until - HOUR, until, None)
    changed = page.payments[0].payment_id
    listed.by_hand(changed, "0.25")
    found = {each.payment_id for each in page.payments}
    while page.after is not None:
        page = listed.client.page(until - HOUR, until, page.after)
        found |= {each.payment_id for each in page.payments}
    assert found >= {f"pay-{n:03d}" for n in range(MANY)} - {changed}


def test_nothing_is_listed_of_another_time(listed):
    then = datetime.now(UTC) - 100 * HOUR
    payments, movements, disputes, _, _ = every(listed.client, then, then + HOUR)
    assert (payments, movements, disputes) == ([], [], [])


def test_a_provider_that_is_away_is_no_answer(subject, connect):
    client = connect(subject, "lists", "http://127.0.0.1:1")
    with pytest.raises(NoAnswer):
        client.page(datetime.now(UTC) - HOUR, datetime.now(UTC), None)
    with pytest.raises(NoAnswer):
        client.about("pay-000")


def test_whoever_asks_too_often_is_told_to_wait(subject, connect, running):
    with running(simulator(subject.name), "--mishap", "rate_limit=1") as (_, url):
        with pytest.raises(NoAnswer) as refused:
            connect(subject, "lists", url).page(datetime.now(UTC) - HOUR, datetime.now(UTC), None)
        assert refused.value.retry_after == 1


def test_a_key_that_may_not_read_disputes_leaves_the_rest(subject, connect):
    if subject.name != "stripe":
        pytest.skip("its key has one right for all")
    client = connect(subject, "lists", "http://127.0.0.1:1")
    import stripe

    class Denied:
        def list(self, asked):
            raise stripe.PermissionError("this key may not", http_status=403, code="permission")

    class Fake:
        class v1:  # noqa: N801 -- as the library names it
            disputes = Denied()

    client._client = lambda timeout=None: Fake  # the library, as far as it is asked here
    page = client.page(datetime.now(UTC) - HOUR, datetime.now(UTC), "disputes")
    assert page.after is None
    assert "let ORDERS_STRIPE_API_KEY read disputes" in page.remark


def test_the_simulator_refuses_a_dispute_of_another_kind(listed):
    answer = httpx.post(f"{listed.url}/_simulator/payments/pay-000/disputes", json={"state": "odd"}, trust_env=False)
    assert answer.status_code == 400
