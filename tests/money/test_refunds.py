"""Money that goes back: by hand, by returns, as goodwill, failed and settled. Each test is a case by its name."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from time import monotonic, sleep
from typing import Any

import pytest

from providers.simulators.process import Mishaps
from tests.money.conftest import FATES, SEED
from tests.money.stripe_documents import charge, intent, refund
from tests.money.till import Sale, Till, sums

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def paid(till: Till, *prices: str, **terms: Any) -> Sale:
    """An order that Stripe has captured in full."""
    sale = till.sale(*prices, **terms)
    _captured(till, sale)
    return sale


def delivered(till: Till, *prices: str, **terms: Any) -> Sale:
    """One that has arrived."""
    sale = paid(till, *prices, **terms)
    till.move(sale, "delivered")
    return sale


def _captured(till: Till, sale: Sale) -> None:
    total = till.doc(sale)["totalAmount"]
    till.stripe("payment_intent.succeeded", intent(sale.payment, round(total * 100), sale.currency), sale.at())
    till.capture_at("stripe", sale, str(total))


def by_hand(till: Till, sale: Sale, units: int, name: str = "re", days: float = 0, **more: Any) -> str:
    """Staff refund in Stripe's dashboard; the id of that refund."""
    own_id = f"{name}_{sale.number}"
    till.stripe(
        "refund.created", refund(sale.payment, own_id, units, sale.currency, **more), sale.at(days=days, seconds=60)
    )
    return own_id


# -- made in the dashboard -----------------------------------------------------------------------------------


@pytest.mark.parametrize("told", ["after the payment", "before the payment"])
@pytest.mark.parametrize("by", ["its id", "a sum"])
def test_refunded_in_the_dashboard_before_shipping(till: Till, told, by):
    """All of it went back already: a cancel sends nothing on top, whichever was told first."""
    sale = till.sale("20.00")
    succeeded = ("payment_intent.succeeded", intent(sale.payment, 2000, "usd"), sale.at())
    back = refund(sale.payment, f"re_{sale.number}", 2000, "usd")
    refunded = ("refund.created", back, sale.at(seconds=60))
    if by == "a sum":
        refunded = ("charge.refunded", charge(sale.payment, 2000, "usd", back=2000), sale.at(seconds=60))
    for webhook in (succeeded, refunded) if told == "after the payment" else (refunded, succeeded):
        till.stripe(*webhook)
    assert till.balance(sale) == sums(captured="20", payable="20", refunded="20")
    assert till.stands(sale) == ("preparing", ["over_refunded", "refunded"])
    parcel = till.doc(sale)["fulfillments"]["docs"][0]["id"]
    refused = till.refused(409, "PATCH", f"/api/fulfillments/{parcel}", {"status": "shipped"})
    assert refused["name"] == "order_held", "what was given back in full does not ship"
    till.move(sale, "canceled")
    assert till.stands(sale) == ("canceled", [])
    assert till.balance(sale) == sums(captured="20", due="20", refunded="20")
    assert till.effects(sale) == []


def test_goodwill_of_5_in_the_dashboard_then_a_return_of_20(till: Till):
    """The 5 that were given back before count, whoever gave them: 15 more go back."""
    sale = delivered(till, "20.00", "30.00")
    by_hand(till, sale, 500)
    assert till.stands(sale) == ("delivered", ["over_refunded"])
    till.send_back(sale, "a")
    assert till.balance(sale) == sums(captured="50", payable="30", due="20", refunded="5", owed="15")
    assert till.effects(sale) == ["due 15"]
    assert till.stands(sale)[1] == []


def test_the_same_goodwill_allocated(till: Till):
    """Allocated as goodwill it is no part of the return: all 20 of that go back."""
    sale = delivered(till, "20.00", "30.00")
    made = by_hand(till, sale, 500)
    till.about_refund(sale, made, "allocate", {"reason": "goodwill"})
    assert till.stands(sale) == ("delivered", [])
    till.send_back(sale, "a")
    assert till.balance(sale) == sums(captured="50", payable="25", due="25", refunded="5", owed="20")
    assert till.effects(sale) == ["due 20"]


def test_a_refused_refund_that_was_made_by_hand(till: Till):
    """It is dead with Stripe's words; the webhook of the refund by hand closes it, and nothing goes out again."""
    sale = till.sale("20.00", payment=payment_of_fate("refused"))
    _captured(till, sale)
    till.move(sale, "canceled")
    till.attempt()
    ((reason, state, words),) = till.letters(sale)
    assert (reason, state) == ("refund_refused", "open")
    for part in ("cannot be refunded", "pay the customer by another way", "orders given-up replay", sale.payment):
        assert part in words
    assert till.balance(sale) == sums(captured="20", due="20", owed="20")
    by_hand(till, sale, 2000)
    till.attempt(later=HOUR)
    assert [letter[:2] for letter in till.letters(sale)] == [("refund_refused", "discarded")]
    assert till.balance(sale) == sums(captured="20", due="20", refunded="20")
    assert (till.effects(sale), till.books("stripe", sale)) == ([], [])


def payment_of_fate(kind: str) -> str:
    """The id of a payment whose refunds the simulator of this seed refuses, or lets fail after they were made."""
    fates = Mishaps(SEED, 0.0)

    def meets(name: str, fate: str) -> bool:
        return fates.fate(f"{fate} {name}") < FATES[fate]

    names = (f"pi_{kind}_{n}" for n in count())
    return next(name for name in names if all(meets(name, fate) is (fate == kind) for fate in FATES))


def failed_there(till: Till, sale: Sale, count_of: int) -> dict[str, Any]:
    """The newest of so many refunds, once it has failed in the provider's books."""
    until = monotonic() + 20
    while (found := till.books("stripe", sale))[-1]["status"] != "failed" or len(found) != count_of:
        assert monotonic() < until, found
        sleep(0.05)
    return found[-1]


# -- failed later --------------------------------------------------------------------------------------------


def test_a_refund_that_failed_three_days_later_then_retried_then_settled_by_hand(till: Till):
    sale = till.sale_of(9, "20.00", payment=payment_of_fate("late_failure"))
    till.stripe("payment_intent.succeeded", intent(sale.payment, 2000, "usd"), sale.at(seconds=10))
    till.capture_at("stripe", sale, "20.00")
    till.move(sale, "canceled")
    till.attempt()
    assert till.balance(sale) == sums(captured="20", due="20", refunded="20")

    first = failed_there(till, sale, 1)
    failed = refund(sale.payment, first["id"], 2000, "usd", "failed", failure_reason="expired_or_canceled_card")
    till.stripe("refund.failed", failed | {"metadata": {"refund": first["reference"]}}, _of(till, sale) + 3 * DAY)
    assert till.stands(sale) == ("canceled", ["refund_failed"])
    assert till.balance(sale) == sums(captured="20", due="20", failed="20", owed="20")
    till.attempt(later=HOUR)
    assert len(till.books("stripe", sale)) == 1, "what failed is not tried again by itself"

    till.about_refund(sale, first["id"], "retry")
    till.attempt(later=2 * HOUR)
    second = failed_there(till, sale, 2)
    assert second["key"] != first["key"], "a new attempt has an id of its own"
    till.stripe("refund.failed", refund(sale.payment, second["id"], 2000, "usd", "failed"), _of(till, sale) + 5 * DAY)
    assert till.stands(sale) == ("canceled", ["refund_failed"])

    till.about_refund(sale, second["id"], "settle", {"method": "bank transfer"})
    assert till.stands(sale) == ("canceled", [])
    assert till.balance(sale) == sums(captured="20", due="20", settled="20")
    till.attempt(later=DAY)
    assert (till.effects(sale), len(till.books("stripe", sale))) == ([], 2)


def _of(till: Till, sale: Sale):
    """When its own refund was asked for, which the reports of its failure lie behind."""
    return till.one("select max(time) from journal where subject = :n and type = 'PaymentRefunded'", n=sale.number)


# -- keys ----------------------------------------------------------------------------------------------------

_IN_DOUBT = (
    "update effects e set state = 'unknown', idempotency_key = :key, asked = 20, attempts = 1, next_at = now(), "
    "attempted_at = now() - make_interval(hours => :hours) from orders o where o.id = e.order_id and o.order_number = :n"
)
_KEY = "018f2e6a-7b1c-7d2e-9f3a-0123456789ab"


@pytest.mark.parametrize(("hours", "key"), [(1, "the same"), (25, "another")])
def test_a_key_older_than_the_provider_keeps_it(till: Till, hours, key):
    """A killed worker's attempt: within a day its id goes out again; later it was not made, and a new one goes out."""
    sale = paid(till, "20.00")
    till.move(sale, "canceled")
    own = f"{_KEY[:-6]}{int(sale.number[1:]):06d}"
    till.do(_IN_DOUBT, key=own, hours=hours, n=sale.number)
    till.attempt()
    (made,) = till.books("stripe", sale)
    assert (made["key"] == own) is (key == "the same")
    assert (made["amount"], till.effects(sale)) == ("20.00", [])
    assert till.balance(sale) == sums(captured="20", due="20", refunded="20")


def test_an_old_key_whose_refund_was_made_is_found_and_not_made_again(till: Till):
    sale = paid(till, "20.00")
    till.move(sale, "canceled")
    till.attempt()
    (made,) = till.books("stripe", sale)
    till.do(
        "update effects e set made = 0 from orders o where o.id = e.order_id and o.order_number = :n", n=sale.number
    )
    till.do(_IN_DOUBT, key=made["key"], hours=48, n=sale.number)
    till.attempt(later=HOUR)
    assert till.books("stripe", sale) == [made]
    assert till.balance(sale) == sums(captured="20", due="20", refunded="20")


# -- returns -------------------------------------------------------------------------------------------------


def test_stated_and_unstated_returns(till: Till):
    """Of 20 + 30 + 50: 5 are stated for the first, and the second has its price."""
    sale = delivered(till, "20.00", "30.00", "50.00")
    till.send_back(sale, "a", "5.00")
    assert till.balance(sale) == sums(captured="100", payable="95", due="5", owed="5")
    till.send_back(sale, "b")
    assert till.balance(sale) == sums(captured="100", payable="65", due="35", owed="35")
    till.attempt()
    assert sum(float(each["amount"]) for each in till.books("stripe", sale)) == 35
    assert till.balance(sale) == sums(captured="100", payable="65", due="35", refunded="35")


def test_a_return_of_2000_on_an_order_of_20(till: Till):
    """By event what the line costs goes back, and a person is told; by API it is refused."""
    sale = delivered(till, "20.00")
    item = till.doc(sale)["products"]["docs"][0]["id"]
    body = {"orderNumber": sale.number, "reason": "defective", "items": [{"orderItem": item, "quantity": 1}]}
    refused = till.refused(409, "POST", "/api/returns/return-with-refund", {**body, "refundAmount": 2000})
    assert "more than the 20" in refused["message"]
    made = till.ok("POST", "/api/returns", body)["doc"]
    till.work()
    till.say(sale, "ReturnCompleted", **{"return": made["id"], "refundAmount": "2000"})
    assert till.stands(sale) == ("returned", ["refund_capped"])
    assert till.balance(sale) == sums(captured="20", due="20", owed="20")


def _came_back(till: Till, sale: Sale, quantities: dict[str, int], **end: Any) -> None:
    """A return of these is asked for, and completed as the shop tells."""
    items = {each["product"]: each["id"] for each in till.doc(sale)["products"]["docs"]}
    lines = [{"orderItem": items[name], "quantity": quantity} for name, quantity in quantities.items()]
    body = {"orderNumber": sale.number, "reason": "change_of_mind", "items": lines}
    made = till.ok("POST", "/api/returns", body)["doc"]
    till.work()
    if "items" in end:
        end["items"] = [{"orderItem": items[name], "quantity": quantity} for name, quantity in end["items"].items()]
    till.ok("PATCH", f"/api/returns/{made['id']}", {"status": "completed", **end})
    till.work()


def test_a_restocking_fee(till: Till):
    sale = delivered(till, "20.00", "30.00")
    _came_back(till, sale, {"a": 1}, restockingFee="3.00")
    assert till.balance(sale) == sums(captured="50", payable="33", due="17", owed="17")
    assert till.effects(sale) == ["due 17"]
    till.attempt()
    assert [each["amount"] for each in till.books("stripe", sale)] == ["17.00"]


def test_2_of_3_came_back(till: Till):
    """Three lines were asked back, and two came: their price goes back, and the third may be asked for again."""
    sale = delivered(till, "10.00", "20.00", "30.00")
    _came_back(till, sale, {"a": 1, "b": 1, "c": 1}, items={"a": 1, "b": 1})
    assert till.balance(sale) == sums(captured="60", payable="30", due="30", owed="30")
    assert till.stands(sale) == ("delivered", [])
    _came_back(till, sale, {"c": 1})
    assert till.balance(sale) == sums(captured="60", due="60", owed="60")
    assert till.stands(sale) == ("returned", [])


def test_shipping_refunded_without_a_return(till: Till):
    sale = delivered(till, "20.00", shippingAmount="4.00")
    asked = {"orderNumber": sale.number, "amount": "4.00", "reason": "shipping"}
    till.ok("POST", "/api/refunds", asked)
    till.work()
    assert till.stands(sale) == ("delivered", [])
    assert till.balance(sale) == sums(captured="24", payable="20", due="4", owed="4")
    till.attempt()
    assert [each["amount"] for each in till.books("stripe", sale)] == ["4.00"]
    assert till.balance(sale) == sums(captured="24", payable="20", due="4", refunded="4")


def test_us_tax_on_top_returned_in_part(till: Till):
    """The returned line's share of the tax goes back with it, rounded down to the cent."""
    sale = delivered(till, "20.00", "30.00", taxAmount="4.44")
    till.send_back(sale, "a")
    assert till.balance(sale) == sums(captured="54.44", payable="32.67", due="21.77", owed="21.77")
    till.send_back(sale, "b")
    assert till.balance(sale) == sums(captured="54.44", due="54.44", owed="54.44")


# -- canceled in part ----------------------------------------------------------------------------------------


def test_1_of_3_delivered_and_the_rest_canceled(till: Till):
    sale = paid(till, "10.00", "20.00", "30.00")
    order = till.doc(sale)
    items = {each["product"]: each["id"] for each in order["products"]["docs"]}
    box = {"orderNumber": sale.number, "items": [{"orderItem": items["a"], "quantity": 1}]}
    parcel = till.ok("POST", "/api/fulfillments", box)["doc"]
    for step in ("packed", "shipped", "delivered"):
        till.ok("PATCH", f"/api/fulfillments/{parcel['id']}", {"status": step})
        till.work()
    rest = [{"orderItem": items[name], "quantity": 1} for name in "bc"]
    till.ok("POST", f"/api/orders/{order['id']}/cancel-items", {"items": rest, "reason": "sold out"})
    till.work()
    assert till.stands(sale) == ("delivered", [])
    assert till.balance(sale) == sums(captured="60", payable="10", due="50", owed="50")
    till.attempt()
    assert [each["amount"] for each in till.books("stripe", sale)] == ["50.00"]
    assert till.balance(sale) == sums(captured="60", payable="10", due="50", refunded="50")


# -- canceled ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["packed", "shipped", "failed"])
def test_canceled_while_packed_shipped_or_failed(till: Till, step):
    """A parcel that is out is no longer canceled, and nothing is due; else all goes back."""
    sale = paid(till, "20.00")
    parcel = till.doc(sale)["fulfillments"]["docs"][0]["id"]
    for each in ("packed",) if step == "packed" else ("shipped",) if step == "shipped" else ("shipped", "failed"):
        till.ok("PATCH", f"/api/fulfillments/{parcel}", {"status": each})
        till.work()
    if step == "shipped":
        till.refused(409, "PATCH", f"/api/orders/{till.doc(sale)['id']}", {"status": "canceled"})
        assert till.stands(sale) == ("shipped", [])
        assert till.balance(sale) == sums(captured="20", payable="20")
        assert till.effects(sale) == []
        return
    till.move(sale, "canceled")
    assert till.stands(sale) == ("canceled", [])
    assert till.balance(sale) == sums(captured="20", due="20", owed="20")
    assert till.effects(sale) == ["due 20"]


def test_99_99_of_100_accepted_later_canceled(till: Till):
    sale = till.sale("100.00")
    till.stripe("payment_intent.succeeded", intent(sale.payment, 9999, "usd"))
    till.capture_at("stripe", sale, "99.99")
    assert till.stands(sale) == ("pending", ["underpaid"])
    till.ok("POST", f"/api/orders/{sale.id}/accept", {"reason": "a cent short"})
    till.work()
    assert till.stands(sale) == ("preparing", [])
    assert till.balance(sale) == sums(captured="99.99", payable="99.99")
    till.move(sale, "canceled")
    till.attempt()
    assert [each["amount"] for each in till.books("stripe", sale)] == ["99.99"]
    assert till.balance(sale) == sums(captured="99.99", due="99.99", refunded="99.99")
