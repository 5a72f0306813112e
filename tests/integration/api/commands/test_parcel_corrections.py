"""Corrections of a fulfillment over HTTP: where it stands, and who carries it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.builders import scan

CARRIER = "CJ Logistics"


@pytest.fixture
def order(shop):
    return shop.paid()


@pytest.fixture
def parcel(shop, order):
    (plan,) = order["fulfillments"]["docs"]
    return shop.ok(
        "PATCH", f"/api/fulfillments/{plan['id']}", {"status": "shipped", "carrier": CARRIER, "trackingNumber": "typo"}
    )["doc"]


def move(shop, parcel, **body):
    return shop.ok("PATCH", f"/api/fulfillments/{parcel['id']}", body)["doc"]


def correct(shop, parcel, **body):
    return shop.ok("POST", f"/api/fulfillments/{parcel['id']}/correct", body)["doc"]


def seen(shop, status, number="typo", **more):
    shop.tell(scan(status, number, carrier=CARRIER, at=datetime.now(UTC) + timedelta(**more)))


def test_delivered_by_mistake_taken_back_and_then_really_delivered(shop, order, parcel):
    assert move(shop, parcel, status="delivered")["status"] == "delivered"
    shop.refused(409, "PATCH", f"/api/fulfillments/{parcel['id']}", {"status": "shipped"})
    back = correct(shop, parcel, status="shipped", reason="clicked by mistake")
    assert (back["status"], back["deliveredAt"], back["shippedAt"]) == ("shipped", None, parcel["shippedAt"])
    assert shop.status(order) == "shipped"
    assert move(shop, parcel, status="delivered")["status"] == "delivered"
    assert shop.status(order) == "delivered"


def test_a_correction_comes_after_what_is_told_of_times_ahead(shop, order, parcel):
    seen(shop, "delivered", hours=5)
    assert shop.status(order) == "delivered"
    assert correct(shop, parcel, status="shipped")["status"] == "shipped"


def test_a_typo_is_corrected_by_its_half_and_the_stranger_moves_nothing_any_more(shop, order, parcel):
    seen(shop, "delivered", minutes=-5)
    assert shop.status(order) == "delivered"
    found = move(shop, parcel, trackingNumber="right")
    assert (found["status"], found["carrier"], found["trackingNumber"]) == ("shipped", CARRIER, "right")
    assert found["trackingStatus"] is None
    seen(shop, "return_to_sender", minutes=1)
    assert (shop.status(order), shop.order(order)["flags"]) == ("shipped", [])
    seen(shop, "delivered", "right", minutes=2)
    assert shop.status(order) == "delivered"


def test_the_carrier_is_corrected_at_any_step(shop, parcel):
    move(shop, parcel, status="delivered")
    found = move(shop, parcel, carrier="Hanjin")
    assert (found["status"], found["carrier"], found["trackingNumber"]) == ("delivered", "Hanjin", "typo")


def test_half_of_a_carrier_and_number_alone_is_refused_where_the_other_is_not_known(shop, order):
    (plan,) = order["fulfillments"]["docs"]
    error = shop.refused(409, "PATCH", f"/api/fulfillments/{plan['id']}", {"carrier": CARRIER})
    assert "trackingNumber" in error["message"]
    shop.refused(400, "PATCH", f"/api/fulfillments/{plan['id']}", {})


def test_a_scan_is_shown_with_its_place_and_the_estimate(shop, parcel):
    due = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    seen_at = datetime.now(UTC).replace(microsecond=0)
    shop.tell(scan("out_for_delivery", "typo", carrier=CARRIER, at=seen_at, detail="with_courier",
                   description="On the van", location="Seoul", estimatedDelivery=due.isoformat()))  # fmt: skip
    found = shop.ok("GET", f"/api/fulfillments/{parcel['id']}")
    found = found.get("doc", found)
    assert (found["trackingStatus"], found["trackingDetail"]) == ("out_for_delivery", "with_courier")
    assert found["lastScan"]["location"] == "Seoul"
    assert datetime.fromisoformat(found["lastScan"]["time"]) == seen_at
    assert datetime.fromisoformat(found["estimatedDelivery"]) == due


def test_a_parcel_that_goes_back_holds_its_order_until_that_is_released(shop, order, parcel):
    seen(shop, "return_to_sender", minutes=1)
    seen(shop, "delivered", minutes=2)
    found = shop.order(order)
    assert (found["status"], found["flags"]) == ("preparing", ["returned_to_sender"])
    error = shop.refused(409, "POST", "/api/fulfillments", {"order": order["id"]})
    assert error["data"]["holds"] == ["returned_to_sender"]


def test_a_fulfillment_of_a_canceled_order_is_not_corrected(shop, order):
    (plan,) = order["fulfillments"]["docs"]
    move(shop, plan, status="packed")
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    error = shop.refused(409, "POST", f"/api/fulfillments/{plan['id']}/correct", {"status": "shipped"})
    assert "was canceled" in error["message"]
