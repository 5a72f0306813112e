"""A return's parcel, followed from the customer to the warehouse: by API, by a carrier's webhooks, by polls."""

from __future__ import annotations

from datetime import timedelta

from storage.clock import clock
from tests.webhooks import EASYPOST, as_easypost

NAMED = {"carrier": "Returns Express", "trackingNumber": "R-1"}


def a_return(shop, **more):
    order = shop.delivered(customer="cus_1")
    body = {"order": order["id"], "reason": "other", **more}
    back = shop.ok("POST", "/api/returns", body, shop.customer("cus_1"))["doc"]
    shop.work()
    return order, back


def seen(shop, status, number="R-1", event="evt_1"):
    """A webhook of the carrier's: its parcel has this status now."""
    scan = {
        "status": status,
        "datetime": (clock() + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message": status,
    }
    about = {"carrier": "returns express", "tracking_code": number, "status": status, "tracking_details": [scan]}
    told = {"id": event, "description": "tracker.updated", "created_at": "2026-11-20T12:00:00Z", "result": about}
    body, headers = as_easypost(told)
    answer = shop.client.post("/webhooks/carriers/easypost", content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    shop.work()


def returned(shop, back):
    return shop.ok("GET", f"/api/returns/{back['id']}")


def test_a_returns_parcel_is_followed_to_the_warehouse(open_shop):
    shop = open_shop(ORDERS_EASYPOST_SECRETS=EASYPOST)
    order, back = a_return(shop, **NAMED)
    assert (back["carrier"], back["trackingNumber"], back["trackingStatus"]) == ("Returns Express", "R-1", None)
    seen(shop, "in_transit")
    assert (returned(shop, back)["trackingStatus"], returned(shop, back)["receivedAt"]) == ("in_transit", None)
    seen(shop, "delivered", event="evt_2")
    doc = returned(shop, back)
    assert (doc["trackingStatus"], doc["status"], doc["receivedAt"] is not None) == ("delivered", "processing", True)
    assert shop.order(order)["fulfillments"]["docs"][0]["status"] == "delivered"
    error = shop.refused(409, "POST", f"/api/returns/{back['id']}/withdraw", {}, shop.customer("cus_1"))
    assert error["data"]["receivedAt"] == doc["receivedAt"]
    done = shop.ok("PATCH", f"/api/returns/{back['id']}", {"status": "completed"})["doc"]
    assert (done["status"], shop.status(order)) == ("completed", "returned")


def test_a_scan_that_comes_before_anybody_named_the_return_waits_for_it(open_shop):
    shop = open_shop(ORDERS_EASYPOST_SECRETS=EASYPOST)
    seen(shop, "delivered")
    _, back = a_return(shop)
    assert returned(shop, back)["receivedAt"] is None
    doc = shop.ok("PATCH", f"/api/returns/{back['id']}", NAMED)["doc"]
    shop.work()
    assert (doc["trackingNumber"], returned(shop, back)["receivedAt"] is not None) == ("R-1", True)


def test_a_carrier_and_a_number_are_one_pair_and_a_wrong_one_is_corrected(open_shop):
    shop = open_shop(ORDERS_EASYPOST_SECRETS=EASYPOST)
    _, back = a_return(shop)
    error = shop.refused(400, "PATCH", f"/api/returns/{back['id']}", {"trackingNumber": "R-0"})
    assert error["data"]["errors"][0]["path"] == "carrier"
    shop.ok("PATCH", f"/api/returns/{back['id']}", {**NAMED, "trackingNumber": "R-0"})
    doc = shop.ok("PATCH", f"/api/returns/{back['id']}", {"trackingNumber": "R-1"})["doc"]
    assert (doc["carrier"], doc["trackingNumber"]) == ("Returns Express", "R-1")
    seen(shop, "delivered", number="R-0")
    assert returned(shop, back)["receivedAt"] is None
