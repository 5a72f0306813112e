"""Amounts as providers write them: by each one's own table, in and out."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from events.money import Money, MoneyError
from providers.payments import portone_rules, stripe, stripe_rules
from providers.payments.portone_api import PortOne
from providers.simulators import portone as portone_simulator
from tests.webhooks import packed, stripe_event

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

# currency, amount, Stripe's units, PortOne's: what arrives, and what goes out.
TABLE = [
    ("USD", "12.50", 1250, 1250),
    ("EUR", "0.01", 1, 1),
    ("KRW", "12000", 12000, 12000),
    ("JPY", "500", 500, 500),
    ("VND", "70000", 70000, 70000),
    ("UGX", "5000", 500000, 5000),
    ("ISK", "990", 99000, 990),
    ("MGA", "5000.00", 5000, 500000),
    ("KWD", "12.340", 12340, 12340),
    ("TND", "0.010", 10, 10),
    ("BHD", "1.500", 1500, 1500),
    ("HUF", "100.00", 10000, 10000),
    ("TWD", "30.00", 3000, 3000),
]


@pytest.mark.parametrize(("currency", "amount", "stripes", "portones"), TABLE)
def test_units_and_amounts_are_the_same_in_both_directions(currency, amount, stripes, portones):
    money = Money(Decimal(amount), currency)
    for table, units in ((stripe_rules.UNITS, stripes), (portone_rules.UNITS, portones)):
        assert table.money(units, currency.lower()) == money
        assert table.units(money) == units


@pytest.mark.parametrize(("currency", "amount", "stripes", "portones"), TABLE)
def test_an_adapter_reads_by_its_own_table(currency, amount, stripes, portones):
    import httpx

    about = {"id": "pi_1", "amount_received": stripes, "currency": currency.lower()}
    event = stripe.translate(packed(stripe_event("payment_intent.succeeded", about)))
    assert (Decimal(event.data["amount"]), event.data["currency"]) == (Decimal(amount), currency)
    document = portone_simulator.payment("pay", "PAID", portones, NOON, currency=currency)
    api = PortOne("http://x", "k", transport=httpx.MockTransport(lambda request: httpx.Response(200, json=document)))
    assert api.ask("portone.Transaction.Paid", NOON, {"paymentId": "pay"}).captured == Decimal(amount)


@pytest.mark.parametrize(
    ("currency", "owed", "moves"),
    [
        ("KWD", "12.345", "12.340"),
        ("JOD", "0.009", "0.000"),
        ("MGA", "12.50", "12.00"),
        ("UGX", "5000", "5000"),
        ("ISK", "1", "1"),
        ("USD", "0.01", "0.01"),
    ],
)
def test_what_lies_below_stripes_step_is_not_owed(currency, owed, moves):
    payable = stripe_rules.UNITS.payable(Decimal(owed), currency)
    assert payable == Decimal(moves)
    assert stripe_rules.UNITS.money(stripe_rules.UNITS.units(Money(payable, currency)), currency).amount == payable


def test_what_cannot_move_is_refused_with_the_least_that_can():
    with pytest.raises(MoneyError, match=r"12\.345 KWD cannot be sent: the least that moves is 0\.010 KWD"):
        stripe_rules.UNITS.units(Money(Decimal("12.345"), "KWD"))
    with pytest.raises(MoneyError, match="UGX"):
        stripe_rules.UNITS.money(500_050, "ugx")
