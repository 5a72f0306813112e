"""One suite that every listing passes: what happened at a provider in a time, page by page, as its look-up tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from events.money import Money
from outbound.refund_attempt import DONE
from providers.base import NoAnswer
from tests.conformance.conftest import able, named
from tests.refund_services import Service, a_claim, settle, simulator

HOUR = timedelta(hours=1)
MANY = 120  # more than a page


@pytest.fixture(scope="module", params=able("lists"), ids=named)
def subject(request):
    return request.param


@pytest.fixture(scope="module")
def listed(running, subject, connect):
    """A provider with payments, refunds of ours and one by hand; the client that refunds lists, too."""
    with running(simulator(subject.name)) as (_, url):
        service = Service(subject.name, url, connect(subject, "lists", url))
        for n in range(MANY):
            service.capture(f"pay-{n:03d}", "10.00", "USD")
        for n in range(3):
            assert settle(service.client, a_claim(f"pay-{n:03d}", Money(Decimal("2.50"), "USD"))).state == DONE
        service.by_hand("pay-003", "4.00")
        yield service


def test_every_payment_of_the_time_is_listed_once_as_it_stands(listed):
    now = datetime.now(UTC)
    found = {each.payment_id: each for each in listed.client.payments(now - HOUR, now + HOUR)}
    assert sorted(found) == [f"pay-{n:03d}" for n in range(MANY)]
    assert {each.captured for each in found.values()} == {Decimal("10.00")}
    refunded = {payment: each.refunded for payment, each in found.items() if each.refunded}
    assert refunded == {**{f"pay-{n:03d}": Decimal("2.50") for n in range(3)}, "pay-003": Decimal("4.00")}
    for payment in ("pay-000", "pay-003", "pay-050"):
        asked = listed.client.ask("", now, {"paymentId": payment})
        assert (asked.captured, asked.refunded) == (found[payment].captured, found[payment].refunded)


def test_every_refund_of_the_time_is_listed_once_whoever_made_it(listed):
    now = datetime.now(UTC)
    found = list(listed.client.movements(now - HOUR, now + HOUR))
    assert sorted((each.payment_id, each.amount) for each in found) == [
        ("pay-000", Decimal("2.50")),
        ("pay-001", Decimal("2.50")),
        ("pay-002", Decimal("2.50")),
        ("pay-003", Decimal("4.00")),
    ]
    ours = {each.key for each in listed.books() if each.key}
    assert {each.reference for each in found} == {*ours, None}


def test_nothing_is_listed_of_another_time(listed):
    then = datetime.now(UTC) - 100 * HOUR
    assert list(listed.client.payments(then, then + HOUR)) == []
    assert list(listed.client.movements(then, then + HOUR)) == []


def test_a_provider_that_is_away_is_no_answer(subject, connect):
    client = connect(subject, "lists", "http://127.0.0.1:1")
    with pytest.raises(NoAnswer):
        list(client.payments(datetime.now(UTC) - HOUR, datetime.now(UTC)))
