"""The answer to a fulfillment says who is polled for the parcel, and where nobody is, so that a person follows it."""

from __future__ import annotations

import pytest

POLLED = {
    "ORDERS_TRACKER_DELIVERY_CLIENT_ID": "id",
    "ORDERS_TRACKER_DELIVERY_CLIENT_SECRET": "secret",
    "ORDERS_CARRIER_NAMES": "Night Van=tracker_delivery:kr.todaypickup",
}


def create(shop, **more):
    order = shop.paid()
    return shop.ok("POST", "/api/fulfillments", {"order": order["id"], **more})


@pytest.mark.parametrize("carrier", ["CJ대한통운", "cj logistics", "Night Van", "UPS®"])
def test_a_carrier_that_is_polled_is_named(open_shop, carrier):
    answer = create(open_shop(**POLLED), carrier=carrier, trackingNumber="P1")
    assert (answer["polledBy"], answer["message"]) == ("tracker_delivery", "Fulfillment successfully created.")


def test_a_parcel_of_a_carrier_that_nobody_knows_is_kept_and_said_to_be_followed_by_hand(open_shop):
    shop = open_shop(**POLLED)
    answer = create(shop, carrier="Our own van", trackingNumber="P1")
    assert answer["polledBy"] is None
    assert "Nobody polls a carrier named 'Our own van': the parcel is followed by hand" in answer["message"]
    assert "ORDERS_CARRIER_NAMES" in answer["message"]
    parcel = answer["doc"]
    assert (parcel["carrier"], parcel["trackingNumber"]) == ("Our own van", "P1")
    path = f"/api/fulfillments/{parcel['id']}"
    shipped = shop.ok("PATCH", path, {"status": "shipped"})
    assert "followed by hand" in shipped["message"]
    there = shop.ok("PATCH", path, {"status": "delivered"})
    assert (there["message"], there["polledBy"]) == ("Updated successfully.", None)


def test_without_a_number_or_a_polled_carrier_nothing_is_said(open_shop):
    for shop, named in (
        (open_shop(**POLLED), {"carrier": "Van"}),
        (open_shop(), {"carrier": "Van", "trackingNumber": "1"}),
    ):
        answer = create(shop, **named)
        assert (answer["polledBy"], answer["message"]) == (None, "Fulfillment successfully created.")
