"""An order whose deposit was taken back: what the Server API refuses, and what it takes once the money is there again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.builders import taken_back


@pytest.fixture
def order(shop):
    """Paid, planned, and the deposit taken back."""
    order = shop.paid()
    number = order["orderNumber"]
    shop.tell(taken_back(f"pay-{number}", subject=number, at=datetime.now(UTC)))
    return shop.order(order)


def test_it_stays_where_it_was_and_says_why_it_waits(order):
    assert (order["status"], order["flags"]) == ("preparing", ["payment_reversed"])
    assert [(one["status"], one["amount"], one["paidAt"]) for one in order["transactions"]["docs"]] == [
        ("pending", 10000, None)
    ]
    assert [one["status"] for one in order["fulfillments"]["docs"]] == ["pending"]


def test_no_request_has_it_shipped(shop, order):
    (plan,) = order["fulfillments"]["docs"]
    for status in ("packed", "shipped", "delivered", "failed"):
        shop.refused(409, "PATCH", f"/api/fulfillments/{plan['id']}", {"status": status})
    for status in ("preparing", "shipped", "delivered"):
        error = shop.refused(409, "PATCH", f"/api/orders/{order['id']}", {"status": status})
        assert error["name"] == "order_held"
        assert error["data"] == {"status": "preparing", "allowed": ["canceled"], "holds": ["payment_reversed"]}
    shop.refused(409, "POST", "/api/fulfillments", {"order": order["id"]})


def test_nor_is_its_payment_given_up(shop, order):
    for status in ("failed", "canceled"):
        body = {"paymentId": f"pay-{order['orderNumber']}", "status": status}
        assert shop.refused(409, "POST", "/api/transactions/update", body)["data"]["allowed"] == ["paid"]


def test_paid_anew_it_goes_on(shop, order):
    shop.pay(order)
    assert shop.order(order)["flags"] == []
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "shipped"})
    assert shop.status(order) == "shipped"


def test_canceled_it_gives_nothing_back(shop, order):
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    assert (shop.status(order), shop.one("select count(*) from effects")) == ("canceled", 0)
