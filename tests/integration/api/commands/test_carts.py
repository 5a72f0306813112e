"""Carts and checkout, the catalogue, and how they refuse."""

from __future__ import annotations

import pytest

from tests.integration.api.commands.conftest import ADDRESS, SNAPSHOT

MUG = {"product": "mug", "variant": "blue", "quantity": 2, "unitPrice": 5000}


def a_cart(shop, *lines, **more):
    cart = shop.ok("POST", "/api/carts", more)["doc"]
    for line in lines:
        cart = shop.ok("POST", f"/api/carts/{cart['id']}/items", line)["doc"]
    return cart


def terms(cart, number="C1", **more):
    return {"cartId": cart["id"], "orderNumber": number, "customerSnapshot": SNAPSHOT, **more}


def test_a_cart_is_filled_changed_and_emptied(shop):
    cart = a_cart(shop, MUG, {"product": "cup", "quantity": 1, "unitPrice": "900"}, customer="cus_1")
    mug, cup = cart["items"]["docs"]
    assert (cart["customer"], cart["currency"], cart["order"]) == ("cus_1", "KRW", None)
    assert (mug["product"], mug["variant"], mug["quantity"], cup["unitPrice"]) == ("mug", "blue", 2, 900)
    path = f"/api/carts/{cart['id']}/items"
    changed = shop.ok("PATCH", f"{path}/{mug['id']}", {"quantity": 7})["doc"]
    assert [line["quantity"] for line in changed["items"]["docs"]] == [7, 1]
    left = shop.ok("DELETE", f"{path}/{cup['id']}")["doc"]
    assert [line["id"] for line in left["items"]["docs"]] == [mug["id"]]
    assert shop.refused(404, "DELETE", f"{path}/{cup['id']}")
    assert shop.refused(404, "PATCH", f"{path}/nothing", {"quantity": 1})
    assert shop.refused(404, "POST", "/api/carts/crt_1/items", MUG)


def test_checkout_makes_an_order_of_what_the_cart_holds(shop):
    cart = a_cart(shop, MUG, customer="cus_1")
    body = terms(cart, shippingAddress=ADDRESS, shippingAmount=2500, discountAmount=500, paymentId="p")
    order = shop.ok("POST", "/api/checkout?depth=1", body)["doc"]
    assert (order["status"], order["totalAmount"], order["customer"]) == ("pending", 12000, "cus_1")
    (line,), (payment,) = order["products"]["docs"], order["transactions"]["docs"]
    assert (line["product"], line["variant"], line["totalPrice"], payment["amount"]) == ("mug", "blue", 10000, 12000)


def test_a_second_checkout_answers_the_first_order(shop):
    cart = a_cart(shop, MUG)
    first = shop.ok("POST", "/api/checkout", terms(cart), Idempotency_Key="a")
    assert shop.ok("POST", "/api/checkout", terms(cart, "C2"), Idempotency_Key="b") == first
    assert shop.one("select count(*) from orders") == 1


def test_a_cart_that_became_an_order_changes_no_more(shop):
    cart = a_cart(shop, MUG)
    order = shop.ok("POST", "/api/checkout", terms(cart))["doc"]
    path = f"/api/carts/{cart['id']}/items"
    item = f"{path}/{cart['items']['docs'][0]['id']}"
    for request in (("POST", path, MUG), ("PATCH", item, {"quantity": 1}), ("DELETE", item)):
        assert shop.refused(409, *request)["data"]["order"] == order["id"]


def test_an_empty_cart_an_unknown_one_and_a_wrong_total_are_refused(shop):
    empty = shop.refused(400, "POST", "/api/checkout", terms(a_cart(shop)))
    assert empty["data"]["errors"][0]["path"] == "cartId"
    shop.refused(404, "POST", "/api/checkout", terms({"id": "crt_" + "2" * 32}))
    cart = a_cart(shop, MUG)
    wrong = shop.refused(400, "POST", "/api/checkout", terms(cart, totalAmount=9999))
    assert "9999" in wrong["data"]["errors"][0]["message"]
    shop.ok("POST", "/api/checkout", terms(cart, totalAmount=10000))


def test_a_number_that_is_taken_is_refused_even_for_the_same_goods(shop):
    shop.ok("POST", "/api/checkout", terms(a_cart(shop, MUG)))
    other = shop.refused(409, "POST", "/api/checkout", terms(a_cart(shop, MUG)))
    assert other["name"] == "order_number_taken"


def test_a_price_is_of_the_carts_currency(shop):
    cart = a_cart(shop, currency="USD")
    line = {**MUG, "unitPrice": 1.005}
    error = shop.refused(400, "POST", f"/api/carts/{cart['id']}/items", line)
    assert error["data"]["errors"] == [{"path": "unitPrice", "message": "1.005 USD has more than 2 decimals"}]
    shop.ok("POST", f"/api/carts/{cart['id']}/items", {**MUG, "unitPrice": 1.05})
    assert shop.ok("POST", "/api/checkout", terms(cart))["doc"]["totalAmount"] == 2.1


# -- catalogue ---------------------------------------------------------------------------------------------

ENTRIES = [
    ("products", {}),
    ("product-variants", {"product": "mug"}),
    ("product-options", {"variant": "blue"}),
]


@pytest.mark.parametrize(("collection", "owner"), ENTRIES)
def test_entries_are_told_one_by_one_and_in_bulk(shop, collection, owner):
    path = f"/api/{collection}"
    first = shop.ok("PUT", f"{path}/a", {"title": "A", "price": 10.5, "sku": "S", **owner})["doc"]
    assert {name: first[name] for name in ("id", "title", "price", "sku", *owner)} == {
        "id": "a", "title": "A", "price": 10.5, "sku": "S", **owner,
    }  # fmt: skip
    bulk = [{"id": "b", "title": "B", **owner}, {"id": "a", "title": "A2", **owner}]
    docs = shop.ok("PUT", path, bulk)["docs"]
    assert [(doc["id"], doc["title"], doc["sku"]) for doc in docs] == [("b", "B", None), ("a", "A2", None)]
    assert docs[1]["createdAt"] == first["createdAt"]
    assert shop.ok("PUT", path, [])["docs"] == []


@pytest.mark.parametrize(("collection", "owner"), ENTRIES)
def test_faults_of_a_bulk_are_named_and_nothing_of_it_is_kept(shop, collection, owner):
    path, entry = f"/api/{collection}", {"id": "a", "title": "A", **owner}
    twice = shop.refused(400, "PUT", path, [entry, entry])
    assert twice["data"]["errors"][0]["path"] == "1.id"
    faulty = shop.refused(400, "PUT", path, [entry, {"id": "b", "price": -1, "colour": "red", **owner}])
    assert {fault["path"] for fault in faulty["data"]["errors"]} == {"1.title", "1.price", "1.colour"}
    shop.refused(400, "PUT", path, [{**entry, "id": str(n)} for n in range(1001)])
    shop.refused(400, "PUT", f"{path}/a%00b", {"title": "A", **owner})
    assert shop.one(f"select count(*) from {collection.replace('-', '_')}") == 0
