"""A drain and whoever works on refunds meet on one order, each with a lock that the other wants: nobody is killed for it.

The drain has the order first, then writes refunds and what is due; whoever else writes them begins with what is due. One
of both is stopped behind its first lock until the other waits, so the meeting is the same each time.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from outbound import refund_records, refunds
from outbound.refund_attempt import Refunder
from providers.movements import RefundMovement
from providers.payments.standard import RULES
from tests.builders import created, told
from tests.conftest import SHARDS

PATIENCE_S = 20
AMOUNT = Decimal(10_000)


class Made:
    """A provider that makes each refund at once, under the same id."""

    rules = RULES

    def refund(self, request):
        return RefundMovement(
            "re_1", request.payment_id, request.amount.amount, "succeeded", datetime.now(UTC), request.id
        )

    def refunds(self, payment_id):
        return []


@pytest.fixture
def canceled(rig):
    """A canceled order, whose refund is due."""
    rig.tell(
        created(payments=("pay-1",)),
        told("PaymentSucceeded", paymentId="pay-1", amount=str(AMOUNT)),
        told("OrderCanceled", by="customer"),
    )
    return rig


@pytest.fixture
def meet(canceled, monkeypatch):
    """`meet(module, function, work, *events)`: `work` stops at its call of `function` until the drain waits for it."""

    def run(module, function, work, *events):
        there, go_on = threading.Event(), threading.Event()
        real = getattr(module, function)

        def stopped(*args, **more):
            there.set()
            assert go_on.wait(PATIENCE_S)
            return real(*args, **more)

        monkeypatch.setattr(module, function, stopped)
        entries = canceled.entries(*events)
        with ThreadPoolExecutor(2) as pool:
            worked = pool.submit(work)
            assert there.wait(PATIENCE_S)
            again = pool.submit(canceled.settle, entries)
            canceled.wait_until_blocked()
            go_on.set()
            worked.result(PATIENCE_S)
            assert again.result(PATIENCE_S) == 0, "the drain was not broken off"
        canceled.work()

    return run


def execute(rig):
    """The chore of refunds, in connections of its own; one refund."""
    later = datetime.now(UTC) + timedelta(seconds=1)
    return refunds.run_due(rig.own_engine(10), rig.streams, SHARDS, Refunder("made", Made(), unnamed=True), later, 1)


def reported(status="succeeded", **more):
    """The provider's webhook of the same refund, that overtakes the answer; something is due besides."""
    kind, version = ("RefundFailed", 1) if status == "failed" else ("PaymentRefunded", 2)
    about = {} if status == "failed" else {"status": status}
    soon = datetime.now(UTC) + timedelta(minutes=1)
    return told(kind, at=soon, version=version, paymentId="pay-1", refund="re_1", amount=str(AMOUNT), **about, **more)


def test_an_answer_and_a_report_of_the_same_refund(canceled, meet):
    raised = told("PaymentSucceeded", paymentId="pay-1", amount=str(AMOUNT + 500))
    meet(refunds, "record", lambda: execute(canceled), raised, reported())
    row = canceled.do("select id, origin, status, amount from refunds")
    assert [(each.origin, each.status, each.amount) for each in row] == [("ours", "succeeded", AMOUNT)]
    assert canceled.one("select refunded_amount from transactions") == AMOUNT
    assert canceled.do("select state, target - made from effects") == [("due", 500)]


def test_a_retry_and_a_report_that_another_failed(canceled, meet):
    execute(canceled)
    canceled.work()
    canceled.tell(reported("failed"))
    with canceled.engine.begin() as conn:
        refund_records.weigh_failures(conn, datetime.now(UTC))
    effect = canceled.one("select id::text from effects")

    def retry():
        with canceled.own_engine(1).begin() as conn:
            assert refunds.release(conn, effect, "kim")

    raised = told("PaymentSucceeded", paymentId="pay-1", amount=str(AMOUNT + 500))
    meet(refunds, "attended", retry, raised, reported("failed", code="again"))
    assert canceled.do("select state from effects") == [("due",)]


def test_failures_that_are_weighed_and_a_report_of_another(canceled, meet):
    execute(canceled)
    canceled.work()
    canceled.tell(reported("failed"))

    def weigh():
        with canceled.own_engine(1).begin() as conn:
            assert refund_records.weigh_failures(conn, datetime.now(UTC)) == 1

    raised = told("PaymentSucceeded", paymentId="pay-1", amount=str(AMOUNT + 500))
    meet(refund_records, "bury", weigh, raised, reported("failed", code="again"))
    assert canceled.do("select state, reason from dead_letters") == [("open", "refund_failed")]
