"""Orders edited over HTTP: what stands, what is refused, and what the first request answers when it is sent again."""

from __future__ import annotations

from datetime import timedelta

from storage.clock import clock
from tests.builders import told
from tests.integration.api.commands.conftest import ADDRESS, SNAPSHOT


def path(order):
    return f"/api/orders/{order['id']}"


def edited(shop, order, fields):
    return shop.ok("PATCH", path(order), fields)["doc"]


def test_an_address_is_edited_before_shipping_and_refused_after_it(shop):
    order = shop.paid()
    doc = edited(shop, order, {"shippingAddress": {"address1": "2 Side St", "postalCode": None}})
    assert doc["shippingAddress"]["address1"] == "2 Side St"
    assert "postalCode" not in doc["shippingAddress"]
    assert doc["shippingAddress"]["recipientName"] == ADDRESS["recipientName"]  # what is left out stays
    assert doc["customerSnapshot"]["email"] == SNAPSHOT["email"]
    shop.ok("PATCH", path(order), {"status": "shipped"})
    error = shop.refused(409, "PATCH", path(order), {"shippingAddress": {"address1": "3 Far Rd"}})
    assert error["data"]["shipped"] == [shop.order(order)["fulfillments"]["docs"][0]["id"]]
    assert edited(shop, order, {"notes": "ring twice"})["notes"] == "ring twice"
    assert shop.order(order)["flags"] == []


def test_an_address_that_an_event_edits_after_shipping_is_recorded_and_flagged(shop):
    order = shop.paid()
    shop.ok("PATCH", path(order), {"status": "shipped"})
    address = {"address1": "3 Far Rd"}
    shop.tell(
        told("OrderEdited", at=clock() + timedelta(seconds=1), subject=order["orderNumber"], shippingAddress=address)
    )
    doc = shop.order(order)
    assert (doc["shippingAddress"]["address1"], doc["flags"]) == ("3 Far Rd", ["address_after_shipping"])
    assert "recipientName" not in doc["shippingAddress"]  # an event replaces it as a whole
    assert doc["customerSnapshot"]["name"] == SNAPSHOT["name"]


def test_a_repeated_create_order_is_compared_with_what_was_first_asked_and_answers_the_edited_order(shop):
    body = shop.body()
    order = shop.ok("POST", "/api/orders", body)["doc"]
    edited(shop, order, {"customer": "cus-2", "customerSnapshot": {"name": "Jane"}})
    again = shop.ok("POST", "/api/orders", body)["doc"]
    assert (again["id"], again["customer"], again["customerSnapshot"]["name"]) == (order["id"], "cus-2", "Jane")
    asked = {**body, "customer": "cus-2"}
    assert shop.refused(409, "POST", "/api/orders", asked)["name"] == "order_number_taken"


def test_the_customer_of_an_order_is_who_sees_it(shop):
    order = shop.create(customer="cus-1")
    edited(shop, order, {"customer": "cus-2"})
    for name, status in (("cus-1", 404), ("cus-2", 200)):
        assert shop.call("GET", path(order), headers=shop.customer(name)).status_code == status


def test_orders_are_found_by_what_they_were_edited_to(shop):
    order = shop.create()
    edited(shop, order, {"customerSnapshot": {"email": "jane@example.com"}})
    asked = "/api/orders?where[customerSnapshot.email][equals]="
    assert [doc["id"] for doc in shop.ok("GET", f"{asked}jane@example.com")["docs"]] == [order["id"]]
    assert shop.ok("GET", f"{asked}{SNAPSHOT['email']}")["docs"] == []


def test_an_edit_and_a_status_go_together_and_none_alone_is_refused(shop):
    order = shop.paid()
    doc = edited(shop, order, {"status": "canceled", "notes": "changed her mind"})
    assert (doc["status"], doc["notes"]) == ("canceled", "changed her mind")
    assert "says nothing" in shop.call("PATCH", path(order), {}).text
    assert "was canceled" in shop.refused(409, "PATCH", path(order), {"shippingAddress": {"phone": "1"}})["message"]


def test_many_orders_are_edited_at_once(shop):
    orders = [shop.create(customer="cus-many") for _ in range(2)]
    docs = shop.ok("PATCH", "/api/orders?where[customer][equals]=cus-many", {"notes": "moved"})["docs"]
    assert sorted(doc["id"] for doc in docs) == sorted(order["id"] for order in orders)
    assert {doc["notes"] for doc in docs} == {"moved"}


def test_nothing_personal_stands_in_the_journal_and_all_rows_of_it_are_found_by_the_order(shop):
    order = shop.create()
    for number in range(2):
        edited(shop, order, {"shippingAddress": {"address1": f"{number} Hidden Lane"}})
    for table in ("journal", "audit"):
        assert shop.one(f"select count(*) from {table} where {table}::text like '%Hidden%'") == 0
    edits = "select distinct action, detail->'data'->'personalFields' from audit where action like 'Order%'"
    assert shop.do(edits) == [("OrderEdited", ["shippingAddress"])]
    shop.do(
        "delete from personal where id in (select cast(data->>'personal' as uuid) from journal where subject = :number) "
        "or order_id = (select id from orders where order_number = :number)",
        number=order["orderNumber"],
    )
    assert shop.one("select count(*) from personal where fields::text like '%Hidden%'") == 0
    assert shop.order(order)["shippingAddress"] is None
    assert edited(shop, order, {"notes": "forgotten"})["notes"] == "forgotten"
