"""Items canceled over HTTP: what goes back, what is refused, and the order that is left."""

from __future__ import annotations

from tests.builders import delivered, shipped


def path(order):
    return f"/api/orders/{order['id']}/cancel-items"


def line_of(shop, order):
    return shop.ok("GET", f"/api/order-items?where[order][equals]={order['id']}")["docs"][0]


def a_paid_order(shop):
    """An order of three mugs."""
    return shop.paid({"product": "mug", "quantity": 3, "unitPrice": 5000})


def some(shop, order, quantity):
    return {"items": [{"orderItem": line_of(shop, order)["id"], "quantity": quantity}]}


def due(shop, order):
    return shop.ok("GET", f"/api/orders/{order['id']}/balance")["due"]


def test_1_of_3_delivered_and_the_rest_canceled(shop):
    order = a_paid_order(shop)
    item = line_of(shop, order)["id"]
    shop.tell(delivered("box", {item: 1}, subject=order["orderNumber"]))
    doc = shop.ok("POST", path(order), {**some(shop, order, 2), "reason": "sold out"})["doc"]
    assert (doc["status"], line_of(shop, order)["canceledQuantity"], due(shop, order)) == ("delivered", 2, 10_000)


def test_more_than_is_open_is_refused_and_nothing_is_canceled(shop):
    order = a_paid_order(shop)
    item = line_of(shop, order)["id"]
    shop.tell(shipped("box", {item: 2}, subject=order["orderNumber"]))
    error = shop.refused(409, "POST", path(order), some(shop, order, 2))
    assert (error["data"]["open"], error["data"]["item"]) == (1, item)
    assert "3 were ordered, 2 are in parcels" in error["message"]
    assert shop.refused(409, "POST", path(order), some(shop, order, 4))["data"]["open"] == 1
    assert line_of(shop, order)["canceledQuantity"] == 0


def test_more_than_the_items_may_give_back_is_refused(shop):
    order = a_paid_order(shop)
    error = shop.refused(409, "POST", path(order), {**some(shop, order, 1), "refundAmount": 5001})
    assert error["data"]["refundable"] == 5000
    error = shop.refused(400, "POST", path(order), {**some(shop, order, 1), "refundAmount": 0.5})
    assert error["data"]["errors"][0]["path"] == "refundAmount"
    shop.ok("POST", path(order), {**some(shop, order, 1), "refundAmount": 1000})
    assert due(shop, order) == 1000


def test_an_item_that_the_order_does_not_have_is_named(shop):
    order = a_paid_order(shop)
    error = shop.refused(400, "POST", path(order), {"items": [{"orderItem": "pot", "quantity": 1}]})
    assert error["data"]["errors"][0]["path"] == "items.0.orderItem"


def test_all_items_are_a_cancel_of_the_whole_and_of_a_canceled_order_none_are_canceled(shop):
    order = a_paid_order(shop)
    doc = shop.ok("POST", path(order), some(shop, order, 3))["doc"]
    assert (doc["status"], doc["canceledAt"] is not None, due(shop, order)) == ("canceled", True, 15_000)
    assert "canceled as a whole" in shop.refused(409, "POST", path(order), some(shop, order, 1))["message"]


def test_a_request_that_is_sent_again_cancels_once(shop):
    order = a_paid_order(shop)
    body = some(shop, order, 1)
    for _ in range(2):
        shop.ok("POST", path(order), body, {**shop.secret, "Idempotency-Key": "cancel-1"})
    assert line_of(shop, order)["canceledQuantity"] == 1
