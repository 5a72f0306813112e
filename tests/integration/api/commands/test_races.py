"""Many requests at one instant: one effect, and answers that tell the same."""

from __future__ import annotations

import pytest

MUG = {"product": "mug", "quantity": 2, "unitPrice": 5000}


@pytest.mark.parametrize("keyed", [False, True])
def test_two_hundred_creates_of_one_number_are_one_order_and_two_hundred_equal_answers(shop, keyed):
    body = shop.body()

    def create(n):
        return shop.call("POST", "/api/orders", body, **({"Idempotency_Key": f"k{n}"} if keyed else {}))

    answers = shop.at_once(create, 200)
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert shop.one("select count(*) from orders") == 1
    assert shop.one("select count(*) from journal") == 1
    assert shop.one("select count(*) from personal") == 1


def test_creates_of_one_number_with_different_bodies_are_one_order(shop):
    body = shop.body(paymentId=None)
    answers = shop.at_once(lambda n: shop.call("POST", "/api/orders", {**body, "customer": f"c{n % 5}"}), 60)
    taken = [answer.json()["errors"][0]["name"] for answer in answers if answer.status_code == 409]
    assert sorted(answer.status_code for answer in answers) == [201] * 12 + [409] * 48
    assert set(taken) == {"order_number_taken"}
    assert shop.one("select count(*) from orders") == 1


def test_fifty_checkouts_of_a_cart_are_one_order(shop):
    cart = shop.ok("POST", "/api/carts", {})["doc"]
    shop.ok("POST", f"/api/carts/{cart['id']}/items", MUG)

    def checkout(n):
        body = {"cartId": cart["id"], "orderNumber": f"C{n}", "customerSnapshot": {"name": "x"}, "paymentId": f"p{n}"}
        return shop.call("POST", "/api/checkout", body)

    answers = shop.at_once(checkout, 50)
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert shop.one("select count(*) from orders") == 1


def test_a_hundred_returns_of_one_item_bought_twice_are_exactly_two(shop):
    order = shop.delivered(MUG)
    item = order["products"]["docs"][0]["id"]
    body = {"order": order["id"], "reason": "defective", "items": [{"orderItem": item, "quantity": 1}]}
    answers = shop.at_once(lambda _: shop.call("POST", "/api/returns", body), 100)
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 98
    assert shop.one("select count(*) from returns") == 2
    assert shop.one("select sum(quantity) from return_items") == 2


def test_a_cancel_and_a_shipment_at_once_are_decided_by_the_first(shop):
    orders = [shop.paid() for _ in range(10)]

    def move(n):
        status = "canceled" if n % 2 else "shipped"
        return shop.call("PATCH", f"/api/orders/{orders[n // 2]['id']}", {"status": status}).status_code

    codes = shop.at_once(move, 20)
    for n, order in enumerate(orders):
        shipped, canceled = codes[2 * n], codes[2 * n + 1]
        assert sorted((shipped, canceled)) == [200, 409]
        assert shop.status(order) == ("shipped" if shipped == 200 else "canceled")
        assert shop.order(order)["flags"] == []


def test_fulfillments_at_once_never_take_more_than_is_open(shop):
    order = shop.paid({**MUG, "quantity": 5})
    item = order["products"]["docs"][0]["id"]
    body = {"order": order["id"], "items": [{"orderItem": item, "quantity": 2}]}
    codes = [answer.status_code for answer in shop.at_once(lambda _: shop.call("POST", "/api/fulfillments", body), 20)]
    assert sorted(codes) == [201] * 2 + [409] * 18
    assert shop.order(order)["flags"] == []


def test_requests_and_workers_at_once_leave_what_the_journal_tells(shop):
    """Updates that name parcels while the drain applies scans of the same parcels: deadlocks end as tries."""
    from tests.builders import scan

    orders = [shop.paid() for _ in range(8)]

    def either(n):
        if n % 2:
            return shop.tell(*(scan("in_transit", f"T{order['id']}", carrier="UPS") for order in orders))
        order = orders[n // 2]
        (plan,) = order["fulfillments"]["docs"]
        told = {"status": "shipped", "carrier": "UPS", "trackingNumber": f"T{order['id']}"}
        return shop.call("PATCH", f"/api/fulfillments/{plan['id']}", told).status_code

    codes = shop.at_once(either, 16)
    assert [code for n, code in enumerate(codes) if n % 2 == 0] == [200] * 8
    shop.work()
    assert {shop.status(order) for order in orders} == {"shipped"}
    assert shop.one("select count(*) from parked") == 0
