"""Refunds by the Server API: asked for, gone out, failed later, tried again, settled by hand, allocated."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import pytest

from outbound import refund_routes, refunds
from outbound.refund_attempt import Refunder
from outbound.refund_routes import Routes
from providers.base import RefundRefused, RefundUnknown
from providers.payments.standard import StandardRefunds
from tests.builders import disputed, later, paid, refunded, told
from tests.integration.api.commands.conftest import Shop
from tests.simulators import SHARDS, running

HOW = {"method": "bank transfer"}
_hours = count(1)


@pytest.fixture(scope="module")
def bank():
    """A provider in a process of its own, which keeps books."""
    with running("standard") as (_, url), closing(StandardRefunds(url)) as client:
        yield client


class Failing:
    """The provider's client, by whose books refunds have failed after it had made them."""

    def __init__(self, real, *references):
        self.rules, self.refund, self._real, self._references = real.rules, real.refund, real, references

    def refunds(self, payment_id):
        told = self._real.refunds(payment_id)
        return [replace(each, status="failed") if each.refund_id in self._references else each for each in told]


class Overtaken:
    """The provider's client, whose report is told before its answer."""

    def __init__(self, real, tell):
        self.rules, self.refunds, self._real, self._tell = real.rules, real.refunds, real, tell

    def refund(self, request):
        made = self._real.refund(request)
        self._tell(made)
        return made


class Refusing:
    """The provider's client, which raises one error before it goes on."""

    def __init__(self, real, error):
        self.rules, self.refunds, self._real, self._errors = real.rules, real.refunds, real, [error]

    def refund(self, request):
        if self._errors:
            raise self._errors.pop()
        return self._real.refund(request)


def go(shop, client):
    """The chores of refunds, then the workers."""
    refunder = Refunder("bank", client, unnamed=True)
    refunds.run_due(shop.doors.engine, shop.doors.streams, SHARDS, refunder, datetime.now(UTC))
    shop.work()
    with shop.doors.engine.begin() as conn:
        refund_routes.give_up(conn, Routes({"bank": client}, {}), datetime.now(UTC))


def a_paid_order(shop: Shop, amount=10_000):
    order = shop.create()
    number = order["orderNumber"]
    shop.tell(paid(amount, payment_of(order), subject=number))
    return shop.order(order)


def payment_of(order):
    return f"pay-refund-{order['orderNumber']}"


def of(shop, order, **where):
    """The refunds of an order, the oldest first."""
    found = shop.ok("GET", f"/api/refunds?where[order][equals]={order['id']}&sort=createdAt,id")["docs"]
    return [doc for doc in found if all(doc[name] == value for name, value in where.items())]


def ask(shop, order, amount, reason="goodwill", **more):
    body = {"orderNumber": order["orderNumber"], "amount": amount, "reason": reason, **more}
    return shop.ok("POST", "/api/refunds", body)


def by_id(shop, doc):
    return shop.ok("GET", f"/api/refunds/{doc['id']}")


def fails(shop, order, reference, amount, **more):
    shop.tell(
        told("RefundFailed", paymentId=payment_of(order), refund=reference, amount=str(amount), subject=order["orderNumber"],
             source="bank", at=datetime.now(UTC), **more)
    )  # fmt: skip


def letters(shop):
    return [tuple(row) for row in shop.do("select reason, state from dead_letters order by created_at")]


def test_a_refund_keeps_its_id_from_the_request_to_its_end(shop, bank):
    order = a_paid_order(shop)
    answer = ask(shop, order, 500, note="a scratch on the box")
    doc = answer["doc"]
    assert (doc["status"], doc["waitsFor"]) == ("pending", "turn")
    assert doc["reasons"] == [{"reason": "goodwill", "amount": 500}]
    assert (doc["note"], doc["origin"], answer["givenBackBefore"]) == ("a scratch on the box", "ours", 0)
    assert answer["message"] == "Refund successfully created."
    assert by_id(shop, doc) == doc
    go(shop, bank)
    done = by_id(shop, doc)
    assert (done["status"], done["waitsFor"], done["amount"]) == ("succeeded", None, 500)
    assert done["reference"]
    assert done["endedAt"]
    assert done["note"] == "a scratch on the box"
    assert of(shop, order) == [done]
    second = ask(shop, order, 300, "shipping")
    assert second["message"].endswith("500 KRW were given back before.")
    assert second["doc"]["id"] != doc["id"]


def test_a_report_that_overtakes_the_answer_is_the_same_refund(shop, bank):
    order = a_paid_order(shop)
    doc = ask(shop, order, 500)["doc"]
    seen: list[str] = []

    def tell(made):
        shop.tell(
            told("PaymentRefunded", paymentId=payment_of(order), refund=made.refund_id, amount=str(made.amount), version=2,
                 subject=order["orderNumber"], source="webhook")
        )  # fmt: skip
        seen.extend(each["origin"] for each in of(shop, order, status="succeeded"))

    go(shop, Overtaken(bank, tell))
    assert seen == ["provider"]
    assert [(each["id"], each["status"], each["reasons"]) for each in of(shop, order)] == [
        (doc["id"], "succeeded", doc["reasons"])
    ]


def test_one_key_is_one_refund(shop):
    order = a_paid_order(shop)
    body = {"orderNumber": order["orderNumber"], "amount": 500, "reason": "goodwill"}
    first, again = (shop.ok("POST", "/api/refunds", body, Idempotency_Key="once") for _ in range(2))
    assert first == again
    assert [doc["amount"] for doc in of(shop, order)] == [500]


CAPS = {
    "all of it": (lambda number, pay: [], 10_000),
    "what went back counts": (lambda number, pay: [refunded(3_000, pay, subject=number)], 7_000),
    "what is contested is the bank's": (
        lambda number, pay: [disputed(None, pay, subject=number, dispute="d1", amount="4000", version=2)],
        6_000,
    ),
    "what was lost is gone": (
        lambda number, pay: [disputed("lost", pay, subject=number, dispute="d1", amount="4000", version=2)],
        6_000,
    ),
    "what was asked for before is due": (
        lambda number, pay: [
            told("RefundRequested", refund="r1", amount="2500", reason="other", subject=number, at=later(hours=1))
        ],
        7_500,
    ),
}


@pytest.mark.parametrize(("before", "most"), CAPS.values(), ids=CAPS)
def test_no_more_than_is_there_is_given_back(shop, before, most):
    order = a_paid_order(shop)
    shop.tell(*before(order["orderNumber"], payment_of(order)))
    body = {"order": order["id"], "amount": most + 1, "reason": "other"}
    error = shop.refused(409, "POST", "/api/refunds", body)
    assert error["data"]["refundable"] == most
    assert f"the {most} KRW that may go back" in error["message"]
    ask(shop, order, most, "other")


WRONG = [
    ({"amount": 0}, "amount"),
    ({"amount": "1.5"}, "amount"),
    ({"amount": 1, "reason": "canceled"}, "reason"),
    ({"amount": 1, "transaction": "another"}, "transaction"),
]


@pytest.mark.parametrize(("body", "path"), WRONG)
def test_what_is_wrong_is_named(shop, body, path):
    order = a_paid_order(shop)
    error = shop.refused(400, "POST", "/api/refunds", {"order": order["id"], "reason": "goodwill", **body})
    assert [each["path"] for each in error["data"]["errors"]] == [path]


def test_what_was_given_back_before_covers_what_is_asked_for_later(shop):
    order = a_paid_order(shop)
    shop.tell(refunded(500, payment_of(order), subject=order["orderNumber"]))
    answer = ask(shop, order, 500)
    assert answer["doc"] is None
    assert answer["message"].endswith(
        "500 KRW were given back before; they cover 500 of it, and nothing more goes out."
    )
    answer = ask(shop, order, 200)
    assert (answer["doc"]["amount"], answer["givenBackBefore"]) == (200, 500)


def test_a_refund_by_hand_is_allocated_and_one_of_ours_is_not(shop):
    order = a_paid_order(shop)
    pay, number = payment_of(order), order["orderNumber"]
    shop.tell(
        told("PaymentRefunded", paymentId=pay, refund="re_1", amount="500", subject=number, source="bank", version=2)
    )
    (made,) = of(shop, order)
    assert (made["origin"], made["status"], made["reasons"], made["reference"]) == ("provider", "succeeded", [], "re_1")
    doc = shop.ok("POST", f"/api/refunds/{made['id']}/allocate", {"reason": "goodwill"})["doc"]
    assert doc["reasons"] == [{"reason": "goodwill", "amount": 500}]
    answer = ask(shop, order, 300)
    assert answer["doc"]["amount"] == 300  # the goodwill given before covers none of it
    error = shop.refused(409, "POST", f"/api/refunds/{answer['doc']['id']}/allocate", {"reason": "other"})
    assert "one of ours" in error["message"]


def test_a_refund_that_fails_long_after_is_a_dead_letter_and_tried_again(shop, bank):
    order = a_paid_order(shop)
    doc = ask(shop, order, 500)["doc"]
    go(shop, bank)
    reference = by_id(shop, doc)["reference"]
    fails(shop, order, reference, 500, code="expired_card")
    go(shop, bank)
    failed = by_id(shop, doc)
    assert (failed["status"], failed["waitsFor"], failed["failure"]) == ("failed", "person", "expired_card")
    assert letters(shop) == [("refund_failed", "open")]
    detail = shop.one("select detail from dead_letters")
    assert "expired_card" in detail
    assert "orders given-up replay eff_" in detail
    assert "orders refunds settle" in detail
    assert "refund_failed" in shop.order(order)["flags"]
    other = ask(shop, order, 200)["doc"]  # what else is due goes out meanwhile
    go(shop, bank)
    assert by_id(shop, other)["status"] == "succeeded"
    again = shop.ok("POST", f"/api/refunds/{doc['id']}/retry")["doc"]
    assert (again["status"], again["amount"]) == ("pending", 500)
    assert letters(shop) == [("refund_failed", "replayed")]
    assert "waits for no retry" in shop.refused(409, "POST", f"/api/refunds/{doc['id']}/retry")["message"]
    assert again["id"] != doc["id"]
    go(shop, Failing(bank, reference))
    assert by_id(shop, again)["status"] == "succeeded"
    assert shop.order(order)["transactions"]["docs"][-1]["refundedAmount"] == 700


def test_a_refund_that_failed_is_settled_by_hand(shop, bank):
    order = a_paid_order(shop)
    doc = ask(shop, order, 500)["doc"]
    go(shop, bank)
    error = shop.refused(409, "POST", f"/api/refunds/{doc['id']}/settle", HOW)
    assert "it went back" in error["message"] or "went back through" in error["message"]
    reference = by_id(shop, doc)["reference"]
    fails(shop, order, reference, 500)
    bank = Failing(bank, reference)
    go(shop, bank)
    done = shop.ok("POST", f"/api/refunds/{doc['id']}/settle", HOW)["doc"]
    assert (done["status"], done["settledMethod"], done["waitsFor"]) == ("failed", "bank transfer", None)
    assert letters(shop) == [("refund_failed", "discarded")]
    assert "refund_failed" not in shop.order(order)["flags"]
    balance = shop.ok("GET", f"/api/orders/{order['id']}/balance")
    assert (balance["settled"], balance["owed"], balance["failed"]) == (500, 0, 0)
    next_one = ask(shop, order, 200)["doc"]
    go(shop, bank)
    assert by_id(shop, next_one)["status"] == "succeeded"


def test_a_refusal_is_settled_by_hand_or_tried_again(shop, bank):
    docs = []
    for _ in range(2):
        order = a_paid_order(shop)
        doc = ask(shop, order, 500)["doc"]
        go(shop, Refusing(bank, RefundRefused("too old", "pay it back by hand")))
        failed = by_id(shop, doc)
        assert (failed["status"], failed["waitsFor"]) == ("failed", "person")
        assert "too old" in failed["failure"]
        docs.append((order, doc))
    (order, doc), (_, other) = docs
    done = shop.ok("POST", f"/api/refunds/{doc['id']}/settle", HOW)["doc"]
    assert (done["settledMethod"], done["waitsFor"]) == ("bank transfer", None)
    assert shop.ok("GET", f"/api/orders/{order['id']}/balance")["owed"] == 0
    again = shop.ok("POST", f"/api/refunds/{other['id']}/retry")["doc"]
    go(shop, bank)
    assert by_id(shop, again)["status"] == "succeeded"
    assert sorted(letters(shop)) == [("refund_refused", "discarded"), ("refund_refused", "replayed")]


def test_what_is_in_flight_or_in_doubt_is_not_settled(shop, bank):
    order = a_paid_order(shop)
    doc = ask(shop, order, 500)["doc"]
    go(shop, Refusing(bank, RefundUnknown("the line broke")))
    assert by_id(shop, doc)["waitsFor"] == "provider"
    assert "its end is not known" in shop.refused(409, "POST", f"/api/refunds/{doc['id']}/settle", HOW)["message"]


def test_what_has_not_gone_out_is_settled_and_does_not_go_out(open_shop, bank):
    shop = open_shop(ORDERS_REFUNDS="staff")
    order = a_paid_order(shop)
    doc = ask(shop, order, 500)["doc"]
    assert (doc["status"], doc["waitsFor"]) == ("pending", "person")
    done = shop.ok("POST", f"/api/refunds/{doc['id']}/settle", {**HOW, "note": "in cash"})["doc"]
    assert (done["id"], done["status"], done["settledMethod"]) == (doc["id"], "canceled", "bank transfer")
    assert "settled before" in shop.refused(409, "POST", f"/api/refunds/{doc['id']}/settle", HOW)["message"]
    go(shop, bank)
    assert of(shop, order) == [by_id(shop, doc)]
    assert shop.one("select state from effects") == "done"
    assert shop.ok("GET", f"/api/orders/{order['id']}/balance")["settled"] == 500


def test_the_reasons_of_a_refund_tell_its_sum_apart(shop):
    order = shop.delivered()
    number = order["orderNumber"]
    shop.tell(
        told("RefundRequested", refund="g", amount="700", reason="shipping", subject=number, at=datetime.now(UTC))
    )
    items = [{"orderItem": order["products"]["docs"][0]["id"], "quantity": 1}]
    shop.ok("POST", "/api/returns/return-with-refund", {"order": order["id"], "reason": "other", "items": items})
    shop.work()
    (doc,) = of(shop, order)
    assert doc["reasons"] == [{"reason": "shipping", "amount": 700}, {"reason": "return", "amount": 5000}]
    assert doc["return"] == shop.order(order)["returns"]["docs"][0]["id"]


def test_a_canceled_order_and_an_overpayment_have_reasons_of_their_own(shop):
    order = a_paid_order(shop, 10_400)
    assert [doc["reasons"] for doc in of(shop, order)] == [[{"reason": "overpaid", "amount": 400}]]
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    assert [doc["reasons"] for doc in of(shop, order)] == [[{"reason": "canceled", "amount": 10_400}]]


def test_a_customer_sees_their_own_without_what_is_for_the_shop(shop):
    order = shop.create(customer="cus_1")
    shop.tell(paid(10_000, f"pay-{order['orderNumber']}", subject=order["orderNumber"]))
    doc = ask(shop, order, 500, note="for the shop")["doc"]
    own, another = shop.customer("cus_1"), shop.customer("cus_2")
    found = shop.call("GET", "/api/refunds", headers=own).json()["docs"]
    assert [each["id"] for each in found] == [doc["id"]]
    assert (found[0]["note"], found[0]["failure"], found[0]["amount"]) == (None, None, 500)
    assert shop.call("GET", "/api/refunds", headers=another).json()["docs"] == []
    assert shop.call("GET", "/api/refunds/count", headers=own).json() == {"totalDocs": 1}
    asked = shop.call("GET", "/api/refunds?where[note][like]=shop", headers=own)
    assert asked.status_code == 400
    for path in ("/api/refunds", f"/api/refunds/{doc['id']}/settle", f"/api/refunds/{doc['id']}/retry"):
        assert shop.call("POST", path, {}, headers=own).status_code == 403


def test_a_refund_that_nobody_knows_is_not_found(shop):
    for what, body in (("settle", HOW), ("allocate", {"reason": "other"}), ("retry", None)):
        for name in ("rfd_" + "0" * 32, "nothing", "txn_" + "0" * 32):
            assert shop.call("POST", f"/api/refunds/{name}/{what}", body).status_code == 404


def test_disputes_are_shown_on_their_payment(shop):
    order = a_paid_order(shop)
    pay, number = payment_of(order), order["orderNumber"]
    shop.tell(disputed(None, pay, subject=number, dispute="d1", amount="4000", version=2))
    shop.tell(disputed("won", pay, subject=number, dispute="d2", version=2))
    (shown,) = (doc for doc in shop.order(order)["transactions"]["docs"] if doc["paymentId"] == pay)
    assert [(each["dispute"], each["status"], each["amount"]) for each in shown["disputes"]] == [
        ("d1", "open", 4000), ("d2", "won", None),
    ]  # fmt: skip
    for exists, found in (("true", 1), ("false", 1)):
        where = f"where[disputes][exists]={exists}&where[order][equals]={order['id']}"
        assert shop.ok("GET", f"/api/transactions/count?{where}")["totalDocs"] == found


@pytest.mark.parametrize("ends", ["in doubt", "went back"])
def test_a_refund_that_was_tried_again_is_not_settled_as_well(shop, bank, ends):
    """Else its money went back twice: by the new attempt, and by hand."""
    order = a_paid_order(shop)
    doc = ask(shop, order, 500)["doc"]
    go(shop, Refusing(bank, RefundRefused("refused", "no")))
    again = shop.ok("POST", f"/api/refunds/{doc['id']}/retry")["doc"]
    go(shop, Refusing(bank, RefundUnknown("no answer")) if ends == "in doubt" else bank)
    assert by_id(shop, again)["status"] == ("pending" if ends == "in doubt" else "succeeded")
    error = shop.refused(409, "POST", f"/api/refunds/{doc['id']}/settle", HOW)
    assert error["data"]["status"] == by_id(shop, doc)["status"]
    assert "over_refunded" not in shop.order(order)["flags"]
