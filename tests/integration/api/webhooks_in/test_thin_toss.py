"""Thin, unsigned webhooks of Toss Payments, from the door to the order: its API is asked in a process of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from journal.trace_causes import Causes
from journal.verify import verify
from providers.payments.toss_api import Toss
from providers.simulators import toss as toss_api
from telemetry import traces
from tests.collector import recording
from tests.integration.api.webhooks_in.thin_webhooks import (
    AT,
    Provider,
    ask,
    facts,
    flags,
    money,
    order,
    rows,
    toss_tells,
)
from tests.simulators import as_of, running
from tests.webhooks import packed


@pytest.fixture(scope="module")
def toss():
    with running("toss", "--key", "test_sk") as (_, url):
        yield Provider("toss", url, Toss(url, "test_sk"))


@pytest.mark.parametrize("arrivals", [("DONE", "ABORTED"), ("ABORTED", "DONE")], ids="-".join)
@pytest.mark.parametrize("each", [True, False], ids=["asked between", "asked afterwards"])
def test_done_and_its_aborted_of_45_ms_later_leave_the_order_paid(door, toss, arrivals, each):
    toss.holds(toss_api.payment("k-1", "N1", "DONE", 500, AT))
    door.shop.tell(order("k-1"))
    times = {"DONE": "2026-11-20T10:00:00.000", "ABORTED": "2026-11-20T10:00:00.045"}
    for status in arrivals:
        toss_tells(door, status, created=times[status])
        if each:
            ask(door, toss)
    ask(door, toss)
    assert door.status("N1") in ("paid", "preparing")
    assert money(door, "k-1") == ("paid", "500", "0")
    assert facts(door) == ["PaymentSucceeded"]


def test_a_thin_webhook_its_question_and_the_answers_event_are_one_trace(door, toss, monkeypatch):
    toss.holds(toss_api.payment("k-t", "N1", "DONE", 500, AT))
    door.shop.tell(order("k-t"))
    with recording(monkeypatch) as end:
        traces.causes = Causes(door.shop.streams.client)
        toss_tells(door, "DONE", key="k-t")
        door.shop.work()
        with traces.chore("orders.inbox:toss"):
            ask(door, toss)
        spans = end()
    [receipt] = [each for each in spans if each.name == "webhook receipt"]
    names = [each.name for each in spans if each.context.trace_id == receipt.context.trace_id]
    assert {"payment look-up", "look-ups settled"} <= set(names)
    assert names.count("drain batch") == 2  # the webhook's, and the answer's
    assert door.status("N1") in ("paid", "preparing")


def test_even_an_api_that_answers_aborted_afterwards_leaves_it_paid(door, toss):
    door.shop.tell(order("k-2"))
    for status in ("DONE", "ABORTED"):
        toss.holds(toss_api.payment("k-2", "N1", status, 500, AT))
        toss_tells(door, status, key="k-2")
        ask(door, toss)
    assert money(door, "k-2") == ("paid", "500", "0")


def test_an_unsigned_webhook_that_was_made_up_pays_nothing(door, toss):
    door.shop.tell(order("k-3"))
    toss.holds(toss_api.payment("k-3", "N1", "READY", 500, AT))
    toss.holds(toss_api.payment("k-other", "N2", "DONE", 5, AT))
    toss_tells(door, "DONE", key="k-3")
    toss_tells(door, "DONE", key="k-invented")
    toss_tells(door, "DONE", key="k-other", order="N1")  # a cheap payment, passed off as N1's
    ask(door, toss)
    assert door.status("N1") == "pending"
    assert [state for _, state in rows(door)] == ["done", "dead", "dead"]
    assert facts(door) == []


def deposit(status, key, order="N1", created="2026-11-20T10:00:00.00", secret=None):
    body = {"createdAt": created, "secret": secret or f"ps_{key}", "status": status, "orderId": order}
    return packed({**body, "transactionKey": "tx"}), {}


def test_a_deposit_pays_and_one_with_a_forged_secret_does_not(door, toss):
    door.shop.tell(order("k-d"))
    toss.holds(toss_api.payment("k-d", "N1", "DONE", 500, AT))
    assert door.statuses("payments/toss", deposit("DONE", "k-d", secret="ps_forged")) == [202]
    ask(door, toss)
    assert (door.status("N1"), rows(door)) == ("pending", [("toss", "dead")])
    assert door.statuses("payments/toss", deposit("DONE", "k-d")) == [202]
    ask(door, toss)
    assert door.status("N1") in ("paid", "preparing")


def deposit_tells(door, toss, status, at, told=timedelta(seconds=1), key="k-b", **more):
    """Toss holds the payment so since `at`, says so by a webhook a moment later, and is asked."""
    toss.holds(toss_api.payment(key, "N1", status, 500, at, **more))
    created = (at + told).astimezone(toss_api.KST).replace(tzinfo=None).isoformat()
    assert door.statuses("payments/toss", deposit(status, key, created=created)) == [202]
    ask(door, toss)


HOUR = timedelta(hours=1)


def test_a_deposit_that_is_taken_back_flags_its_order_until_it_is_made_anew(door, toss):
    door.shop.tell(order("k-b"))
    deposit_tells(door, toss, "WAITING_FOR_DEPOSIT", AT)
    deposit_tells(door, toss, "DONE", AT + HOUR)
    assert (door.status("N1"), flags(door)) == ("preparing", [])
    deposit_tells(door, toss, "WAITING_FOR_DEPOSIT", AT + 2 * HOUR)
    deposit_tells(door, toss, "WAITING_FOR_DEPOSIT", AT + 2 * HOUR, timedelta(seconds=9))  # the other type's webhook
    assert (door.status("N1"), flags(door), money(door, "k-b")) == (
        "preparing",
        ["payment_reversed"],
        ("pending", "500", "0"),
    )
    deposit_tells(door, toss, "DONE", AT + 3 * HOUR)
    assert (flags(door), money(door, "k-b")) == ([], ("paid", "500", "0"))
    for hours, status in ((4, "WAITING_FOR_DEPOSIT"), (5, "DONE"), (6, "WAITING_FOR_DEPOSIT")):
        deposit_tells(door, toss, status, AT + hours * HOUR)
    assert flags(door) == ["payment_reversed"]
    assert facts(door) == ["PaymentPending", *["PaymentSucceeded", "PaymentReversed"] * 3]
    assert {state for _, state in rows(door)} == {"done"}
    verified = verify(door.shop.engine)
    assert (verified.orders, verified.differences) == (1, [])


def test_an_answer_from_before_the_deposit_that_comes_late_takes_nothing_back(door, toss):
    door.shop.tell(order("k-b"))
    deposit_tells(door, toss, "DONE", AT)
    deposit_tells(door, toss, "WAITING_FOR_DEPOSIT", AT - HOUR)
    assert (facts(door), flags(door)) == (["PaymentSucceeded"], [])


def test_an_answer_from_before_the_reversal_that_comes_late_pays_nothing_anew(door, toss):
    door.shop.tell(order("k-b"))
    deposit_tells(door, toss, "DONE", AT)
    deposit_tells(door, toss, "WAITING_FOR_DEPOSIT", AT + HOUR)
    deposit_tells(door, toss, "DONE", AT, timedelta(seconds=2))
    assert (facts(door), flags(door)) == (["PaymentSucceeded", "PaymentReversed"], ["payment_reversed"])


def test_a_deposit_made_anew_counts_even_where_the_first_ones_time_is_left_standing(door, toss):
    door.shop.tell(order("k-b"))
    deposit_tells(door, toss, "DONE", AT)
    deposit_tells(door, toss, "WAITING_FOR_DEPOSIT", AT + HOUR)
    deposit_tells(door, toss, "DONE", AT, 2 * HOUR)
    assert (facts(door)[2:], flags(door)) == (["PaymentSucceeded"], [])
    [paid_at] = door.shop.rows("select paid_at from transactions")[0]
    assert paid_at == AT + 2 * HOUR


def test_a_payment_that_is_canceled_while_it_waits_for_its_deposit_again_was_not_paid_anew(door, toss):
    door.shop.tell(order("k-b"))
    deposit_tells(door, toss, "DONE", AT)
    deposit_tells(door, toss, "WAITING_FOR_DEPOSIT", AT + HOUR)
    deposit_tells(door, toss, "CANCELED", AT, 2 * HOUR, back=500, approved=True)
    # 500 went back of a payment that was taken back: more than was due
    assert (money(door, "k-b")[0], flags(door)) == ("pending", ["over_refunded", "payment_reversed"])


@pytest.mark.parametrize(("status", "stands"), [("EXPIRED", "canceled"), ("ABORTED", "failed")])
def test_what_came_to_nothing_at_toss(door, toss, status, stands):
    door.shop.tell(order("k-e"))
    toss.holds(toss_api.payment("k-e", "N1", status, 500, AT))
    toss_tells(door, status, key="k-e")
    ask(door, toss)
    assert money(door, "k-e")[0] == stands


def test_a_virtual_account_of_toss_is_paid_into_after_three_days(door, toss):
    issued = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    door.shop.tell(order("k-va"))
    deposit_tells(door, toss, "WAITING_FOR_DEPOSIT", issued, key="k-va")
    [(kind, until, amount)] = door.shop.rows("select pending_kind, pending_until, amount from transactions")
    assert (kind, until, amount) == ("awaiting_deposit", issued + toss_api.DEPOSIT, 500)
    door.shop.fire_timers(timedelta(days=3))
    assert door.status("N1") == "pending"
    with as_of(issued + timedelta(days=3)):
        deposit_tells(door, toss, "DONE", issued + timedelta(days=3), key="k-va")
    assert (door.status("N1"), money(door, "k-va")) == ("preparing", ("paid", "500", "0"))


def test_refunds_at_toss_are_told_by_their_transaction_keys(door, toss):
    door.shop.tell(order("k-r"))
    for status, back in (("PARTIAL_CANCELED", (200,)), ("CANCELED", (200, 300))):
        toss.holds(toss_api.payment("k-r", "N1", status, 500, AT, back=back))
        toss_tells(door, status, key="k-r")
        ask(door, toss)
        assert money(door, "k-r")[2] == str(sum(back))
    told = door.shop.rows(
        "select data ->> 'refund', data ->> 'amount' from journal where type = 'PaymentRefunded' order by seq"
    )
    assert [tuple(row) for row in told] == [("T-1", "200"), ("T-2", "300")]
