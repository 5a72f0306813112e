"""The bank account of an order's refunds by the API: with a cancel, with a return, or by itself; masked, in no event."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from tests.builders import paid

KEYS = {"ORDERS_ACCOUNT_KEYS": Fernet.generate_key().decode()}
ACCOUNT = {
    "bank": "SHINHAN",
    "number": "110-123-456789",
    "holderName": "Kim Haneul",
    "holderPhoneNumber": "010-1234-5678",
}
MASKED = {"bank": "SHINHAN", "number": "***6789", "holderName": "K***", "holderPhoneNumber": "***5678"}


@pytest.fixture
def shop(open_shop):
    return open_shop(**KEYS)


def path(order):
    return f"/api/orders/{order['id']}/refund-account"


def kept(shop):
    return [row[0] for row in shop.do("select masked from refund_accounts")]


def a_deposit(shop, **more):
    """An order whose payment PortOne took."""
    order = shop.create(**more)
    number = order["orderNumber"]
    shop.tell(paid(10_000, f"pay-{number}", subject=number, provider="portone", paymentMethod="VirtualAccount"))
    return order


def nowhere(shop):
    tables = "journal orders transactions effects answers audit results"
    text = " ".join(str(row) for table in tables.split() for row in shop.do(f"select t::text from {table} t"))
    assert "456789" not in text
    assert "Haneul" not in text


def test_it_is_told_by_itself_and_answered_masked(shop):
    order = a_deposit(shop)
    answer = shop.ok("PUT", path(order), ACCOUNT, Idempotency_Key="once")
    assert answer["doc"] == {"order": order["id"], **MASKED}
    assert shop.ok("PUT", path(order), ACCOUNT, Idempotency_Key="once") == answer
    assert kept(shop) == [MASKED]
    assert shop.do("select action, after from audit where action = 'refund account'") == [("refund account", MASKED)]
    nowhere(shop)


def test_it_comes_with_a_cancel(shop):
    order = a_deposit(shop)
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled", "refundAccount": ACCOUNT})
    assert (shop.status(order), kept(shop)) == ("canceled", [MASKED])
    nowhere(shop)


@pytest.mark.parametrize("where", ["/api/returns", "/api/returns/return-with-refund"])
def test_it_comes_with_a_return(shop, where):
    order = shop.delivered()
    shop.ok("POST", where, {"order": order["id"], "reason": "defective", "refundAccount": ACCOUNT})
    assert kept(shop) == [MASKED]
    nowhere(shop)


def test_it_comes_with_canceled_items_and_with_a_refund(shop):
    order = a_deposit(shop)
    [item] = shop.order(order)["products"]["docs"]
    some = {"items": [{"orderItem": item["id"], "quantity": 1}], "refundAccount": ACCOUNT}
    shop.ok("POST", f"/api/orders/{order['id']}/cancel-items", some)
    assert kept(shop) == [MASKED]
    other = {**ACCOUNT, "number": "999900001111"}
    shop.ok("POST", "/api/refunds", {"order": order["id"], "amount": 500, "reason": "goodwill", "refundAccount": other})
    assert kept(shop) == [{**MASKED, "number": "***1111"}]
    nowhere(shop)


def test_a_refund_that_waits_for_it_says_so(shop):
    order = a_deposit(shop)
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    shop.do("update effects set state = 'account_needed'")
    [refund] = shop.ok("GET", "/api/refunds")["docs"]
    assert (refund["status"], refund["waitsFor"]) == ("pending", "account")


def test_what_waits_for_it_goes_on(shop):
    order = a_deposit(shop)
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    shop.do("update effects set state = 'account_needed', last_error = 'x', attempts = 3")
    shop.ok("PUT", path(order), ACCOUNT)
    assert shop.do("select state, last_error, attempts from effects") == [("due", None, 0)]


def test_a_customer_tells_it_of_an_order_of_theirs_alone(shop):
    order = a_deposit(shop, customer="cus_1")
    assert shop.ok("PUT", path(order), ACCOUNT, headers=shop.customer("cus_1"))["doc"]["number"] == "***6789"
    shop.refused(404, "PUT", path(order), ACCOUNT, headers=shop.customer("cus_2"))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"number": "12x4567890"}, "digits"),
        ({"number": "1"}, "digits"),
        ({"bank": "88"}, "use its own code (PortOne V2: BANK_OF_AMERICA"),
        ({"holderName": None}, ""),
        ({"holder": "x"}, ""),
    ],
)
def test_a_wrong_account_is_refused_in_words_that_do_not_repeat_it(shop, wrong, says):
    order = a_deposit(shop)
    error = shop.refused(400, "PUT", path(order), {**ACCOUNT, **wrong})
    assert says in str(error)
    for secret in ("12x4567890", "456789", "Haneul"):
        assert secret not in str(error)
    cancel = {"status": "canceled", "refundAccount": {**ACCOUNT, **wrong}}
    assert "refundAccount" in str(shop.refused(400, "PATCH", f"/api/orders/{order['id']}", cancel))
    assert shop.status(order) == "preparing"


def test_it_goes_with_a_cancel_of_one_order_alone(shop):
    order = a_deposit(shop)
    confirm = {"status": "confirmed", "refundAccount": ACCOUNT}
    assert "canceled alone" in str(shop.refused(400, "PATCH", f"/api/orders/{order['id']}", confirm))
    other, cancel = a_deposit(shop), {"status": "canceled", "refundAccount": ACCOUNT}
    both = f"/api/orders?where[orderNumber][in]={order['orderNumber']},{other['orderNumber']}"
    assert "one order alone" in str(shop.refused(400, "PATCH", both, cancel))
    one = f"/api/orders?where[orderNumber][equals]={order['orderNumber']}"
    assert shop.ok("PATCH", one, cancel)["docs"][0]["status"] == "canceled"
    assert kept(shop) == [MASKED]


def test_a_refund_under_way_comes_first(shop):
    order = a_deposit(shop)
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    shop.do("update effects set state = 'in_flight'")
    assert shop.refused(409, "PUT", path(order), ACCOUNT)["name"] == "refund_under_way"


def test_without_keys_none_is_taken(open_shop):
    shop = open_shop()
    order = shop.create()
    assert "ORDERS_ACCOUNT_KEYS" in shop.refused(503, "PUT", path(order), ACCOUNT)["message"]
