"""createOrder and updateOrder, and how each refuses."""

from __future__ import annotations

import json

import pytest

from tests.builders import created, failed, shipped
from tests.integration.api.commands.conftest import SNAPSHOT


def test_an_order_is_created_pending_with_its_payment_pending(shop):
    body = shop.body(customer="cus_1", notes="ring twice")
    made = shop.ok("POST", "/api/orders?depth=1", body)
    doc = made["doc"]
    assert made["message"] == "Order successfully created."
    assert (doc["status"], doc["totalAmount"], doc["currency"], doc["customer"]) == ("pending", 10000, "KRW", "cus_1")
    assert (doc["customerSnapshot"], doc["notes"]) == (SNAPSHOT, "ring twice")
    (line,), (payment,) = doc["products"]["docs"], doc["transactions"]["docs"]
    assert (line["product"], line["quantity"], line["unitPrice"], line["reference"]) == ("mug", 2, 5000, None)
    assert (payment["paymentId"], payment["status"], payment["amount"]) == (body["paymentId"], "pending", 10000)


def test_an_order_may_name_who_takes_its_payment(shop):
    body = shop.body(provider="stripe")
    doc = shop.ok("POST", "/api/orders?depth=1", body)["doc"]
    assert [each["provider"] for each in doc["transactions"]["docs"]] == ["stripe"]
    assert shop.ok("POST", "/api/orders", body)["doc"]["id"] == doc["id"]
    fault = shop.call("POST", "/api/orders", {**shop.body(provider="stripe"), "paymentId": None})
    assert fault.status_code == 400
    assert "says who takes paymentId, which is not sent; send both, or neither" in fault.text


def test_personal_fields_stand_in_no_body_of_the_journal(shop):
    shop.create(notes="ring twice")
    told = json.dumps([row[0] for row in shop.do("select data from journal")])
    assert not any(word in told for word in ("John", "Main St", "ring twice"))


def test_amounts_keep_each_digit_from_the_request_to_the_answer(shop):
    raw = json.dumps(shop.body(currency="BHD", totalAmount="@", orderProducts=[
        {"product": "ring", "quantity": 3, "unitPrice": "100000000000.123"}]))  # fmt: skip
    raw = raw.replace('"@"', "300000000000.369").replace('"100000000000.123"', "100000000000.123")
    answer = shop.client.post("/api/orders", content=raw, headers=shop.secret)
    assert answer.status_code == 201
    assert '"totalAmount":300000000000.369,' in answer.text


def test_a_free_order_is_paid_at_once_and_the_workers_prepare_it(shop):
    line = {"product": "sample", "quantity": 1, "unitPrice": 0}
    doc = shop.create(line, paymentId=None)
    assert doc["status"] == "paid"
    shop.work()
    assert shop.status(doc) == "preparing"


def test_a_payment_that_came_before_its_order_pays_it(shop):
    body = shop.body()
    shop.tell(failed(payment=body["paymentId"], subject=None))
    assert shop.ok("POST", "/api/orders", body)["doc"]["status"] == "failed"


def test_the_same_number_and_body_is_the_same_order_however_its_numbers_are_written(shop):
    body = shop.body()
    first = shop.call("POST", "/api/orders", body)
    again = shop.call("POST", "/api/orders", {**body, "totalAmount": "10000.00", "discountAmount": 0})
    assert (again.status_code, again.json()) == (201, first.json())
    assert shop.one("select count(*) from journal") == 1


@pytest.mark.parametrize(
    "change", [{"totalAmount": 10001, "shippingAmount": 1}, {"customer": "x"}, {"customerSnapshot": {"name": "Jane"}}]
)
def test_the_same_number_with_another_body_is_taken(shop, change):
    body = shop.body()
    shop.ok("POST", "/api/orders", body)
    assert shop.refused(409, "POST", "/api/orders", {**body, **change})["name"] == "order_number_taken"


def test_a_number_that_an_event_took_is_taken(shop):
    shop.tell(created(subject="E1", payments=()))
    assert shop.refused(409, "POST", "/api/orders", shop.body(orderNumber="E1"))["name"] == "order_number_taken"


def test_a_payment_of_another_order_is_refused(shop):
    shop.create(paymentId="p1")
    assert shop.refused(409, "POST", "/api/orders", shop.body(paymentId="p1"))["name"] == "payment_id_taken"


def test_amounts_that_do_not_add_up_show_both(shop):
    error = shop.refused(400, "POST", "/api/orders", shop.body(totalAmount=9000, shippingAmount=2500, discountAmount=1))
    (fault,) = error["data"]["errors"]
    assert (error["name"], fault["path"]) == ("ValidationError", "totalAmount")
    assert "9000" in fault["message"]
    assert "10000 + 2500 − 1 = 12499" in fault["message"]


def test_every_fault_is_named(shop):
    body = shop.body(
        {"product": "mug", "quantity": 0, "unitPrice": 5000},
        {"product": "", "quantity": 1, "unitPrice": -1},
        totalAmount=0,
    )
    body |= {"colour": "red", "customerSnapshot": {"nom": "x"}, "currency": "won"}
    del body["orderNumber"], body["shippingAddress"]
    paths = {fault["path"] for fault in shop.refused(400, "POST", "/api/orders", body)["data"]["errors"]}
    assert paths == {
        "orderNumber", "shippingAddress", "colour", "customerSnapshot.nom", "currency", "orderProducts.0.quantity",
        "orderProducts.1.product", "orderProducts.1.unitPrice",
    }  # fmt: skip


def test_more_decimals_than_the_currency_has_are_refused(shop):
    body = shop.body({"product": "mug", "quantity": 2, "unitPrice": 0.5}, totalAmount=1)
    (fault,) = shop.refused(400, "POST", "/api/orders", body)["data"]["errors"]
    assert fault == {"path": "orderProducts.0.unitPrice", "message": "0.5 KRW has more than 0 decimals"}


def test_a_discount_beyond_the_price_is_refused(shop):
    error = shop.refused(400, "POST", "/api/checkout", {**_checkout(shop), "discountAmount": 20000})
    assert error["data"]["errors"][0]["path"] == "discountAmount"


def _checkout(shop):
    cart = shop.ok("POST", "/api/carts", {})["doc"]["id"]
    shop.ok("POST", f"/api/carts/{cart}/items", {"product": "mug", "quantity": 2, "unitPrice": 5000})
    return {"cartId": cart, "orderNumber": "C1", "customerSnapshot": SNAPSHOT}


# -- updateOrder -------------------------------------------------------------------------------------------


def test_an_order_is_canceled_and_its_money_goes_back(shop):
    order = shop.paid()
    assert shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})["doc"]["status"] == "canceled"
    assert shop.do("select target, state from effects") == [(10000, "due")]


def test_shipping_steps_move_the_plan_and_confirm_ends_it(shop):
    order = shop.paid()
    assert order["status"] == "preparing"
    for status in ("preparing", "shipped", "delivered", "confirmed"):
        assert shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": status})["doc"]["status"] == status
    (parcel,) = shop.order(order)["fulfillments"]["docs"]
    assert parcel["status"] == "delivered"


def test_a_cancel_while_a_parcel_is_out_names_what_is_allowed(shop):
    order = shop.paid()
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "shipped"})
    error = shop.refused(409, "PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    assert (error["name"], error["data"]) == ("Conflict", {"status": "shipped", "allowed": ["delivered"]})


@pytest.mark.parametrize("status", ["pending", "paid", "failed", "shipped", "delivered", "confirmed", "returned"])
def test_a_pending_order_can_only_be_canceled(shop, status):
    order = shop.create()
    error = shop.refused(409, "PATCH", f"/api/orders/{order['id']}", {"status": status})
    assert error["data"] == {"status": "pending", "allowed": ["canceled"]}


def test_a_status_that_is_none_is_a_fault(shop):
    order = shop.create()
    error = shop.refused(400, "PATCH", f"/api/orders/{order['id']}", {"status": "cancelled"})
    assert error["data"]["errors"][0]["path"] == "status"


def test_two_parcels_make_a_shipping_step_ambiguous(shop):
    order = shop.paid()
    item = order["products"]["docs"][0]["id"]
    body = {"order": order["id"], "items": [{"orderItem": item, "quantity": 1}]}
    shop.ok("POST", "/api/fulfillments", body)
    error = shop.refused(409, "PATCH", f"/api/orders/{order['id']}", {"status": "shipped"})
    assert "/api/fulfillments/" in error["message"]
    assert error["data"] == {"status": "preparing", "allowed": ["preparing", "canceled"]}


def test_orders_that_nobody_knows_are_404_and_hidden_ones_too(shop):
    shop.tell(shipped(subject="H1"))  # named, and never created
    hidden = shop.one("select id from orders")
    for name in ("ord_" + "0" * 32, "nonsense", hidden, "N%00"):
        assert shop.call("PATCH", f"/api/orders/{name}", {"status": "canceled"}).status_code in (400, 404)


def test_a_bulk_update_moves_those_that_may_and_says_why_others_may_not(shop):
    one, two, out = shop.create(customer="c"), shop.create(customer="c"), shop.paid(customer="c")
    shop.ok("PATCH", f"/api/orders/{out['id']}", {"status": "shipped"})
    found = shop.ok("PATCH", "/api/orders?where[customer][equals]=c", {"status": "canceled"})
    assert {doc["id"] for doc in found["docs"]} == {one["id"], two["id"]}
    assert {doc["status"] for doc in found["docs"]} == {"canceled"}
    assert [(error["id"], error["data"]["status"]) for error in found["errors"]] == [(out["id"], "shipped")]
    assert found["message"] == "Updated 2 Orders successfully."


def test_a_bulk_update_by_number_and_by_none(shop):
    order = shop.create()
    path = f"/api/orders?where[orderNumber][equals]={order['orderNumber']}&depth=1"
    (doc,) = shop.ok("PATCH", path, {"status": "canceled"})["docs"]
    assert (doc["id"], doc["status"]) == (order["id"], "canceled")
    nobody = shop.ok("PATCH", "/api/orders?where[id][equals]=ord_1", {"status": "canceled"})
    assert (nobody["docs"], nobody["errors"]) == ([], [])
    assert shop.refused(400, "PATCH", "/api/orders", {"status": "canceled"})["data"]["errors"][0]["path"] == "where"
