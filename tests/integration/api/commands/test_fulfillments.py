"""createFulfillment and updateFulfillment, and how they refuse."""

from __future__ import annotations

import pytest

MUG, CUP = {"product": "mug", "quantity": 2, "unitPrice": 5000}, {"product": "cup", "quantity": 3, "unitPrice": 100}


def create(shop, order, **more):
    return shop.ok("POST", "/api/fulfillments?depth=1", {"order": order["id"], **more})["doc"]


def refused(shop, order, status=409, **more):
    return shop.refused(status, "POST", "/api/fulfillments", {"order": order["id"], **more})


def move(shop, parcel, status, **more):
    return shop.ok("PATCH", f"/api/fulfillments/{parcel['id']}", {"status": status, **more})["doc"]


def items_of(order):
    return [line["id"] for line in order["products"]["docs"]]


def held(parcel):
    return {
        line["orderItem"]["id"] if isinstance(line["orderItem"], dict) else line["orderItem"]: line["quantity"]
        for line in parcel["items"]["docs"]
    }


def test_without_items_a_fulfillment_takes_all_that_is_open_and_the_plan_goes(shop):
    order = shop.paid(MUG, CUP)
    parcel = create(shop, order, carrier="CJ Logistics", trackingNumber="T1")
    assert held(parcel) == dict(zip(items_of(order), (2, 3), strict=True))
    assert (parcel["status"], parcel["carrier"], parcel["trackingNumber"]) == ("pending", "CJ Logistics", "T1")
    assert parcel["reference"] == parcel["id"]
    assert [one["id"] for one in shop.order(order)["fulfillments"]["docs"]] == [parcel["id"]]


def test_split_shipments_end_delivered(shop):
    order = shop.paid(MUG, CUP)
    mug, cup = items_of(order)
    first = create(shop, order, items=[{"orderItem": mug, "quantity": 1}], reference="box-1")
    assert (first["reference"], held(first)) == ("box-1", {mug: 1})
    second = create(shop, order)
    assert held(second) == {mug: 1, cup: 3}
    for parcel, status in ((first, "preparing"), (second, "shipped")):
        move(shop, parcel, "packed")
        assert move(shop, parcel, "shipped", carrier="UPS", trackingNumber=parcel["id"])["carrier"] == "UPS"
        assert shop.status(order) == status
    move(shop, first, "delivered")
    move(shop, second, "delivered")
    assert shop.status(order) == "delivered"


def test_what_failed_is_open_again(shop):
    order = shop.paid(MUG)
    parcel = create(shop, order)
    assert move(shop, parcel, "failed")["status"] == "failed"
    shop.work()
    assert held(create(shop, order)) == {items_of(order)[0]: 2}


def test_never_more_than_is_open(shop):
    order = shop.paid(MUG)
    (mug,) = items_of(order)
    create(shop, order, items=[{"orderItem": mug, "quantity": 1}])
    error = refused(shop, order, items=[{"orderItem": mug, "quantity": 2}])
    assert error["message"] == f"2 of item {mug} were asked for, 1 are open"
    assert (error["data"]["item"], error["data"]["open"], error["data"]["status"]) == (mug, 1, "preparing")
    twice = [{"orderItem": mug, "quantity": 1}] * 2
    assert refused(shop, order, items=twice)["data"]["open"] == 1
    create(shop, order)
    assert "nothing open" in refused(shop, order)["message"]


def test_an_order_that_is_not_paid_or_was_canceled_ships_nothing(shop):
    order = shop.create()
    assert "not paid" in refused(shop, order)["message"]
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    assert "canceled" in refused(shop, order)["message"]


def test_a_reference_names_one_fulfillment_of_an_order(shop):
    order = shop.paid(MUG)
    create(shop, order, reference="box", items=[{"orderItem": items_of(order)[0], "quantity": 1}])
    assert "choose another name" in refused(shop, order, reference="box")["message"]


def test_an_item_that_the_order_has_not_is_a_fault(shop):
    order = shop.paid(MUG)
    error = refused(shop, order, 400, items=[{"orderItem": "plate", "quantity": 1}])
    assert error["data"]["errors"][0]["path"] == "items.0.orderItem"
    assert items_of(order)[0] in error["data"]["errors"][0]["message"]


def test_an_order_is_named_one_way(shop):
    order = shop.paid(MUG)
    for body in ({}, {"order": order["id"], "orderNumber": order["orderNumber"]}):
        error = shop.refused(400, "POST", "/api/fulfillments", body)
        assert error["data"]["errors"][0]["path"] == "order"
    shop.refused(404, "POST", "/api/fulfillments", {"orderNumber": "nobody's"})
    shop.ok("POST", "/api/fulfillments", {"orderNumber": order["orderNumber"]})


@pytest.mark.parametrize(("first", "then"), [("delivered", "failed"), ("shipped", "packed"), ("packed", "packed")])
def test_a_step_back_names_what_is_allowed(shop, first, then):
    parcel = create(shop, shop.paid(MUG))
    move(shop, parcel, first)
    error = shop.refused(409, "PATCH", f"/api/fulfillments/{parcel['id']}", {"status": then})
    allowed = {"delivered": [], "shipped": ["delivered", "failed"], "packed": ["shipped", "delivered", "failed"]}
    assert error["data"] == {"status": first, "allowed": allowed[first]}


def test_a_fulfillment_that_nobody_knows_is_404(shop):
    for name in ("box", "ful_" + "1" * 32):
        shop.refused(404, "PATCH", f"/api/fulfillments/{name}", {"status": "packed"})


def test_an_id_of_another_kind_is_404_and_both_kinds_are_named(shop):
    order = shop.paid(MUG)
    error = shop.refused(404, "PATCH", f"/api/fulfillments/{order['id']}", {"status": "packed"})
    assert error["message"] == (
        f"{order['id']} is an id of orders; an id of fulfillments is wanted here, which begins with ful_"
    )
