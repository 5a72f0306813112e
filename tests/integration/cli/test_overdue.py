"""Refunds that are overdue by the legal clock: listed by the command, told of by doctor, from when they became due."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.legal_clock import BusinessDays
from operations.overdue_refunds import count_overdue, overdue
from operations.why import why
from settings.countries import legal_clock
from tests.builders import canceled, created, later, paid, refunded, told
from tests.integration.cli.conftest import Shop

CLOCK = legal_clock(BusinessDays(3), "KR")
LONG = timedelta(days=30)


def owes(shop: Shop, number: str = "1", *, held: bool = False) -> None:
    """An order that is canceled after it was paid: all of it is to go back."""
    told_ = (created(payments=(f"pay-{number}",)), paid(payment=f"pay-{number}"), canceled())
    shop.tell(*(replace(each, subject=number) for each in told_), held=held)


def late(shop: Shop, after: timedelta = LONG) -> list[tuple[str, str]]:
    with shop.opened.engine.connect() as conn:
        [(now,)] = shop.do("select now()")
        found = overdue(conn, CLOCK, now + after, 100)
        assert count_overdue(conn, CLOCK, now + after)[0] == len(found)
        return [(each.order_number, each.state) for each in found]


def test_a_refund_is_overdue_once_its_business_days_are_over(shop):
    owes(shop)
    [(since,)] = shop.do("select due_since from effects")
    due_in = CLOCK.due(since) - since
    assert late(shop, due_in - timedelta(minutes=5)) == []
    assert late(shop, due_in + timedelta(minutes=5)) == [("1", "due")]


@pytest.mark.parametrize("state", ["due", "in_flight", "unknown", "staff", "dead", "account_needed"])
def test_whatever_keeps_a_refund_it_is_overdue(shop, state):
    owes(shop)
    shop.do("update effects set state = :state", state=state)
    assert late(shop) == [("1", state)]


def test_what_went_back_is_not_overdue_and_what_failed_since_is_again(shop):
    owes(shop)
    back: dict[str, Any] = {"refund": "re-1", "amount": "10000"}
    made = told("PaymentRefunded", paymentId="pay-1", **back, status="succeeded", subject="1")
    shop.tell(replace(made, version=2))
    shop.do("update effects set state = 'done', made = target")
    assert late(shop) == []
    shop.tell(told("RefundFailed", paymentId="pay-1", **back, subject="1", at=later(days=3)))
    assert late(shop) == [("1", "done")]


def test_what_is_below_the_providers_step_is_owed_by_nobody_until_the_rest_fails(shop):
    """Stripe moves no half ten of fils: what the executor closed so stays on the payment."""
    owes(shop)
    back: dict[str, Any] = {"refund": "re-1", "amount": "9995"}
    shop.tell(replace(told("PaymentRefunded", paymentId="pay-1", **back, status="succeeded", subject="1"), version=2))
    shop.do("update effects set state = 'done', made = 9995")
    assert late(shop) == []
    with shop.opened.engine.connect() as conn:
        assert why(conn, [shop.do("select id from orders")[0][0]]) == []
    shop.tell(told("RefundFailed", paymentId="pay-1", **back, subject="1", at=later(days=3)))
    assert late(shop) == [("1", "done")]


def test_history_is_never_overdue(shop):
    owes(shop, held=True)
    assert late(shop) == []


def test_more_that_becomes_due_has_a_time_of_its_own(shop):
    shop.tell(*(replace(each, subject="1") for each in (created(payments=("pay-1",)), paid(12_000, payment="pay-1"))))
    shop.do("update effects set due_since = now() - interval '60 days', created_at = now() - interval '60 days'")
    assert late(shop, timedelta(0)) == [("1", "due")]
    shop.tell(replace(refunded(2_000, payment="pay-1"), subject="1"))
    shop.do("update effects set state = 'done', made = target")
    assert late(shop, timedelta(0)) == []
    shop.tell(replace(canceled(), subject="1"))
    assert late(shop, timedelta(0)) == []
    assert late(shop) == [("1", "due")]


def test_the_command_lists_them_and_doctor_tells_of_them(shop, orders):
    owes(shop)
    assert orders("overdue").code == 0
    shop.do("update effects set due_since = now() - interval '30 days', state = 'staff'")
    answer = orders("overdue", "--json")
    assert answer.code == 1
    [found] = answer.json["refunds"]
    assert (found["order"], found["payment"], found["amount"], found["state"]) == ("1", "pay-1", 10_000, "staff")
    assert found["dueSince"] < found["dueBy"]
    assert "waits for a person" in orders("overdue").out
    [check] = [each for each in orders("doctor", "--json").json["checks"] if "overdue" in each["says"]]
    assert (check["name"], check["level"]) == ("refunds", "problem")
    assert "orders overdue" in check["remedy"]


def test_a_clock_that_is_off_cannot_be_asked(shop, orders, monkeypatch):
    owes(shop)
    shop.do("update effects set due_since = now() - interval '30 days'")
    monkeypatch.setenv("ORDERS_REFUND_WITHIN", "off")
    answer = orders("overdue")
    assert answer.code == 2
    assert "ORDERS_REFUND_WITHIN is off" in answer.err
    assert not [each for each in orders("doctor", "--json").json["checks"] if "overdue" in each["says"]]
