"""Replacements over HTTP: what is given up for lost is sent again, and turns up all the same."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storage.clock import clock
from tests.builders import scan, tracked


@pytest.fixture
def lost(shop):
    """(its order, a parcel of two mugs that has left, and of which nothing is heard)"""
    order = shop.paid()
    made = shop.ok("POST", "/api/fulfillments", {"order": order["id"], "reference": "first", **tracked()})["doc"]
    return order, shop.ok("PATCH", f"/api/fulfillments/{made['id']}", {"status": "shipped"})["doc"]


def again(order, parcel, **more):
    return {"order": order["id"], "replaces": parcel["id"], **more}


def test_a_replacement_for_a_lost_parcel_that_turns_up_again(shop, lost):
    order, parcel = lost
    assert "nothing open" in shop.refused(409, "POST", "/api/fulfillments", {"order": order["id"]})["message"]
    made = shop.ok("POST", "/api/fulfillments", again(order, parcel))["doc"]
    assert (made["replaces"], made["status"], shop.order(order)["flags"]) == ("first", "pending", [])
    for status in ("shipped", "delivered"):
        shop.ok("PATCH", f"/api/fulfillments/{made['id']}", {"status": status})
    assert (shop.status(order), shop.order(order)["flags"]) == ("delivered", [])
    shop.tell(scan("delivered", at=clock() + timedelta(seconds=1)))
    doc = shop.order(order)
    assert (doc["status"], doc["flags"]) == ("delivered", ["over_fulfilled"])
    assert {one["status"] for one in doc["fulfillments"]["docs"]} == {"delivered"}
    (line,) = doc["products"]["docs"]
    assert (line["shippedQuantity"], line["deliveredQuantity"]) == (2, 2)


def test_no_more_is_sent_again_than_the_parcel_holds(shop, lost):
    order, parcel = lost
    item = shop.order(order)["products"]["docs"][0]["id"]
    shop.ok("POST", "/api/fulfillments", again(order, parcel, items=[{"orderItem": item, "quantity": 1}]))
    body = again(order, parcel, items=[{"orderItem": item, "quantity": 2}])
    assert shop.refused(409, "POST", "/api/fulfillments", body)["data"]["replaceable"] == 1
    shop.ok("POST", "/api/fulfillments", again(order, parcel))
    error = shop.refused(409, "POST", "/api/fulfillments", again(order, parcel))
    assert "replaced already" in error["message"]


def test_only_what_has_left_is_replaced(shop, lost):
    order, parcel = lost
    error = shop.refused(400, "POST", "/api/fulfillments", {"order": order["id"], "replaces": "nobody"})
    assert error["data"]["errors"][0]["path"] == "replaces"
    shop.ok("PATCH", f"/api/fulfillments/{parcel['id']}", {"status": "failed"})
    assert "open again" in shop.refused(409, "POST", "/api/fulfillments", again(order, parcel))["message"]
    other = shop.paid()
    waiting = shop.ok("POST", "/api/fulfillments", {"order": other["id"]})["doc"]
    assert "has not left" in shop.refused(409, "POST", "/api/fulfillments", again(other, waiting))["message"]
