"""The simulators' pure parts: mishaps, arguments, and the provider's ledger."""

from argparse import ArgumentTypeError
from collections import Counter
from decimal import Decimal

import pytest

from events.money import Money
from providers.simulators.ledger import Ledger, Refusal
from providers.simulators.process import Mishaps, share

KINDS = {"broken": 3, "silent": 1}


def won(amount):
    return Money(Decimal(amount), "KRW")


def refused(ledger, *refund):
    with pytest.raises(Refusal) as caught:
        ledger.refund(*refund)
    return caught.value.status, caught.value.code


def test_mishaps_of_a_subject_do_not_depend_on_what_else_is_asked():
    alone, busy = Mishaps(7, 0.5), Mishaps(7, 0.5)
    expected = [alone.next("a", KINDS) for _ in range(20)]
    found = []
    for turn in range(20):
        busy.next(f"other {turn}", KINDS)
        found.append(busy.next("a", KINDS))
    assert found == expected
    assert [Mishaps(8, 0.5).next("a", KINDS) for _ in range(20)] != expected


def test_mishaps_come_in_the_share_and_by_the_weights_that_were_asked():
    mishaps = Mishaps(7, 0.2)
    drawn = Counter(mishaps.next(str(number), KINDS) for number in range(4000))
    assert 700 < drawn["broken"] + drawn["silent"] < 900
    assert 2 < drawn["broken"] / drawn["silent"] < 4
    assert {Mishaps(7, 0.0).next("a", KINDS) for _ in range(9)} == {None}
    assert None not in {Mishaps(7, 1.0).next(str(n), KINDS) for n in range(99)}


@pytest.mark.parametrize("text", ["-0.1", "1.1", "nan", "inf"])
def test_a_share_is_between_none_and_all(text):
    assert share("0.05") == 0.05
    with pytest.raises(ArgumentTypeError, match="no share"):
        share(text)


def test_the_same_key_answers_the_first_refund_again():
    ledger = Ledger()
    first = ledger.refund("k1", "pay", won(300))
    assert ledger.refund("k2", "pay", won(200))["refunded_amount"] == "500"
    assert ledger.refund("k1", "pay", won("300.0")) == first
    assert (first["refund_id"], first["refunded_amount"]) == ("re_000001", "300")
    assert [made["key"] for made in ledger.refunds()] == ["k1", "k2"]


@pytest.mark.parametrize(
    ("payment", "money"),
    [("pay", won(301)), ("other", won(300)), ("pay", Money(Decimal(300), "JPY"))],
)
def test_the_same_key_for_another_refund_is_refused(payment, money):
    ledger = Ledger()
    ledger.refund("k1", "pay", won(300))
    assert refused(ledger, "k1", payment, money) == (422, "idempotency_key_reused")
    assert len(ledger.refunds()) == 1


def test_refunds_stay_within_what_was_captured_where_that_is_registered():
    ledger = Ledger()
    ledger.register("pay", won(1000))
    ledger.refund("k1", "pay", won(600))
    assert refused(ledger, "k2", "pay", won(401)) == (409, "exceeds_captured")
    assert ledger.refund("k2", "pay", won(400))["refunded_amount"] == "1000"
    assert ledger.refund("k3", "unregistered", won(10**9))["refunded_amount"] == "1000000000"


def test_a_payment_is_refunded_in_its_own_currency():
    ledger = Ledger()
    ledger.register("pay", won(1000))
    ledger.refund("k1", "unregistered", won(10))
    for payment in ("pay", "unregistered"):
        refund = ("k2", payment, Money(Decimal(1), "USD"))
        assert refused(ledger, *refund) == (409, "currency_mismatch")


def test_a_payment_that_is_marked_so_is_always_refused():
    assert refused(Ledger(), "k1", "REFUSE-7", won(1)) == (409, "refused")


def test_a_payment_tells_what_was_captured_and_refunded():
    ledger = Ledger()
    assert ledger.payment("pay") is None
    ledger.register("pay", won(1000))
    ledger.register("pay", won(1000))
    before = ledger.payment("pay")
    assert before is not None
    assert before["refunds"] == []
    ledger.refund("k1", "pay", won(400))
    payment = ledger.payment("pay")
    assert payment is not None
    assert (payment["captured_amount"], payment["refunded_amount"]) == ("1000", "400")


def test_a_ledger_in_a_file_forgets_nothing(tmp_path):
    path = str(tmp_path / "provider.sqlite")
    first = Ledger(path).refund("k1", "pay", won(300))
    again = Ledger(path)
    assert again.refund("k1", "pay", won(300)) == first
    assert len(again.refunds()) == 1
