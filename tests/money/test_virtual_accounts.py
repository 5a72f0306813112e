"""Deposits into virtual accounts of PortOne and Toss Payments, and their way back. Each test is a case by its name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.money.till import Sale, Till, sums

PROVIDERS = ("portone", "toss")
HOUR = timedelta(hours=1)
ISSUED = {"portone": "VirtualAccountIssued", "toss": "WAITING_FOR_DEPOSIT"}
CAME = {"portone": "Paid", "toss": "DONE"}
ACCOUNT = {"number": "110123456789", "holderName": "Kim Haneul"}
BANKS = {"portone": "SHINHAN", "toss": "88"}
both = pytest.mark.parametrize("provider", PROVIDERS)


def a_deposit(till: Till, provider: str) -> Sale:
    """An order that waits for its deposit for three days, and is paid then."""
    sale = till.sale_of(4, "50000", "KRW")
    till.capture_at(provider, sale, "50000", method="virtual_account", state="awaiting_deposit")
    till.says_where_to_look(provider, sale, ISSUED[provider], 50000)
    till.run_timers(timedelta(hours=2))
    assert till.stands(sale) == ("pending", [])
    till.capture_at(provider, sale, "50000", method="virtual_account")
    till.says_where_to_look(provider, sale, CAME[provider], 50000)
    return sale


@both
def test_a_virtual_account_deposit_after_3_days(till: Till, provider):
    sale = a_deposit(till, provider)
    assert till.stands(sale) == ("preparing", [])
    assert till.balance(sale) == sums(captured="50000", payable="50000")
    assert till.effects(sale) == []


@both
def test_refund_of_a_virtual_account_without_and_with_account(till: Till, provider):
    """Without it nothing is asked of the provider, and the refund says what it waits for; with it the money goes back once."""
    sale = a_deposit(till, provider)
    till.move(sale, "canceled")
    till.attempt(provider)
    assert till.effects(sale) == ["account_needed 50000"]
    assert till.books(provider, sale) == []
    assert till.balance(sale) == sums(captured="50000", due="50000", owed="50000")
    path = f"/api/orders/{till.doc(sale)['id']}/refund-account"
    told = till.ok("PUT", path, {"bank": BANKS[provider], **ACCOUNT})
    assert "110123456789" not in str(told)
    till.attempt(provider, later=HOUR)
    assert [(each["amount"], each["status"]) for each in till.books(provider, sale)] == [("50000", "succeeded")]
    assert till.balance(sale) == sums(captured="50000", due="50000", refunded="50000")
    assert till.effects(sale) == []
