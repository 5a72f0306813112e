"""Thin webhooks of PortOne, from the door to the order: its API is asked in a process of its own."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from domain.ids import format_id
from journal.verify import verify
from outbound import payment_lookups
from providers.payments.portone_api import PortOne
from providers.simulators import portone as portone_api
from tests.integration.api.webhooks_in.thin_webhooks import (
    AT,
    LEASE_OVER,
    PATIENCE,
    Provider,
    ask,
    facts,
    flags,
    last_error,
    money,
    order,
    portone_tells,
    rows,
    unasked,
)
from tests.simulators import SHARDS, an_event, as_of, running
from tests.webhooks import as_standard, portone_event


@pytest.fixture(scope="module")
def portone():
    with running("portone", "--key", "test_secret") as (_, url):
        yield Provider("portone", url, PortOne(url, "test_secret"))


# -- asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [True, False])
def test_a_payment_is_asked_for_and_pays_its_order_once(door, portone, early):
    payment = f"p-{early}"
    portone.holds(portone_api.payment(payment, "PAID", 500, AT))
    if not early:
        door.shop.tell(order(payment))
    portone_tells(door, "Paid", payment)
    portone_tells(door, "Paid", payment)  # under another webhook-id
    assert ask(door, portone) == 2
    if early:
        door.shop.tell(order(payment))
    assert door.status("N1") in ("paid", "preparing")
    assert money(door, payment) == ("paid", "500", "0")
    assert facts(door) == ["PaymentSucceeded"]
    assert rows(door) == [("portone", "done")] * 2
    found = door.account()
    assert (found["accepted"], found["duplicate"], found["waiting"]) == (4, 0, 0)  # 2 webhooks, 1 fact, 1 order
    assert found["ignored"] == 2


def test_refunds_are_told_by_the_ids_that_the_api_lists(door, portone):
    door.shop.tell(order("p-r"))
    cancellations = [(), (200,), (200, 150), (200, 150, 150)]
    for status, back in zip(
        ("PAID", "PARTIAL_CANCELLED", "PARTIAL_CANCELLED", "CANCELLED"), cancellations, strict=True
    ):
        portone.holds(portone_api.payment("p-r", status, 500, AT, back=back))
        portone_tells(door, {"PAID": "Paid", "CANCELLED": "Cancelled"}.get(status, "PartialCancelled"), "p-r")
        ask(door, portone)
        assert money(door, "p-r") == ("canceled" if sum(back) == 500 else "paid", "500", str(sum(back)))
    assert facts(door) == ["PaymentSucceeded", *["PaymentRefunded"] * 3]
    told = door.shop.rows(
        "select data ->> 'refund', data ->> 'amount' from journal where type = 'PaymentRefunded' order by seq"
    )
    assert [tuple(row) for row in told] == [("cancel-1", "200"), ("cancel-2", "150"), ("cancel-3", "150")]


def test_a_cancellation_that_is_open_goes_back_and_one_that_failed_is_owed_again(door, portone):
    door.shop.tell(order("p-f"))
    told = portone_api.payment("p-f", "PARTIAL_CANCELLED", 500, AT, back=(200,))
    portone_tells(door, "Paid", "p-f")
    for status, back in (("REQUESTED", "200"), ("FAILED", "0"), ("REQUESTED", "0")):  # the last answer came late
        portone.holds({**told, "cancellations": [{**told["cancellations"][0], "status": status}]})
        portone_tells(door, "PartialCancelled", "p-f")
        ask(door, portone)
        assert money(door, "p-f") == ("paid", "500", back)
    assert facts(door) == ["PaymentSucceeded", "PaymentRefunded", "RefundFailed"]
    assert "refund_failed" not in flags(door)  # nothing of it is owed
    assert verify(door.shop.engine).differences == []


@pytest.mark.parametrize("asked", [True, False], ids=["with a key", "without a key"])
def test_a_virtual_account_keeps_its_order_until_its_deposit_three_days_later(door, portone, asked):
    """The unpaid timer is a day; the provider says until when its account takes a deposit."""
    issued = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    created = order("p-va")
    door.shop.tell(replace(created, time=issued - timedelta(days=2)))
    portone.holds(portone_api.payment("p-va", "VIRTUAL_ACCOUNT_ISSUED", 500, issued))
    portone_tells(door, "VirtualAccountIssued", "p-va")
    ask(door, portone) if asked else unasked(door)
    assert facts(door) == ["PaymentPending"]
    [(kind, until)] = door.shop.rows("select pending_kind, pending_until from transactions")
    assert kind == "awaiting_deposit"
    if asked:
        assert until == issued + timedelta(seconds=portone_api.DEPOSIT_S)
    door.shop.fire_timers(timedelta(days=3))
    assert (door.status("N1"), money(door, "p-va")[0]) == ("pending", "pending")
    portone.holds(portone_api.payment("p-va", "PAID", 500, issued + timedelta(days=3)))
    portone_tells(door, "Paid", "p-va")
    with as_of(issued + timedelta(days=3)):
        ask(door, portone)
    assert (door.status("N1"), money(door, "p-va")) == ("preparing", ("paid", "500", "0"))


def test_a_virtual_account_that_nobody_pays_into_expires_with_its_order(door, portone):
    issued = datetime.now(UTC).replace(microsecond=0)
    door.shop.tell(order("p-vx"))
    portone.holds(portone_api.payment("p-vx", "VIRTUAL_ACCOUNT_ISSUED", 500, issued))
    portone_tells(door, "VirtualAccountIssued", "p-vx")
    ask(door, portone)
    door.shop.fire_timers(timedelta(days=8))
    assert door.status("N1") == "canceled"


@pytest.mark.parametrize("asked", [True, False], ids=["with a key", "without a key"])
def test_a_dispute_that_portone_calls_resolved_stays_until_a_person_says_won_or_lost(door, portone, asked):
    door.shop.tell(order("p-d"))
    paid = portone_api.payment("p-d", "PAID", 500, AT)
    begun = {"status": "UNRESOLVED", "reason": "fraud", "createdAt": "2026-11-20T10:00:00.000Z"}
    ended = {**begun, "status": "RESOLVED", "resolvedAt": "2026-11-20T10:00:00.000Z"}
    portone.holds(paid)
    portone_tells(door, "Paid", "p-d")
    ask(door, portone)
    for kind, dispute in (("DisputeCreated", begun), ("DisputeResolved", ended)):
        portone.holds({**paid, "disputes": [dispute]})
        portone_tells(door, kind, "p-d")
        ask(door, portone) if asked else unasked(door)
        assert flags(door) == ["disputed"]
    assert facts(door) == ["PaymentSucceeded", "PaymentDisputed", "PaymentDisputed"]
    won = an_event("PaymentDisputed", "N1", paymentId="p-d", outcome="won")
    door.shop.tell(won)
    assert flags(door) == []


def test_a_dispute_of_a_payment_that_went_back_in_part_is_told_by_its_webhook(door, portone):
    """PortOne's API lists disputes of payments that are PAID alone."""
    door.shop.tell(order("p-p"))
    portone.holds(portone_api.payment("p-p", "PARTIAL_CANCELLED", 500, AT, back=(100,)))
    portone_tells(door, "DisputeCreated", "p-p")
    ask(door, portone)
    assert "disputed" in flags(door)


def test_a_payment_whose_gateway_is_slow_is_processing(door, portone):
    door.shop.tell(order("p-w"))
    portone.holds(portone_api.payment("p-w", "PAY_PENDING", 500, AT))
    portone_tells(door, "PayPending", "p-w")
    ask(door, portone)
    assert [tuple(row) for row in door.shop.rows("select status, pending_kind, amount from transactions")] == [
        ("pending", "processing", 500)
    ]
    portone.holds(portone_api.payment("p-w", "FAILED", 500, AT + timedelta(hours=2)))
    portone_tells(door, "Failed", "p-w")
    ask(door, portone)
    assert money(door, "p-w")[0] == "failed"


def test_a_cancellation_that_is_asked_for_first_is_a_payment_and_its_refund(door, portone):
    portone.holds(portone_api.payment("p-c", "CANCELLED", 500, AT, back=500))
    portone_tells(door, "Cancelled", "p-c")
    portone_tells(door, "Paid", "p-c")
    ask(door, portone)
    door.shop.tell(order("p-c"))
    assert facts(door) == ["PaymentSucceeded", "PaymentRefunded"]
    assert money(door, "p-c") == ("canceled", "500", "500")


@pytest.mark.parametrize(
    ("kind", "document", "status"),
    [
        ("Failed", portone_api.payment("p-x", "FAILED", 500, AT), "failed"),
        ("Cancelled", portone_api.payment("p-x", "CANCELLED", 500, AT, paid=False), "canceled"),
    ],
)
def test_what_never_captured_fails_or_is_canceled(door, portone, kind, document, status):
    portone.holds(document)
    door.shop.tell(order("p-x"))
    portone_tells(door, kind, "p-x")
    ask(door, portone)
    assert money(door, "p-x")[0] == status


@pytest.mark.parametrize(("status", "stands"), [("FAILED", "failed"), ("CANCELLED", "canceled")])
def test_what_the_api_says_counts_and_not_the_webhook(door, portone, status, stands):
    portone.holds(portone_api.payment("p-n", status, 500, AT, paid=False))
    door.shop.tell(order("p-n"))
    portone_tells(door, "Paid", "p-n")
    ask(door, portone)
    assert money(door, "p-n")[0] == stands
    assert rows(door) == [("portone", "done")]


def test_an_api_that_lags_behind_its_signed_webhook_loses_no_payment(door, portone):
    door.shop.tell(order("p-late"))
    portone_tells(door, "Paid", "p-late")
    for seconds, status in ((0, None), (5, "READY"), (20, "PAY_PENDING")):
        if status is not None:
            portone.holds(portone_api.payment("p-late", status, 500, AT - timedelta(minutes=1)))
        assert ask(door, portone, later=timedelta(seconds=seconds)) == 1
        assert rows(door) == [("portone", "due")]
        assert (status or "does not know") in last_error(door)
    portone.holds(portone_api.payment("p-late", "PAID", 500, AT))
    ask(door, portone, later=timedelta(minutes=5))
    assert money(door, "p-late") == ("paid", "500", "0")
    assert rows(door) == [("portone", "done")]


def test_a_payment_that_the_api_never_knows_is_given_up_after_patience_and_can_be_asked_for_again(door, portone):
    portone_tells(door, "Paid", "p-unknown")
    ask(door, portone)
    assert rows(door) == [("portone", "due")]
    ask(door, portone, later=PATIENCE)
    assert rows(door) == [("portone", "dead")]
    assert "does not know" in last_error(door)
    portone.holds(portone_api.payment("p-unknown", "PAID", 500, AT))
    with door.shop.engine.begin() as conn:
        [found] = payment_lookups.given_up(conn, type="portone.Transaction.Paid")
        assert (found.payment_id, found.attempts, "does not know" in found.error) == ("p-unknown", 2, True)
        assert payment_lookups.given_up(conn, type="toss.PAYMENT_STATUS_CHANGED") == []
        assert payment_lookups.given_up(conn, since=datetime.now(UTC) + timedelta(minutes=1)) == []
        assert payment_lookups.ask_again(conn, [found.seq], "kim") == [found.seq]
        assert payment_lookups.ask_again(conn, [found.seq], "kim") == []
    ask(door, portone, later=timedelta(seconds=1))
    assert facts(door) == ["PaymentSucceeded"]
    [noted] = door.shop.rows("select actor, action, detail, target from audit")
    [(lookup_id,)] = door.shop.rows("select id from inbox")
    assert tuple(noted) == ("kim", "dlq replay", {}, format_id("lookups", lookup_id))


def test_an_api_that_is_away_is_asked_again_and_given_up_after_patience(door):
    away = Provider("portone", "", PortOne("http://127.0.0.1:1", "k"))
    portone_tells(door, "Paid")
    assert ask(door, away) == 1
    assert rows(door) == [("portone", "due")]
    assert "no answer" in last_error(door)
    assert ask(door, away) == 0  # not at once
    assert ask(door, away, later=timedelta(seconds=5)) == 1
    assert ask(door, away, later=PATIENCE + timedelta(seconds=5)) == 1
    assert rows(door) == [("portone", "dead")]


def test_a_wrong_api_key_is_no_verdict_on_a_payment(door, portone):
    portone_tells(door, "Paid", "p-key")
    ask(door, Provider("portone", "", PortOne(portone.url, "wrong")))
    assert rows(door) == [("portone", "due")]
    assert "check its API key" in last_error(door)


def test_a_bad_day_of_the_provider_costs_nothing_but_time(door):
    numbers = [f"{number:03}" for number in range(40)]
    with running("portone", "--key", "k", "--errors", 0.3, "--seed", 3) as (_, url):
        bad = Provider("portone", url, PortOne(url, "k", 0.5))
        for number in numbers:
            bad.holds(portone_api.payment(f"p-{number}", "PAID", 500, AT))
        burst = [as_standard(portone_event("Paid", f"p-{number}")) for number in numbers]
        assert set(door.statuses("payments/portone", *burst)) == {202}
        for round_ in range(12):
            ask(door, bad, later=timedelta(hours=round_))
    assert set(rows(door)) == {("portone", "done")}
    assert facts(door) == ["PaymentSucceeded"] * 40


def test_two_workers_ask_for_each_once_and_one_that_died_costs_its_lease(door, portone):
    numbers = range(60)
    for number in numbers:
        portone.holds(portone_api.payment(f"q-{number}", "PAID", 500, AT))
    burst = [as_standard(portone_event("Paid", f"q-{number}")) for number in numbers]
    assert set(door.statuses("payments/portone", *burst)) == {202}
    died = text("update inbox set next_at = now() + interval '60 s', attempts = 1 where seq % 5 = 0")
    with door.shop.engine.begin() as conn:
        lost = conn.execute(died).rowcount
    sources = {"portone": portone.source}

    def work(later):
        now = datetime.now(UTC) + later
        return payment_lookups.run_due(door.shop.engine, door.shop.streams, SHARDS, sources, PATIENCE, now)

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(work, [timedelta(0)] * 3)) == 60 - lost
    assert work(LEASE_OVER) == lost
    assert facts(door) == ["PaymentSucceeded"] * 60


def test_what_the_database_refuses_holds_nobody_up(door, portone):
    class Poisoned:
        def ask(self, kind, time, data):
            told = portone.source.ask(kind, time, data)
            return replace(told, payment_id="p\x00") if data["paymentId"] == "s-1" else told

    for number in range(3):
        portone.holds(portone_api.payment(f"s-{number}", "PAID", 500, AT))
        portone_tells(door, "Paid", f"s-{number}")
    ask(door, Provider("portone", "", Poisoned()))
    assert rows(door) == [("portone", "done"), ("portone", "due"), ("portone", "done")]
    assert facts(door) == ["PaymentSucceeded"] * 2


# -- without a key -------------------------------------------------------------------------------------------


def test_without_a_key_a_payment_is_what_its_order_still_owes(door):
    door.shop.tell(order(total=700))
    portone_tells(door, "Paid")
    unasked(door)
    assert money(door) == ("paid", "700", "0")
    assert door.status("N1") in ("paid", "preparing")


def test_without_a_key_a_payment_is_what_its_payer_keeps_and_was_accepted(door):
    items = [{"item": name, "product": name, "quantity": 1, "unitPrice": "500"} for name in ("tea", "mug")]
    door.shop.tell(
        an_event("OrderCreated", "N1", items=items, totalAmount="1000", currency="KRW", paymentIds=["p-1", "p-2"]),
        an_event("ItemsCanceled", "N1", cancellation="c1", items=[{"item": "mug", "quantity": 1}], by="staff"),
        an_event("PaymentSucceeded", None, paymentId="p-2", amount="100", currency="KRW"),
        an_event("OrderAccepted", "N1", amount="950", by="staff"),
    )
    portone_tells(door, "Paid")
    unasked(door)
    assert money(door) == ("paid", "350", "0"), "950, less the mug, less what came before"


def test_without_a_key_a_payment_is_what_was_announced_of_it(door):
    items = [{"item": name, "product": name, "quantity": 1, "unitPrice": "500"} for name in ("tea", "mug")]
    door.shop.tell(
        an_event("OrderCreated", "N1", items=items, totalAmount="1000", currency="KRW", paymentIds=["p-1"]),
        replace(an_event("PaymentPending"), data={"paymentId": "p-1", "kind": "awaiting_deposit", "amount": "1000"}),
        an_event("ItemsCanceled", "N1", cancellation="c1", items=[{"item": "mug", "quantity": 1}], by="staff"),
    )
    portone_tells(door, "Paid")
    unasked(door)
    assert money(door)[:2] == ("paid", "1000"), "the account took what it was issued for"


def test_without_a_key_and_without_its_order_it_waits_for_that(door):
    portone_tells(door, "Paid")
    unasked(door)
    assert rows(door) == [("portone", "due")]
    assert "waits for the order" in last_error(door)
    door.shop.tell(order())
    unasked(door, later=timedelta(seconds=45))
    assert money(door) == ("paid", "500", "0")
    assert rows(door) == [("portone", "done")]


TELLINGS = [list(kinds) for kinds in itertools.permutations(("Paid", "Cancelled", "Failed"))]


@pytest.mark.parametrize("kinds", TELLINGS, ids="-".join)
def test_without_a_key_paid_and_cancelled_are_a_refund_in_any_order(door, kinds):
    door.shop.tell(order())
    for kind in kinds:
        portone_tells(door, kind)
        unasked(door)
    assert money(door) == ("canceled", "500", "500")
    assert {state for _, state in rows(door)} == {"done"}


def test_without_a_key_and_before_its_order_paid_and_cancelled_are_a_refund_too(door):
    for kind in ("Cancelled", "Paid"):
        portone_tells(door, kind)
    unasked(door)
    door.shop.tell(order())
    unasked(door, later=timedelta(seconds=45))
    assert money(door) == ("canceled", "500", "500")


def test_without_a_key_cancelled_alone_is_a_payment_given_up(door):
    door.shop.tell(order())
    portone_tells(door, "Cancelled")
    unasked(door)
    assert money(door)[0] == "canceled"
    assert facts(door) == ["PaymentCanceled"]


def test_without_a_key_a_partial_cancellation_says_which_setting_it_needs(door):
    portone_tells(door, "PartialCancelled")
    unasked(door)
    assert rows(door) == [("portone", "dead")]
    assert "ORDERS_PORTONE_API_KEY" in last_error(door)


def test_the_chore_is_sent_where_somebody_is_to_be_asked(door):
    from providers.registry import registry
    from settings.environment import read
    from workers.scheduler import schedule

    from .conftest import NOWHERE

    assert set(registry().lookups(read(door.environment, NOWHERE).providers)) == {"portone", "toss"}
    assert {"orders.inbox:portone", "orders.inbox:toss"} <= schedule(read(door.environment, NOWHERE)).keys()
    assert not [name for name in schedule(read({}, NOWHERE)) if name.startswith("orders.inbox")]
    assert registry().lookups(read({}, NOWHERE).providers) == {}
