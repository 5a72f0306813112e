"""Holds over HTTP: what they refuse, what is recorded all the same, and how they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from journal.timers import run_due
from tests.builders import refunded, shipped


def hold(shop, order, **body):
    return shop.ok("POST", f"/api/orders/{order['id']}/hold", body)["doc"]


def release(shop, order, **body):
    return shop.ok("POST", f"/api/orders/{order['id']}/release", body)["doc"]


@pytest.fixture
def order(shop):
    return shop.paid()


def test_a_held_order_ships_by_no_request(shop, order):
    assert hold(shop, order, hold="fraud", reason="asks about the card")["flags"] == ["held"]
    (plan,) = order["fulfillments"]["docs"]
    requests = (
        ("PATCH", f"/api/fulfillments/{plan['id']}", {"status": "shipped"}),
        ("PATCH", f"/api/orders/{order['id']}", {"status": "shipped"}),
        ("PATCH", f"/api/orders/{order['id']}", {"status": "preparing"}),
        ("POST", "/api/fulfillments", {"order": order["id"]}),
    )
    for request in requests:
        error = shop.refused(409, *request)
        assert (error["name"], error["data"]["holds"]) == ("order_held", ["fraud"])
        assert "is held by fraud" in error["message"]
    assert release(shop, order)["flags"] == []
    shop.ok(*requests[1])
    assert shop.status(order) == "shipped"


def test_holds_that_stand_are_shown_with_who_why_and_until_when(shop, order):
    until = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    hold(shop, order, hold="fraud", reason="asks about the card", until=until.isoformat())
    hold(shop, order)
    number = order["orderNumber"]
    shop.tell(refunded(10_000, f"pay-{number}", subject=number, at=datetime.now(UTC)))
    found = {each["hold"]: each for each in shop.order(order)["holds"]}
    assert set(found) == {"fraud", "staff", "refunded"}
    assert (found["fraud"]["reason"], found["fraud"]["by"]) == ("asks about the card", "api")
    assert found["fraud"]["until"] == until
    assert (found["staff"]["reason"], found["staff"]["until"]) == (None, None)
    assert (found["refunded"]["by"], found["refunded"]["reason"]) == (None, None)
    release(shop, order, hold="fraud")
    release(shop, order, hold="refunded")
    assert [each["hold"] for each in shop.order(order)["holds"]] == ["staff"]
    release(shop, order)
    assert shop.order(order)["holds"] == []
    assert shop.do("select facts -> 'standing' from orders")[0][0] is None


def test_a_held_order_may_be_canceled(shop, order):
    hold(shop, order)
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    assert (shop.status(order), shop.order(order)["flags"]) == ("canceled", [])
    assert "nothing of it ships" in shop.refused(409, "POST", f"/api/orders/{order['id']}/hold", {})["message"]


def test_a_shipment_that_is_reported_all_the_same_is_recorded_and_flagged(shop, order):
    hold(shop, order)
    shop.tell(shipped(subject=order["orderNumber"], at=datetime.now(UTC) + timedelta(seconds=5)))
    found = shop.order(order)
    assert (found["status"], found["flags"]) == ("shipped", ["held", "shipped_while_held"])


def test_a_fully_refunded_order_must_not_ship_until_it_is_released(shop, order):
    number = order["orderNumber"]
    shop.tell(refunded(10_000, f"pay-{number}", subject=number, at=datetime.now(UTC)))
    error = shop.refused(409, "PATCH", f"/api/orders/{order['id']}", {"status": "shipped"})
    assert (error["name"], error["data"]["holds"]) == ("order_held", ["refunded"])
    assert release(shop, order, hold="refunded")["flags"] == ["over_refunded"]
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "shipped"})


def test_a_hold_ends_by_itself_and_the_journal_says_when(shop, order):
    now = datetime.now(UTC)
    until = now + timedelta(hours=2)
    hold(shop, order, until=until.isoformat())
    long = "x" * 255
    assert hold(shop, order, hold=long, until=(until + timedelta(minutes=3)).isoformat())["flags"] == ["held"]
    shop.do("update timers set due = due - interval '1 day' where kind = 'unpaid'")

    def due(at):
        return run_due(shop.doors.engine, shop.doors.settings.policy, shop.doors.shop, at)

    assert due(until - timedelta(minutes=1)) == 0
    assert due(until + timedelta(minutes=1)) == 1
    assert shop.do("select data->>'hold', data->>'by', time from journal where type = 'OrderReleased'") == [
        ("staff", "timer", until)
    ]
    assert shop.order(order)["flags"] == ["held"]
    assert due(until + timedelta(minutes=4)) == 1
    assert shop.order(order)["flags"] == []


def test_a_hold_of_an_order_that_came_as_history_ends_by_itself_too(shop, order):
    shop.do("update orders set held = true")
    until = datetime.now(UTC) + timedelta(hours=2)
    assert hold(shop, order, until=until.isoformat())["flags"] == ["held"]
    at = until + timedelta(minutes=1)
    assert run_due(shop.doors.engine, shop.doors.settings.policy, shop.doors.shop, at) >= 1
    assert shop.order(order)["flags"] == []


def test_a_release_says_which_holds_there_are(shop, order):
    path = f"/api/orders/{order['id']}/release"
    assert shop.refused(409, "POST", path, {})["data"]["holds"] == []
    hold(shop, order, hold="a")
    hold(shop, order, hold="b")
    assert shop.refused(409, "POST", path, {})["data"]["holds"] == ["a", "b"]
    assert "no hold c" in shop.refused(409, "POST", path, {"hold": "c"})["message"]
    assert release(shop, order, hold="b")["flags"] == ["held"]


def test_an_end_must_be_ahead(shop, order):
    error = shop.refused(409, "POST", f"/api/orders/{order['id']}/hold", {"until": "2001-01-01T00:00:00Z"})
    assert "is not ahead" in error["message"]
    error = shop.refused(400, "POST", f"/api/orders/{order['id']}/hold", {"until": "soon"})
    assert error["data"]["errors"][0]["path"] == "until"
