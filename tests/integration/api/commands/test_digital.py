"""Orders of lines that need no shipping, over HTTP: alone, beside others, out of a cart."""

from __future__ import annotations

from tests.builders import delivered, shipped

CODE = {"product": "licence", "quantity": 2, "unitPrice": 5000, "requiresShipping": False}
MUG = {"product": "mug", "quantity": 1, "unitPrice": 3000}


def lines_of(shop, order):
    docs = shop.ok("GET", f"/api/order-items?where[order][equals]={order['id']}&sort=product")["docs"]
    return {doc["product"]: doc for doc in docs}


def test_a_digital_order_needs_no_address_and_is_delivered_once_paid(shop):
    body = shop.body(CODE)
    del body["shippingAddress"]
    order = shop.ok("POST", "/api/orders", body)["doc"]
    assert (order["status"], order["shippingAddress"]) == ("pending", None)
    shop.pay(order)
    doc = shop.order(order)
    (line,) = doc["products"]["docs"]
    assert (doc["status"], doc["fulfillments"]["docs"]) == ("delivered", [])
    assert (line["requiresShipping"], line["shippedQuantity"], line["deliveredQuantity"]) == (False, 2, 2)
    assert shop.ok("POST", "/api/orders", body)["doc"]["id"] == order["id"]
    error = shop.refused(409, "POST", "/api/fulfillments", {"order": order["id"]})
    assert "nothing open" in error["message"]
    assert shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "confirmed"})["doc"]["status"] == "confirmed"


def test_a_digital_order_is_canceled_though_it_was_delivered(shop):
    order = shop.paid(CODE)
    doc = shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})["doc"]
    assert (doc["status"], shop.ok("GET", f"/api/orders/{order['id']}/balance")["due"]) == ("canceled", 10_000)
    assert lines_of(shop, order)["licence"]["deliveredQuantity"] == 0


def test_a_mixed_order_ships_what_ships_and_arrives_with_it(shop):
    order = shop.paid(CODE, MUG)
    lines, number = lines_of(shop, order), order["orderNumber"]
    assert order["status"] == "preparing"
    assert (lines["licence"]["deliveredQuantity"], lines["mug"]["deliveredQuantity"]) == (2, 0)
    asked = {"order": order["id"], "items": [{"orderItem": lines["licence"]["id"], "quantity": 1}]}
    assert "it needs no shipping" in shop.refused(409, "POST", "/api/fulfillments", asked)["message"]
    shop.tell(shipped("box", subject=number))
    assert shop.status(order) == "shipped"
    shop.tell(delivered("box", subject=number))
    assert shop.status(order) == "delivered"
    (parcel,) = shop.order(order)["fulfillments"]["docs"]
    held = shop.ok("GET", f"/api/fulfillment-items?where[fulfillment][equals]={parcel['id']}")["docs"]
    assert [share["orderItem"] for share in held] == [lines["mug"]["id"]]


def test_a_mixed_order_needs_an_address(shop):
    body = shop.body(CODE, MUG)
    del body["shippingAddress"]
    error = shop.refused(400, "POST", "/api/orders", body)
    assert error["data"]["errors"][0]["path"] == "shippingAddress"
    assert "requiresShipping" in error["data"]["errors"][0]["message"]


def test_digital_lines_are_returned_and_then_the_order_is_not_canceled(shop):
    order = shop.paid(CODE)
    asked = {
        "order": order["id"],
        "reason": "other",
        "items": [{"orderItem": lines_of(shop, order)["licence"]["id"], "quantity": 1}],
    }
    shop.ok("POST", "/api/returns", asked)
    shop.work()
    assert shop.status(order) == "return_processing"
    shop.refused(409, "PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    cancel = {"items": [{"orderItem": lines_of(shop, order)["licence"]["id"], "quantity": 2}]}
    error = shop.refused(409, "POST", f"/api/orders/{order['id']}/cancel-items", cancel)
    assert (error["data"]["open"], "1 are in returns" in error["message"]) == (1, True)


def test_a_cart_says_which_of_its_lines_need_no_shipping(shop):
    cart = shop.ok("POST", "/api/carts", {})["doc"]
    for line in (CODE, MUG):
        cart = shop.ok("POST", f"/api/carts/{cart['id']}/items", line)["doc"]
    assert [line["requiresShipping"] for line in cart["items"]["docs"]] == [False, True]
    body = {"cartId": cart["id"], "orderNumber": "C-digital", "customerSnapshot": {"name": "Jane"}, "paymentId": "p"}
    order = shop.ok("POST", "/api/checkout", body)["doc"]
    assert {name: line["requiresShipping"] for name, line in lines_of(shop, order).items()} == {
        "licence": False,
        "mug": True,
    }
    asked = "/api/order-items?where[requiresShipping][equals]=false"
    assert [doc["product"] for doc in shop.ok("GET", asked)["docs"]] == ["licence"]
    shop.refused(400, "GET", "/api/order-items?where[requiresShipping][greater_than]=true")
