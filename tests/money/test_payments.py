"""Payments as they come: units, captures in part, voids, payments under way, disputes. Each test is a case by its name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from providers.simulators.start import KEYS
from tests.money.stripe_documents import charge, dispute, intent, refund, session
from tests.money.till import Till, sums

DAY = timedelta(days=1)
# Stripe's units, from “Supported currencies”: zero-decimal MGA and JPY; ISK and UGX with two; KWD and TND in tens.
UNITS = [
    ("UGX", "5000", 500_000), ("ISK", "5000", 500_000), ("MGA", "5000", 5_000),
    ("KWD", "5.250", 5_250), ("JPY", "5000", 5_000), ("TND", "5.250", 5_250),
]  # fmt: skip


@pytest.mark.parametrize(("currency", "amount", "units"), UNITS, ids=[each[0] for each in UNITS])
def test_stripes_minor_units_in_and_out(till: Till, currency, amount, units):
    sale = till.sale(amount, currency=currency)
    till.stripe("payment_intent.succeeded", intent(sale.payment, units, currency))
    assert till.stands(sale) == ("preparing", [])
    assert till.balance(sale) == sums(captured=amount, payable=amount)
    till.capture_at("stripe", sale, amount)
    till.move(sale, "canceled")
    assert till.effects(sale) == [f"due {Decimal(amount).normalize():f}"]
    till.attempt()
    assert till.balance(sale) == sums(captured=amount, due=amount, refunded=amount)
    key = {"Authorization": f"Bearer {KEYS['stripe']}"}
    url = f"{till.urls['stripe']}/v1/refunds?payment_intent={sale.payment}"
    (made,) = httpx.get(url, headers=key, trust_env=False).json()["data"]
    assert (made["amount"], made["currency"]) == (units, currency.lower())


def test_45_of_50_captured_then_charge_refunded_500(till: Till):
    """Stripe counts the 5 that were never captured as refunded: nothing went back, and nothing is due."""
    sale = till.sale("45.00")
    till.stripe("charge.captured", charge(sale.payment, 5000, "usd", captured=4500, back=500))
    till.stripe("charge.refunded", charge(sale.payment, 5000, "usd", captured=4500, back=500))
    assert till.stands(sale) == ("preparing", [])
    assert till.balance(sale) == sums(captured="45", payable="45")
    assert till.effects(sale) == []
    till.stripe("charge.refunded", charge(sale.payment, 5000, "usd", captured=4500, back=1500))
    assert till.balance(sale) == sums(captured="45", payable="45", refunded="10")


def test_a_refund_of_an_uncaptured_remainder_is_none(till: Till):
    sale = till.sale("45.00")
    rest = refund(sale.payment, f"re_{sale.number}", 500, "usd", balance_transaction=None)
    till.stripe("refund.created", rest)
    till.stripe("charge.captured", charge(sale.payment, 5000, "usd", captured=4500, back=500))
    assert till.balance(sale) == sums(captured="45", payable="45")
    assert till.stands(sale) == ("preparing", [])


def test_a_voided_authorization_is_a_canceled_payment_without_a_refund(till: Till):
    sale = till.sale("50.00")
    held = intent(sale.payment, 5000, "usd", received=0, amount_capturable=5000)
    till.stripe("payment_intent.amount_capturable_updated", held)
    till.stripe("charge.refunded", charge(sale.payment, 5000, "usd", captured=0, back=5000))
    assert till.stands(sale) == ("failed", [])
    assert [each["status"] for each in till.doc(sale)["transactions"]["docs"]] == ["canceled"]
    assert till.balance(sale) == sums(payable="50")
    assert till.effects(sale) == []


# -- under way -----------------------------------------------------------------------------------------------


def test_sepa_processing_over_the_unpaid_timer(till: Till):
    sale = till.sale_of(8, "50.00", "EUR")
    till.stripe("payment_intent.processing", intent(sale.payment, 5000, "eur", received=0), sale.at(seconds=60))
    till.run_timers(timedelta(hours=2))
    assert till.stands(sale) == ("pending", [])
    till.stripe("payment_intent.succeeded", intent(sale.payment, 5000, "eur"), sale.at(days=5))
    assert till.stands(sale) == ("preparing", [])
    assert till.balance(sale) == sums(captured="50", payable="50")
    assert till.effects(sale) == []


def test_what_nobody_began_to_pay_expires_beside_it(till: Till):
    """Else the case above would show nothing of the timer."""
    sale = till.sale_of(8, "50.00", "EUR")
    till.run_timers(timedelta(hours=2))
    assert till.stands(sale) == ("canceled", ["expired"])


def test_a_manual_capture_on_day_6(till: Till):
    sale = till.sale_of(7, "50.00")
    held = intent(sale.payment, 5000, "usd", received=0, amount_capturable=5000)
    till.stripe("payment_intent.amount_capturable_updated", held, sale.at(seconds=60))
    till.run_timers(timedelta(hours=2))
    assert till.stands(sale) == ("pending", [])
    till.stripe("payment_intent.succeeded", intent(sale.payment, 5000, "usd"), sale.at(days=6))
    assert till.stands(sale) == ("preparing", [])
    assert till.balance(sale) == sums(captured="50", payable="50")


def test_a_virtual_account_deposit_after_3_days(till: Till):
    sale = till.sale_of(4, "50000", "KRW")
    until = sale.at(days=7).isoformat()
    issued = {"paymentId": sale.payment, "kind": "awaiting_deposit", "amount": "50000", "until": until}
    till.standard("PaymentPending", issued, sale.at(seconds=60))
    till.run_timers(timedelta(hours=2))
    assert till.stands(sale) == ("pending", [])
    came = {"paymentId": sale.payment, "amount": "50000", "currency": "KRW"}
    till.standard("PaymentSucceeded", came, sale.at(days=3))
    assert till.stands(sale) == ("preparing", [])
    assert till.balance(sale) == sums(captured="50000", payable="50000")


def test_an_account_that_nobody_paid_into_expires_after_its_time(till: Till):
    sale = till.sale_of(4, "50000", "KRW")
    issued = {"paymentId": sale.payment, "kind": "awaiting_deposit", "until": sale.at(days=3).isoformat()}
    till.standard("PaymentPending", issued, sale.at(seconds=60))
    till.run_timers(timedelta(hours=2))
    assert till.stands(sale) == ("canceled", ["expired"])


def test_an_async_session_that_succeeds(till: Till):
    sale = till.sale("50.00", currency="EUR")
    till.stripe("checkout.session.completed", session(sale.payment, 5000, "eur", "unpaid"))
    assert till.stands(sale) == ("pending", [])
    till.run_timers(DAY + timedelta(hours=2))
    assert till.stands(sale) == ("pending", [])
    till.stripe("checkout.session.async_payment_succeeded", session(sale.payment, 5000, "eur", "paid"))
    assert till.stands(sale) == ("preparing", [])
    assert till.balance(sale) == sums(captured="50", payable="50")


def test_an_async_session_that_fails(till: Till):
    sale = till.sale("50.00", currency="EUR")
    till.stripe("checkout.session.completed", session(sale.payment, 5000, "eur", "unpaid"), sale.at(seconds=1))
    till.stripe(
        "checkout.session.async_payment_failed", session(sale.payment, 5000, "eur", "unpaid"), sale.at(seconds=2)
    )
    assert till.stands(sale) == ("failed", [])
    assert till.balance(sale) == sums(payable="50")
    till.run_timers(DAY + timedelta(hours=2))
    assert till.stands(sale) == ("canceled", ["expired"])


def test_no_payment_required(till: Till):
    """A session over nothing is a payment of nothing: there is no intent, and nothing is ever due."""
    sale = till.sale("0", payment=f"cs_free_{id(till)}")
    free = session(None, 0, "usd", "no_payment_required", id=sale.payment)
    till.stripe("checkout.session.completed", free)
    assert till.stands(sale) == ("preparing", [])
    assert till.balance(sale) == {}
    till.move(sale, "canceled")
    assert (till.balance(sale), till.effects(sale)) == ({}, [])


# -- disputes ------------------------------------------------------------------------------------------------


def a_paid_sale(till: Till, *prices: str) -> tuple:
    sale = till.sale(*prices)
    total = int(sum(float(price) * 100 for price in prices))
    till.stripe("payment_intent.succeeded", intent(sale.payment, total, "usd"), sale.at())
    return sale, total


def test_two_disputes_one_won_one_lost(till: Till):
    sale, _ = a_paid_sale(till, "50.00")
    one, other = f"dp_{sale.number}_1", f"dp_{sale.number}_2"
    till.stripe("charge.dispute.created", dispute(sale.payment, one, 2000, "usd", "needs_response"), sale.at(seconds=1))
    till.stripe(
        "charge.dispute.created", dispute(sale.payment, other, 3000, "usd", "needs_response"), sale.at(seconds=2)
    )
    assert till.balance(sale) == sums(captured="50", payable="50", contested="50")
    till.stripe("charge.dispute.closed", dispute(sale.payment, one, 2000, "usd", "won"), sale.at(seconds=3))
    till.stripe("charge.dispute.closed", dispute(sale.payment, other, 3000, "usd", "lost"), sale.at(seconds=4))
    assert till.balance(sale) == sums(captured="50", payable="50", lost="30")
    assert till.stands(sale) == ("preparing", ["disputed"])
    till.move(sale, "canceled")
    assert till.balance(sale) == sums(captured="50", lost="30", due="20", owed="20")


def test_a_new_dispute_after_a_won_one(till: Till):
    sale, _ = a_paid_sale(till, "50.00")
    one, other = f"dp_{sale.number}_1", f"dp_{sale.number}_2"
    till.stripe("charge.dispute.created", dispute(sale.payment, one, 5000, "usd", "needs_response"), sale.at(seconds=1))
    till.stripe("charge.dispute.closed", dispute(sale.payment, one, 5000, "usd", "won"), sale.at(seconds=2))
    assert till.stands(sale) == ("preparing", [])
    till.stripe(
        "charge.dispute.created", dispute(sale.payment, other, 5000, "usd", "needs_response"), sale.at(seconds=3)
    )
    assert till.stands(sale) == ("preparing", ["disputed"])
    assert till.balance(sale) == sums(captured="50", payable="50", contested="50")
    till.stripe("charge.dispute.closed", dispute(sale.payment, other, 5000, "usd", "lost"), sale.at(seconds=4))
    assert till.balance(sale) == sums(captured="50", payable="50", lost="50")


@pytest.mark.parametrize("way", ["cancel", "return"])
def test_given_back_under_an_open_dispute_it_waits_for_a_person(till: Till, way):
    sale, total = a_paid_sale(till, "20.00", "30.00")
    if way == "return":
        till.move(sale, "delivered")
    opened = dispute(sale.payment, f"dp_{sale.number}", total, "usd", "needs_response")
    till.stripe("charge.dispute.created", opened, datetime.now(UTC) + timedelta(seconds=2))  # behind the delivery
    back = "20" if way == "return" else "50"
    _give_back(till, sale, way)
    assert till.effects(sale) == [f"staff {back}"]
    till.attempt()
    assert till.effects(sale) == [f"staff {back}"], "nobody let it go"
    assert till.stands(sale)[1] == ["disputed"]


@pytest.mark.parametrize("way", ["cancel", "return"])
def test_given_back_under_a_lost_dispute_nothing_goes_back_on_top(till: Till, way):
    sale, total = a_paid_sale(till, "20.00", "30.00")
    if way == "return":
        till.move(sale, "delivered")
    till.stripe(
        "charge.dispute.closed", dispute(sale.payment, f"dp_{sale.number}", total, "usd", "lost"), sale.at(seconds=1)
    )
    _give_back(till, sale, way)
    assert till.effects(sale) == []
    found = till.balance(sale)
    assert {name: found.get(name) for name in ("lost", "due", "owed")} == {"lost": 50, "due": None, "owed": None}


def _give_back(till: Till, sale, way: str) -> None:
    if way == "cancel":
        till.move(sale, "canceled")
    else:  # the return itself was done by hand: the API refuses a refund of money that a bank asks about
        item = next(each["id"] for each in till.doc(sale)["products"]["docs"] if each["product"] == "a")
        body = {"orderNumber": sale.number, "reason": "defective", "items": [{"orderItem": item, "quantity": 1}]}
        made = till.ok("POST", "/api/returns", body)["doc"]
        till.work()
        for step in ("processing", "completed"):
            till.ok("PATCH", f"/api/returns/{made['id']}", {"status": step})
            till.work()
