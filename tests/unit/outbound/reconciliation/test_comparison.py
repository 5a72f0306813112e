"""Both sides of one payment, refund or dispute, and the one kind of thing that differs: a row each, either direction."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from outbound.reconciliation.comparison import (
    KnownOrder,
    Ours,
    differences_of_one,
    dispute_difference,
    payment_difference,
    refund_differences,
)
from outbound.reconciliation.kinds import NEXT_STEP, Kind
from providers.base import Page, Payment
from providers.movements import Dispute, RefundMovement

HEALS = set(Kind) - set(NEXT_STEP)  # for the rest a person does something
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BEFORE, LATER = NOW - 2 * HOUR, NOW - HOUR
TEN = Decimal(10)

THERE = Payment("pay", "N1", "USD", captured_at=BEFORE, captured=TEN)
HERE = Ours("pay", "N1", "stripe", "USD", "paid", TEN, BEFORE)
OPEN_HERE = replace(HERE, status="pending", amount=Decimal(0), paid_at=None)
FAILED = Payment("pay", currency="USD", ended="PaymentFailed", ended_at=BEFORE)
UNPAID, PAID = KnownOrder("USD", is_paid=False), KnownOrder("USD", is_paid=True)

PAYMENTS = {
    "the same": (THERE, HERE, None, None),
    "scale does not matter": (replace(THERE, captured=Decimal("10.00")), HERE, None, None),
    "lost webhook": (THERE, OPEN_HERE, None, Kind.PAYMENT_THERE),
    "lost webhook, order by its number": (THERE, None, UNPAID, Kind.PAYMENT_THERE),
    "its order is paid otherwise": (THERE, None, PAID, Kind.ORDER_PAID_OTHERWISE),
    "its order has another currency": (THERE, None, KnownOrder("EUR", is_paid=False), Kind.CURRENCY_DIFFERS),
    "nobody's": (THERE, None, None, Kind.ORDER_UNKNOWN),
    "nobody's, and came to nothing": (FAILED, None, None, None),
    "nothing was paid": (replace(THERE, captured=Decimal(0)), None, None, None),
    "failed there": (FAILED, OPEN_HERE, None, Kind.PAYMENT_ENDED_THERE),
    "canceled there": (replace(FAILED, ended="PaymentCanceled"), OPEN_HERE, None, Kind.PAYMENT_ENDED_THERE),
    "failed on both sides": (FAILED, replace(OPEN_HERE, status="failed"), None, None),
    "begun on both sides": (Payment("pay", currency="USD"), OPEN_HERE, None, None),
    "paid here, failed there": (FAILED, HERE, None, Kind.PAYMENT_HERE),
    "paid here, a deposit is awaited there": (
        replace(FAILED, ended=None, pending="awaiting_deposit"), HERE, None, Kind.PAYMENT_HERE,
    ),
    "its deposit was taken back there": (
        replace(THERE, pending="awaiting_deposit"), HERE, None, Kind.PAYMENT_HERE,
    ),
    "its deposit was taken back, and is awaited on both sides": (
        replace(THERE, pending="awaiting_deposit"), OPEN_HERE, None, None,
    ),
    "less there": (replace(THERE, captured=Decimal(9)), HERE, None, Kind.AMOUNT_DIFFERS),
    "more there": (replace(THERE, captured=Decimal(11)), HERE, None, Kind.AMOUNT_DIFFERS),
    "another currency": (replace(THERE, currency="EUR"), HERE, None, Kind.CURRENCY_DIFFERS),
    "another currency, unpaid here": (replace(THERE, currency="EUR"), OPEN_HERE, None, Kind.CURRENCY_DIFFERS),
    "canceled here, all of it went back": (THERE, replace(HERE, status="canceled"), None, None),
}  # fmt: skip


@pytest.mark.parametrize(("told", "ours", "order", "kind"), PAYMENTS.values(), ids=PAYMENTS)
def test_of_a_payment(told, ours, order, kind):
    found = payment_difference(told, ours, order, NOW)
    assert (found and found.kind) == kind
    if found is not None:
        assert (found.heal is not None) == (found.kind in HEALS)
        assert (found.subject, found.payment_id) == ("pay", "pay")
        assert found.theirs
        assert "N1" in (found.order_number or "N1")


# -- refunds -------------------------------------------------------------------------------------------------


def moved(name: str = "re_1", amount: Any = 4, status: Any = "succeeded", at: datetime = LATER) -> RefundMovement:
    return RefundMovement(name, "pay", Decimal(amount), status, at)


def known(status: str, amount: Any = 4, at: datetime = LATER, name: str = "re_1") -> dict[str, Any]:
    """Facts of one refund, as the fold keeps them."""
    place = [at.isoformat(timespec="microseconds"), 2, "stripe", "evt"]
    fact = {"at": place, "status": status, "amount": [*place, str(amount)], "requested": place[0]}
    return {"refunds": {name: fact | ({"failed": place[0]} if status in ("failed", "canceled") else {})}}


def reported(*reports: tuple[datetime, Any]) -> dict[str, Any]:
    return {"reports": [[at.isoformat(timespec="microseconds"), str(total)] for at, total in reports]}


REFUNDS = {
    "the same": ([moved()], known("succeeded"), []),
    "under way on both sides": ([moved(status="requires_action")], known("pending"), []),
    "failed on both sides": ([moved(status="canceled")], known("failed"), []),
    "made there by hand": ([moved()], {}, [Kind.REFUND_THERE]),
    "on its way there": ([moved(status="pending")], {}, [Kind.REFUND_THERE]),
    "tried there in vain": ([moved(status="failed")], {}, []),
    "a sum has it already": ([moved()], reported((NOW, 4)), []),
    "a sum has two of them": ([moved("a", 1), moved("b", 3)], reported((NOW, 4)), []),
    "a sum has the first alone": (
        [moved("b", 3, at=NOW), moved("a", 1)], reported((LATER, 1)), [Kind.REFUND_THERE],
    ),
    "a sum has it, and it failed since": ([moved(status="failed")], reported((LATER, 4)), [Kind.REFUND_FAILED_THERE]),
    "arrived there, on its way here": ([moved()], known("pending"), [Kind.REFUND_ENDED_THERE]),
    "failed there, given back here": ([moved(status="failed")], known("succeeded"), [Kind.REFUND_FAILED_THERE]),
    "failed there, on its way here": ([moved(status="failed")], known("pending"), [Kind.REFUND_FAILED_THERE]),
    "another amount": ([moved(amount=5)], known("succeeded"), [Kind.REFUND_DIFFERS]),
    "what was told here is later": ([moved()], known("pending", at=NOW + HOUR), [Kind.REFUND_DIFFERS]),
    "one of two": ([moved("a"), moved("re_1")], known("succeeded"), [Kind.REFUND_THERE]),
}  # fmt: skip


@pytest.mark.parametrize(("movements", "facts", "kinds"), REFUNDS.values(), ids=REFUNDS)
def test_of_a_refund(movements, facts, kinds):
    ours = replace(HERE, facts=facts)
    found = refund_differences(movements, ours, NOW)
    assert [each.kind for each in found] == kinds
    for each in found:
        assert (each.heal is not None) == (each.kind in HEALS)
    assert refund_differences(movements[::-1], ours, NOW) == found, "whichever the provider lists first"


def test_what_we_know_is_not_changed_by_the_comparison():
    ours = replace(HERE, facts=known("pending"))
    refund_differences([moved(), moved("a")], ours, NOW)
    assert ours.facts == known("pending")


# -- disputes ------------------------------------------------------------------------------------------------


def dispute(outcome: Any = "open", name: str = "dp_1", amount: Any = 10) -> Dispute:
    return Dispute(name, "pay", Decimal(amount), outcome, LATER)


def contested(status: str, name: str = "dp_1") -> dict[str, Any]:
    return {
        "disputes": {name: {"at": [LATER.isoformat(timespec="microseconds"), 0, "stripe", "evt"], "status": status}}
    }


DISPUTES = {
    "open on both sides": (dispute(), contested("open"), None),
    "open there": (dispute(), {}, Kind.DISPUTE_THERE),
    "came and was lost there": (dispute("lost"), {}, Kind.DISPUTE_THERE),
    "came and ended, nobody says how": (dispute(None), {}, Kind.DISPUTE_DIFFERS),
    "lost there": (dispute("lost"), contested("open"), Kind.DISPUTE_ENDED_THERE),
    "won there": (dispute("won"), contested("needs_response"), Kind.DISPUTE_ENDED_THERE),
    "ended there, nobody says how": (dispute(None), contested("open"), Kind.DISPUTE_DIFFERS),
    "ended, and a person said how": (dispute(None), contested("lost"), None),
    "an inquiry there": (dispute("inquiry"), {}, Kind.DISPUTE_THERE),
    "an inquiry on both sides": (dispute("inquiry"), contested("inquiry"), None),
    "an inquiry here, disputed there": (dispute(), contested("inquiry"), Kind.DISPUTE_THERE),
    "an inquiry here, closed there": (dispute("won"), contested("inquiry"), Kind.DISPUTE_ENDED_THERE),
    "disputed here, an inquiry there": (dispute("inquiry"), contested("open"), Kind.DISPUTE_DIFFERS),
    "won here, lost there": (dispute("lost"), contested("won"), Kind.DISPUTE_DIFFERS),
    "won here, open there": (dispute(), contested("won"), Kind.DISPUTE_DIFFERS),
    "known by its payment's name": (dispute(), contested("open", "pay"), None),
    "known by its payment's name, lost there": (dispute("lost"), contested("open", "pay"), Kind.DISPUTE_ENDED_THERE),
}


@pytest.mark.parametrize(("told", "facts", "kind"), DISPUTES.values(), ids=DISPUTES)
def test_of_a_dispute(told, facts, kind):
    found = dispute_difference(told, replace(HERE, facts=facts), NOW)
    assert (found and found.kind) == kind
    if found is not None:
        assert (found.heal is not None) == (found.kind in HEALS)
        told_again = found.heal is not None and facts
        assert not told_again or found.time == NOW, "what is known already gives way to what is told as of now alone"
        if "pay" in facts.get("disputes", {}):
            assert found.name == "pay", "the same dispute, and not a second one"


# -- here, and not there -------------------------------------------------------------------------------------

ALL = Page((THERE,), (moved(),), ())
ONE = {
    "unknown there": (HERE, None, [Kind.PAYMENT_HERE]),
    "known there, in another time": (replace(HERE, facts=known("succeeded")), ALL, []),
    "a refund of ours is unknown there": (
        replace(HERE, facts=known("succeeded", name="re_2")), ALL, [Kind.REFUND_THERE, Kind.REFUND_HERE],
    ),
    "one that failed need not be there": (replace(HERE, facts=known("failed", name="re_2")), replace(ALL, movements=()), []),
    "a dispute of ours is unknown there": (
        replace(HERE, facts=contested("open")), replace(ALL, movements=()), [Kind.DISPUTE_HERE],
    ),
    "the first version's dispute has the payment's name": (
        replace(HERE, facts=contested("open", "pay")), Page((THERE,), (), (dispute(),)), [],
    ),
    "of disputes nothing is told": (replace(HERE, facts=contested("open")), Page((THERE,)), []),
    "not paid there": (HERE, Page((FAILED,)), [Kind.PAYMENT_HERE]),
    "open here, unknown there": (OPEN_HERE, None, []),
    "open here, paid there": (OPEN_HERE, ALL, [Kind.PAYMENT_THERE, Kind.REFUND_THERE]),
}  # fmt: skip


@pytest.mark.parametrize(("ours", "page", "kinds"), ONE.values(), ids=ONE)
def test_of_a_payment_that_was_not_listed(ours, page, kinds):
    assert [each.kind for each in differences_of_one(ours, page, NOW)] == kinds


def test_every_kind_has_words_and_its_next_step_names_what_it_is_about():
    for kind in Kind:
        assert kind.words
        assert NEXT_STEP.get(kind, "-").format(order="N1", payment="pay")
    tested = {row[-1] for row in (*PAYMENTS.values(), *DISPUTES.values())}
    tested |= {kind for row in (*REFUNDS.values(), *ONE.values()) for kind in row[-1]}
    assert set(Kind) - tested == {Kind.NOTHING_LISTED}, "which is no comparison of one payment"
