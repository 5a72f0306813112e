"""updateTransaction, and how it refuses."""

from __future__ import annotations

import pytest

from tests.builders import canceled, expired, paid, taken_back


def update(shop, order, status, **more):
    body = {"paymentId": f"pay-{order['orderNumber']}", "status": status, **more}
    return shop.ok("POST", "/api/transactions/update", body)["doc"]


def refused(shop, order, status):
    body = {"paymentId": f"pay-{order['orderNumber']}", "status": status}
    return shop.refused(409, "POST", "/api/transactions/update", body)


def test_paid_pays_what_is_owed_and_the_order_follows(shop):
    order = shop.create()
    doc = update(shop, order, "paid", paymentMethod="card", receiptUrl="https://pay.example/r/1")
    assert (doc["status"], doc["amount"], doc["paymentMethod"]) == ("paid", 10000, "card")
    assert doc["receiptUrl"] == "https://pay.example/r/1"
    shop.work()
    assert shop.status(order) == "preparing"


def test_paid_pays_only_what_another_payment_left(shop):
    order = shop.create()
    shop.tell(paid(4000, "other", subject=order["orderNumber"]))
    assert shop.order(order)["flags"] == ["underpaid"]
    assert update(shop, order, "paid")["amount"] == 6000
    assert shop.order(order)["flags"] == []


def test_a_failure_fails_the_order_and_a_success_revives_it(shop):
    order = shop.create()
    assert update(shop, order, "failed")["status"] == "failed"
    assert shop.status(order) == "failed"
    assert update(shop, order, "paid")["status"] == "paid"


def test_a_payment_is_given_up(shop):
    assert update(shop, shop.create(), "canceled")["status"] == "canceled"


@pytest.mark.parametrize("status", ["pending", "paid", "failed", "canceled"])
def test_the_same_status_again_is_answered_the_same_and_records_nothing(shop, status):
    order = shop.create()
    first = update(shop, order, status)
    before = shop.written()
    assert update(shop, order, status) == first
    assert shop.written() == before


def test_to_cancel_a_paid_payment_is_a_refund(shop):
    order = shop.paid()
    error = refused(shop, order, "canceled")
    assert "refunded" in error["message"]
    assert error["data"] == {"status": "paid", "allowed": []}


@pytest.mark.parametrize("status", ["failed", "pending"])
def test_a_paid_payment_moves_no_more(shop, status):
    assert refused(shop, shop.paid(), status)["data"]["status"] == "paid"


def test_nothing_is_owed_on_an_order_that_was_canceled_or_covered(shop):
    canceled, lapsed, covered = shop.create(), shop.create(), shop.create()
    shop.ok("PATCH", f"/api/orders/{canceled['id']}", {"status": "canceled"})
    shop.tell(expired(subject=lapsed["orderNumber"]), paid(10000, "other", subject=covered["orderNumber"]))
    for order in (canceled, lapsed, covered):
        assert "nothing is owed" in refused(shop, order, "paid")["message"]


def test_a_payment_that_nobody_knows_is_404(shop):
    assert shop.refused(404, "POST", "/api/transactions/update", {"paymentId": "?", "status": "paid"})


def test_paid_of_an_underpaid_payment_adds_the_rest_as_a_payment_by_hand(shop):
    order = shop.create()
    number = order["orderNumber"]
    shop.tell(paid(4000, f"pay-{number}", subject=number, provider="stripe"))
    doc = update(shop, order, "paid", paymentMethod="bank transfer")
    assert (doc["paymentId"], doc["amount"], doc["status"]) == (f"manual:pay-{number}", 6000, "paid")
    assert (doc["paymentMethod"], doc["provider"]) == ("bank transfer", None)
    shop.work()
    assert (shop.status(order), shop.order(order)["flags"]) == ("preparing", [])
    before = shop.written()
    assert update(shop, order, "paid", paymentMethod="bank transfer") == doc, "the same again is answered the same"
    assert shop.written() == before


def test_refunds_of_the_rest_by_hand_wait_for_a_person(shop):
    order = shop.create()
    number = order["orderNumber"]
    shop.tell(paid(4000, f"pay-{number}", subject=number, provider="stripe"))
    update(shop, order, "paid")
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    found = shop.do("select payment_id, target, state from effects order by payment_id")
    assert [tuple(row) for row in found] == [(f"manual:pay-{number}", 6000, "staff"), (f"pay-{number}", 4000, "due")]


def test_more_that_is_missing_later_comes_on_top(shop):
    """The provider's payment is reversed: what was noted by hand now brings all."""
    order = shop.create()
    number = order["orderNumber"]
    shop.tell(paid(4000, f"pay-{number}", subject=number))
    update(shop, order, "paid")
    shop.tell(taken_back(f"pay-{number}", subject=number))
    body = {"paymentId": f"manual:pay-{number}", "status": "paid"}
    assert shop.ok("POST", "/api/transactions/update", body)["doc"]["amount"] == 10000


def test_nothing_is_added_to_a_canceled_order(shop):
    order = shop.create()
    number = order["orderNumber"]
    shop.tell(paid(4000, f"pay-{number}", subject=number), canceled(subject=number))
    assert update(shop, order, "paid")["amount"] == 4000


def test_a_name_that_is_too_long_for_it_is_refused_in_words(shop):
    order = shop.create(paymentId="p" * 250)
    shop.tell(paid(4000, "p" * 250, subject=order["orderNumber"]))
    body = {"paymentId": "p" * 250, "status": "paid"}
    assert "too long" in str(shop.refused(400, "POST", "/api/transactions/update", body))
