"""Orders say in one sentence each what they wait for; how long they stay; and what a release would make of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain import handler_table
from domain.legal_clock import LegalClock
from operations import dwell, preflight, why
from tests.builders import asked_back, boxed, canceled, created, delivered, failed, paid, pending, shipped, told
from tests.simulators import a_shop

NOW = datetime.now(UTC)


AGES = {"w-arrive": timedelta(days=10), "w-return": timedelta(days=9)}


@pytest.fixture(scope="module")
def shop(module_database_url, module_redis_url):
    """A shop with an order in each way of waiting."""
    with a_shop(module_database_url, module_redis_url) as shop:
        yield shop


def order(number: str, *later, **data):
    """Events of an order of that number, with a payment of its own."""
    events = [created(payments=(f"pay-{number}",), **data), *later]
    at = NOW - AGES.get(number, timedelta(0))
    return [replace(each, id=f"{number}-{n}", subject=number, time=at) for n, each in enumerate(events)]


def its_payment(number: str, **data):
    return paid(10_000, f"pay-{number}", **data)


WAITS = {
    "w-paid": ((), "payment", "waits for its payment"),
    "w-failed": ((failed("pay-w-failed"),), "another_payment", "as every one failed"),
    "w-deposit": ((pending(payment="pay-w-deposit"),), "payment_under_way", "awaiting_deposit"),
    "w-short": ((paid(4_000, "pay-w-short"),), "rest_of_money", "4000 of 10000 KRW came"),
    "w-ship": ((its_payment("w-ship"),), "shipment", "2 of 2 items to ship"),
    "w-half": ((its_payment("w-half"), boxed("box", {"mug": 1}), shipped("box")), "shipment", "1 of 2 items to ship"),
    "w-arrive": (
        (its_payment("w-arrive"), shipped("box", carrier="CJ Logistics", trackingNumber="T1")), "arrival", "CJ Logistics T1 to arrive",
    ),
    "w-confirm": ((its_payment("w-confirm"), shipped("box"), delivered("box")), "confirmation", "the customer to confirm it"),
    "w-return": (
        (its_payment("w-return"), shipped("box"), delivered("box"), asked_back("R1", {"mug": 1})), "returned_goods", "the goods of return R1",
    ),
    "w-held": ((its_payment("w-held"), told("OrderHeld", hold="fraud", by="kim")), "release", "its hold to be released (fraud)"),
    "w-dead": ((paid(10_000, "pay-w-dead", currency="USD"),), "person", "PaymentSucceeded was given up (currency_mismatch)"),
    "w-refund": ((its_payment("w-refund"), canceled()), "refund", "10000 KRW are owed"),
    "w-early": ((its_payment("w-early"), delivered("no such box")), "parked_event", "what makes FulfillmentDelivered applicable"),
}  # fmt: skip


@pytest.fixture(scope="module")
def told_all(shop):
    shop.tell(*(event for number, (later, *_) in WAITS.items() for event in order(number, *later)))
    shop.tell(*order("w-nothing", canceled()))
    return shop


def ids(shop) -> dict[str, str]:
    return {row[0]: row[1] for row in shop.rows("select order_number, cast(id as text) from orders")}


@pytest.mark.parametrize("number", WAITS)
def test_an_order_says_what_it_waits_for(told_all, number):
    _, waits_for, words = WAITS[number]
    with told_all.engine.connect() as conn:
        [found] = why.why(conn, [ids(told_all)[number]])
    assert (found.order, found.waits_for) == (number, waits_for), found.sentence
    assert words in found.sentence
    assert found.since is not None
    assert found.moved_by


def test_every_open_order_has_a_reason_and_an_ended_one_has_none(told_all):
    with told_all.engine.connect() as conn:
        found = {each.order for each in why.each_open(conn)}
        assert why.why(conn, [ids(told_all)["w-nothing"]]) == []
    assert found == set(WAITS)


def test_dwell_times_are_counted_against_targets_and_the_legal_clock(told_all):
    with told_all.engine.connect() as conn:
        stays = {
            each.status: each
            for each in dwell.dwell(conn, {"shipped": timedelta(days=7)}, NOW - timedelta(days=1), datetime.now(UTC))
        }
        late = dwell.overdue(conn, LegalClock(timedelta(days=3), "KR", ZoneInfo("Asia/Seoul")), datetime.now(UTC))
        nothing = dwell.overdue(conn, None, datetime.now(UTC))
    there = stays["shipped"]
    assert (there.open, there.open_over, there.longest_open) == (1, 1, "w-arrive")
    assert 9.9 * 86_400 < there.longest < 10.1 * 86_400
    assert stays["pending"].target is None
    assert "canceled" not in stays
    assert (late.returns, nothing.returns) == (1, 0)


def test_a_release_that_reads_all_as_before_strands_and_changes_nothing(told_all):
    counts = preflight.Counts()
    assert list(preflight.preflight(told_all.engine, counts)) == []
    assert (counts.orders, counts.waiting) == (len(WAITS) - 1, 1)  # one of them is canceled, and waits for its refund


def test_a_release_that_breaks_a_handler_is_told_and_nothing_is_written(told_all, monkeypatch):
    sound = handler_table.HANDLERS["FulfillmentShipped"]

    def fails(*_: object):
        raise ZeroDivisionError("of the new release")

    before = told_all.rows("select md5(string_agg(cast(o as text), '' order by id)) from orders o")
    monkeypatch.setitem(handler_table.HANDLERS, "FulfillmentShipped", replace(sound, handle=fails))
    found = list(preflight.preflight(told_all.engine, preflight.Counts()))
    stranded = [each for each in found if each.kind == preflight.STRANDED]
    assert {each.order for each in stranded} == {"w-half", "w-arrive", "w-confirm", "w-return"}
    assert "of the new release" in stranded[0].after
    assert {"status"} <= {each.what for each in found if each.kind == preflight.CHANGED and each.order == "w-arrive"}
    assert told_all.rows("select md5(string_agg(cast(o as text), '' order by id)) from orders o") == before


def test_a_waiting_event_that_a_release_cannot_read_would_be_stranded(told_all):
    told_all.do("update journal set version = 9 where type = 'FulfillmentDelivered' and subject = 'w-early'")
    found = list(preflight.preflight(told_all.engine, preflight.Counts()))
    assert [(each.kind, each.order) for each in found] == [(preflight.STRANDED, "w-early")]
