"""Refunds, and the payments that they go to: the amounts, to the last coin."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.refunds import captured, targets
from tests.builders import (
    Story,
    any_order_of,
    asked_back,
    came_back,
    canceled,
    created,
    delivered,
    later,
    line,
    paid,
    refunded,
    won,
)

EACH = {name: {"mug": 1} for name in ("a", "b", "c")}


def arrived(*lines: dict[str, Any], **data: Any) -> Story:
    """An order that was paid in full and delivered."""
    order = created(*lines, **data)
    items = {one["item"]: one["quantity"] for one in order.data["items"]}
    return Story(order, paid(order.data["totalAmount"], currency=data.get("currency")), delivered("box", items))


def back(story: Story, name: str, items: dict[str, int] | None, **data: Any) -> Decimal | None:
    """Have a return asked for and completed; what it gives back."""
    story.tell(asked_back(name, items), came_back(name, **data))
    return story.back(name).refund_amount


# -- how much ----------------------------------------------------------------------------------------


def test_a_return_gives_back_the_price_of_its_lines_and_no_shipping():
    story = arrived(line("mug", 2), line("cup", 1, 3_000), shippingAmount="2500")
    assert back(story, "ret", {"mug": 1, "cup": 1}) == won(8_000)
    assert story.due == {"pay": won(8_000)}


def test_less_its_share_of_the_discount():
    story = arrived(line("mug", 2), discountAmount="1000", shippingAmount="2500")
    assert back(story, "ret", {"mug": 1}) == won(4_500)


@pytest.mark.parametrize(
    ("currency", "price", "discount", "amounts"),
    [
        ("KRW", "3333", "100", ("3299", "3299", "3301")),
        ("USD", "3.33", "1.00", ("2.99", "2.99", "3.01")),
        ("KWD", "3.333", "0.100", ("3.299", "3.299", "3.301")),
    ],
)
def test_a_share_is_rounded_down_to_the_currencys_exponent_and_the_last_return_takes_the_remainder(
    currency: str, price: str, discount: str, amounts: tuple[str, ...]
):
    story = arrived(line("mug", 3, price), discountAmount=discount, currency=currency)
    for name, items in EACH.items():
        back(story, name, items)
    assert tuple(str(story.back(name).refund_amount) for name in EACH) == amounts
    assert sum(map(Decimal, amounts)) == story.order.total_amount == story.due["pay"]


@pytest.mark.parametrize("arrival", any_order_of("a", "b", "c"))
def test_the_last_return_is_the_one_that_was_completed_last_whatever_arrived_last(arrival: tuple[str, ...]):
    story = arrived(line("mug", 3, 3_333), discountAmount="100")
    story.tell(*(asked_back(name, items) for name, items in EACH.items()))
    completed = {"a": later(days=1), "b": later(days=3), "c": later(days=2)}
    story.tell(*(came_back(name, at=completed[name]) for name in arrival))
    assert {name: story.back(name).refund_amount for name in EACH} == {"a": 3_299, "b": 3_301, "c": 3_299}


def test_a_discount_above_the_price_leaves_nothing_to_give_back():
    story = arrived(line("mug", 2), discountAmount="12000", shippingAmount="5000")
    assert back(story, "ret", None) == 0
    assert story.due == {}


def test_lines_that_cost_nothing_give_nothing_back():
    assert back(arrived(line("gift", 1, 0)), "ret", None) == 0


def test_a_stated_amount_is_taken_as_it_is():
    story = arrived()
    assert back(story, "ret", {"mug": 1}, refund="1234") == won(1_234)
    assert story.due == {"pay": won(1_234)}


def test_a_stated_amount_of_zero_is_an_amount():
    story = arrived()
    assert back(story, "ret", None, refund="0") == 0
    assert story.due == {}


def test_a_stated_amount_with_decimals_that_the_currency_does_not_have_is_malformed():
    story = arrived()
    story.tell(asked_back())
    before, wrong = story.everything(), came_back(refund="0.5")
    assert story.tell(wrong).outcome(wrong) == "dead: malformed"
    assert story.everything() == before


# -- never too much ----------------------------------------------------------------------------------


def test_ReturnCompleted_of_2000_on_a_20_order():  # noqa: N802  named as the event
    story = arrived(line("mug", 2, "10.00"), currency="USD")
    assert back(story, "ret", None, refund="2000") == Decimal("20.00")
    assert (story.due, story.flags) == ({"pay": Decimal("20.00")}, ["refund_capped"])
    assert story.back().stated_amount == Decimal(2000)


def test_stated_and_unstated_returns_share_what_was_paid_for_the_goods():
    story = arrived(line("mug", 3, 1_000), discountAmount="600", shippingAmount="500")
    assert back(story, "a", EACH["a"], refund="1000") == won(1_000)
    assert back(story, "b", EACH["b"], refund="1000") == won(1_000)
    assert back(story, "c", EACH["c"]) == won(400)  # its share is 800, and so much is left
    assert story.due == {"pay": won(2_400)}


TAXED = {"currency": "USD", "taxAmount": "5.00", "shippingAmount": "10.00"}


def test_US_tax_on_top_returned_in_part():  # noqa: N802
    """Without a line's own tax the order's is spread by price: 20 + 20 with 5.00 of tax, and no shipping back."""
    story = arrived(line("mug", 2, "20.00"), **TAXED)
    assert story.flags == []
    assert back(story, "ret", {"mug": 1}) == Decimal("22.50")
    assert story.due == {"pay": Decimal("22.50")}


def test_a_line_carries_its_own_tax_and_the_rest_is_shippings():
    mug, book = {**line("mug", 2, "20.00"), "taxAmount": "3.00"}, {**line("book", 1, "10.00"), "taxFree": True}
    story = arrived(mug, book, **TAXED)
    assert back(story, "one", {"mug": 1}) == Decimal("21.50")
    assert back(story, "two", {"mug": 1, "book": 1}) == Decimal("31.50")
    assert story.due == {"pay": Decimal("53.00")}


def test_more_than_price_and_tax_is_capped():
    story = arrived(line("mug", 2, "20.00"), **TAXED)
    assert back(story, "ret", {"mug": 1}, refund="30.00") == Decimal("22.50")
    assert story.flags == ["refund_capped"]


def test_a_restocking_fee_is_not_given_back_with_a_later_return():
    story = arrived()
    assert back(story, "a", {"mug": 1}, refund="4000") == won(4_000)
    assert back(story, "b", {"mug": 1}) == won(5_000)


@pytest.mark.parametrize("arrival", any_order_of("a", "b"))
def test_the_earlier_return_takes_first_whatever_arrives_first(arrival: tuple[str, ...]):
    story = arrived(line("mug", 2, 1_000), discountAmount="500")
    story.tell(*(asked_back(name, EACH[name]) for name in ("a", "b")))
    at = {"a": later(days=1), "b": later(days=2)}
    story.tell(*(came_back(name, refund="1000", at=at[name]) for name in arrival))
    assert [story.back(name).refund_amount for name in ("a", "b")] == [1_000, 500]
    assert story.flags == ["refund_capped"]


def test_a_refund_that_staff_made_by_hand_counts_toward_the_same_target():
    story = arrived()
    story.tell(refunded(10_000))
    back(story, "ret", {"mug": 1})
    payment = story.payment()
    assert payment.refund_target - payment.refunded_amount < 0  # nothing more goes out


def test_a_refund_that_is_reported_raises_no_new_one():
    story = Story(created(), paid(), canceled())
    assert list(story.fold.refunds) == [story.payment().id]
    story.fold.refunds.clear()
    story.tell(refunded(4_000), refunded(10_000), paid())
    assert story.fold.refunds == {}


def test_a_cancel_told_again_asks_for_no_second_refund():
    story = Story(created(), paid(), canceled())
    story.fold.refunds.clear()
    assert story.tell(canceled()).fold.refunds == {}


def test_a_target_never_falls_and_all_of_them_never_exceed_what_is_due():
    # `second` was to go back; now we learn that it was the earlier of the two.
    story = Story(created(), paid(payment="first", at=later(hours=2)), paid(payment="second", at=later(hours=3)))
    assert story.due == {"second": won(10_000)}
    story.tell(paid(payment="second", at=later(hours=1)))
    assert story.due == {"second": won(10_000)}


# -- of which payment --------------------------------------------------------------------------------


def test_the_latest_payment_gives_back_first():
    story = Story(created(), paid(6_000, "late", at=later(hours=1)), paid(4_000, "early"), delivered("box", {"mug": 2}))
    back(story, "one", {"mug": 1})
    assert story.due == {"late": won(5_000)}
    back(story, "two", {"mug": 1})
    assert story.due == {"late": won(6_000), "early": won(4_000)}


@pytest.mark.parametrize("arrival", any_order_of(paid(payment="b"), paid(payment="a"), paid(payment="c")))
def test_of_payments_at_the_same_time_the_first_by_name_pays_for_the_order(arrival: tuple):
    story = Story(created(), *arrival)
    assert [one.payment_id for one in captured(story.order)] == ["a", "b", "c"]
    assert targets(story.order) == [0, 10_000, 10_000]
    assert sum(story.due.values()) == won(20_000)


def test_beyond_the_total_the_earliest_payments_pay_and_what_is_left_of_the_later_goes_back():
    story = Story(
        created(), paid(7_000, "one"), paid(7_000, "two", at=later(hours=1)), paid(7_000, "three", at=later(hours=2))
    )
    assert story.due == {"two": won(4_000), "three": won(7_000)}


def test_a_return_after_an_overpayment_goes_on_top_of_the_excess():
    story = Story(created(), paid(12_000), delivered("box", {"mug": 2}))
    assert story.due == {"pay": won(2_000)}
    back(story, "ret", {"mug": 1})
    assert story.due == {"pay": won(7_000)}


# -- any order with any discount ---------------------------------------------------------------------


@given(
    prices=st.lists(st.integers(0, 99_999), min_size=1, max_size=4),
    percent=st.integers(0, 100),
    currency=st.sampled_from([("KRW", 0), ("USD", -2), ("KWD", -3)]),
    data=st.data(),
)
def test_once_everything_is_back_exactly_what_was_paid_for_the_goods_is_back(prices, percent, currency, data):
    code, places = currency
    lines = [line(f"item-{n}", 1, str(Decimal(price).scaleb(places))) for n, price in enumerate(prices)]
    discount = Decimal(sum(prices) * percent // 100).scaleb(places)
    story = arrived(*lines, discountAmount=str(discount), shippingAmount="3", currency=code)
    for name in data.draw(st.permutations([one["item"] for one in lines])):
        amount = back(story, name, {name: 1})
        assert amount is not None
        assert amount >= 0
    assert sum(one.refund_amount or 0 for one in story.order.returns) == story.order.total_amount - 3
    assert sum(story.due.values()) == story.order.total_amount - 3
