"""`orders why`, `orders dwell`, `orders preflight`: what orders wait for, how long, and what a release would make of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from domain import handler_table
from tests.builders import ORDER, created, paid

HOSTILE = "x\x1b[2J\u202e[red]"


def test_an_order_says_what_it_waits_for_and_all_are_counted_by_that(shop, orders):
    assert "no order is open" in orders("why").out
    shop.tell(created())
    said = orders("why", ORDER)
    assert (said.code, "waits for its payment" in said.out) == (0, True), said.err
    assert orders("why", ORDER, "--json").json["waits_for"] == "payment"
    shop.tell(replace(created(payments=("pay-2",)), subject=HOSTILE), paid())
    [payment, shipment] = orders("why", "--json").json["waiting"]
    assert {payment["waits_for"], shipment["waits_for"]} == {"payment", "shipment"}
    assert not set(orders("why").out) & set("\x1b\u202e")
    assert orders("why", "nobody").code == 1


def test_dwell_tells_who_is_late_by_the_targets(shop, orders, monkeypatch):
    assert "no order was placed" in orders("dwell").out
    shop.tell(*(replace(each, time=datetime.now(UTC) - timedelta(days=3)) for each in (created(), paid())))
    late = orders("dwell", "--json")
    assert late.code == 1
    preparing = next(each for each in late.json["statuses"] if each["status"] == "preparing")
    assert (preparing["open"], preparing["open_over"], preparing["longest_open"]) == (1, 1, ORDER)
    text = orders("dwell").out
    assert "3d" in text
    assert "2d" in text
    monkeypatch.setenv("ORDERS_DWELL_TARGETS", "preparing=4d")
    assert orders("dwell").code == 0
    monkeypatch.setenv("ORDERS_DWELL_TARGETS", "packed=4d")
    wrong = orders("dwell")
    assert (wrong.code, "no STATUS=PERIOD" in wrong.err) == (2, True)


def test_preflight_ends_with_1_where_a_release_would_strand_an_order(shop, orders, monkeypatch):
    shop.tell(created(), paid())
    sound = orders("preflight")
    assert (sound.code, "1 open orders" in sound.out, "nothing is stranded" in sound.out) == (0, True, True), sound.err
    assert orders("preflight", "--json").json == {"findings": [], "orders": 1, "waiting": 0}

    def fails(*_: object):
        raise ZeroDivisionError(HOSTILE)

    handler = handler_table.HANDLERS["PaymentSucceeded"]
    monkeypatch.setitem(handler_table.HANDLERS, "PaymentSucceeded", replace(handler, handle=fails))
    found = orders("preflight")
    assert (found.code, "stranded" in found.out, ORDER in found.out) == (1, True, True)
    assert not set(found.out) & set("\x1b\u202e")
    kinds = {each["kind"] for each in orders("preflight", "--json").json["findings"]}
    assert kinds == {"stranded", "changed"}
