"""An underpayment that is taken as enough, and the money of an order added up."""

from __future__ import annotations

from tests.builders import disputed, later, paid, refunded, told


def path(order, what):
    return f"/api/orders/{order['id']}/{what}"


def balance(shop, order):
    found = shop.ok("GET", path(order, "balance"))
    return {name: value for name, value in found.items() if value}


def test_9999_of_10000_accepted_later_canceled(shop):
    order = shop.create()
    number = order["orderNumber"]
    shop.tell(paid(9999, f"pay-{number}", subject=number))
    assert shop.order(order)["flags"] == ["underpaid"]
    doc = shop.ok("POST", path(order, "accept"), {"reason": "a cent short"})["doc"]
    assert (doc["status"], doc["flags"]) == ("paid", [])
    assert balance(shop, order) == {"currency": "KRW", "captured": 9999, "payable": 9999}
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    assert balance(shop, order) == {"currency": "KRW", "captured": 9999, "due": 9999, "owed": 9999}


def test_nothing_less_than_captured_and_nothing_that_is_paid_is_accepted(shop):
    order = shop.create()
    number = order["orderNumber"]
    assert shop.refused(409, "POST", path(order, "accept"), {})["data"]["captured"] == 0
    shop.tell(paid(4000, "some", subject=number))
    assert shop.refused(409, "POST", path(order, "accept"), {"amount": 4001})["data"]["captured"] == 4000
    assert shop.refused(409, "POST", path(order, "accept"), {"amount": 0})
    shop.tell(paid(6000, "rest", subject=number))
    assert "10000 of 10000 KRW were captured" in shop.refused(409, "POST", path(order, "accept"), {})["message"]


def test_a_balance_counts_what_went_back_and_what_is_gone(shop):
    order = shop.create()
    number = order["orderNumber"]
    pay = f"pay-{number}"
    shop.tell(paid(10000, pay, subject=number), refunded(1000, pay, subject=number))
    shop.tell(disputed("lost", pay, subject=number))
    shop.tell(
        told("RefundRequested", refund="rfd", amount="3000", reason="goodwill", subject=number, at=later(hours=1))
    )
    assert balance(shop, order) == {
        "currency": "KRW", "captured": 10000, "lost": 10000, "payable": 7000, "refunded": 1000,
    }  # fmt: skip


def test_a_balance_is_for_the_shop(shop):
    order = shop.create()
    assert shop.client.get(path(order, "balance"), headers=shop.customer("cus_1")).status_code in (401, 403)
    assert shop.client.get("/api/orders/ord_0/balance", headers=shop.secret).status_code == 404
