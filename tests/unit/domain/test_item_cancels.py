"""Items that are taken out of an order again: what they wait for, what they give back, what is left of the order."""

from __future__ import annotations

import pytest

from events.envelope import Envelope
from tests.builders import (
    Story,
    any_order_of,
    approved,
    asked_back,
    boxed,
    came_back,
    canceled,
    confirmed,
    created,
    delivered,
    items_canceled,
    later,
    line,
    lost,
    packed,
    paid,
    processing,
    shipped,
    won,
)

THREE = (created(line("mug", 3)), paid(15_000))


def test_a_part_that_is_open_is_canceled_and_its_price_goes_back():
    story = Story(*THREE, items_canceled({"mug": 2}))
    assert (story.item().canceled_quantity, story.plan, story.due) == (2, {"mug": 1}, {"pay": won(10_000)})
    assert story.status == "preparing"


@pytest.mark.parametrize(
    "arrival", any_order_of(paid(15_000), delivered("box", {"mug": 1}), items_canceled({"mug": 2})), ids=str
)
def test_1_of_3_delivered_and_the_rest_canceled(arrival: tuple[Envelope, ...]):
    story = Story(created(line("mug", 3)), *arrival)
    assert (story.status, story.plan, story.due) == ("delivered", {}, {"pay": won(10_000)})
    assert story.tell(asked_back(items={"mug": 1}), came_back()).status == "returned"
    assert story.due == {"pay": won(15_000)}


@pytest.mark.parametrize("step", [boxed, packed, shipped, delivered])
def test_it_waits_while_too_little_is_in_no_living_parcel(step):
    wish = items_canceled({"mug": 2})
    story = Story(*THREE, step("box", {"mug": 2}), wish)
    assert (story.outcome(wish), story.item().canceled_quantity, story.due) == ("parked: items_out", 0, {})
    if step is not delivered:
        story.tell(lost())
        assert (story.outcome(wish), story.item().canceled_quantity, story.plan) == ("applied", 2, {"mug": 1})


def test_canceled_while_packed_once_the_parcel_holds_less():
    wish = items_canceled({"mug": 1})
    story = Story(*THREE, packed("box", {"mug": 3}), wish, shipped("box", {"mug": 2}))
    assert (story.outcome(wish), story.status) == ("applied", "shipped")


def test_all_or_nothing():
    wish = items_canceled({"mug": 1, "pot": 1})
    story = Story(created(line("mug"), line("pot")), paid(10_000), shipped("box", {"pot": 1}), wish)
    assert (story.outcome(wish), story.item().canceled_quantity) == ("parked: items_out", 0)


@pytest.mark.parametrize("before", [(), (items_canceled({"mug": 1}, "first"),)], ids=["at once", "with another"])
def test_beyond_the_quantity_it_is_dead(before: tuple[Envelope, ...]):
    wish = items_canceled({"mug": 4 - len(before)})
    story = Story(*THREE, *before, wish)
    assert story.outcome(wish) == "dead: too_many_items"
    assert "ordered 3, canceled" in (story.settled(wish)[-1].outcome.detail or "")


def test_an_item_that_the_order_does_not_have_is_dead():
    wish = items_canceled({"tea": 1})
    assert Story(*THREE, wish).outcome(wish) == "dead: unknown_item"


def test_an_amount_with_decimals_that_the_currency_does_not_have_is_malformed():
    wish = items_canceled({"mug": 1}, refund="0.5")
    assert Story(*THREE, wish).outcome(wish) == "dead: malformed"


def test_told_again_it_changes_nothing_but_the_time_to_the_earliest():
    again = items_canceled({"mug": 3}, at=later(hours=-1))
    story = Story(*THREE, items_canceled({"mug": 3}), again)
    assert (story.outcome(again), story.item().canceled_quantity) == ("ignored: repeated", 3)
    assert story.order.canceled_at == later(hours=-1)


def test_on_a_canceled_order_it_is_recorded_and_moves_nothing():
    wish = items_canceled({"mug": 1})
    story = Story(*THREE, canceled(), wish)
    assert (story.outcome(wish), story.item().canceled_quantity) == ("ignored: order_canceled", 1)
    assert story.due == {"pay": won(15_000)}


def test_the_cancel_of_the_whole_order_ends_its_wait():
    wish = items_canceled({"mug": 1})
    story = Story(*THREE, boxed("box", {"mug": 3}), wish)
    assert story.outcome(wish) == "parked: items_out"
    assert story.tell(canceled()).outcome(wish) == "ignored: order_canceled"


def test_all_items_canceled_is_a_cancel_of_the_whole_shipping_too():
    one, two = items_canceled({"mug": 1}, "one"), items_canceled({"mug": 1}, "two", at=later(hours=2))
    story = Story(created(shippingAmount="2500"), paid(12_500), one, two)
    assert (story.status, story.due, story.plan) == ("canceled", {"pay": won(12_500)}, {})
    assert story.order.canceled_at == later(hours=2)


def test_canceled_before_it_was_paid_less_covers_the_order():
    story = Story(created(line("mug", 3)), paid(10_000))
    assert (story.status, story.flags) == ("pending", ["underpaid"])
    story.tell(items_canceled({"mug": 1}))
    assert (story.status, story.flags, story.due) == ("preparing", [], {})
    assert story.plan == {"mug": 2}


def test_a_parcel_with_more_than_is_left_is_over_fulfilled():
    story = Story(*THREE, items_canceled({"mug": 2}), shipped("box", {"mug": 2}))
    assert story.flags == ["over_fulfilled"]


def test_without_items_means_all_that_was_ordered():
    wish = asked_back()
    story = Story(*THREE, items_canceled({"mug": 2}), delivered("box", {"mug": 1}), wish)
    assert story.outcome(wish) == "dead: too_many_items"
    assert Story(*THREE, items_canceled({"mug": 2}), shipped()).flags == ["over_fulfilled"]


def test_a_confirmation_waits_for_what_is_not_canceled():
    wish = confirmed()
    story = Story(*THREE, delivered("box", {"mug": 1}), wish)
    assert story.outcome(wish) == "parked: not_delivered"
    assert story.tell(items_canceled({"mug": 2})).status == "confirmed"


# -- the row with completed returns ------------------------------------------------------------------


def test_what_is_stated_stands_and_the_rest_is_shared():
    story = Story(*THREE, items_canceled({"mug": 1}, refund=4_000))
    assert (story.due, story.flags) == ({"pay": won(4_000)}, [])


def test_more_than_its_price_is_capped_and_flagged():
    story = Story(*THREE, items_canceled({"mug": 1}, refund=9_000))
    assert (story.due, story.flags) == ({"pay": won(5_000)}, ["refund_capped"])


def test_less_its_share_of_the_discount_and_with_its_tax():
    discount = Story(created(line("mug", 3), discountAmount="3000"), paid(12_000), items_canceled({"mug": 1}))
    assert discount.due == {"pay": won(4_000)}
    tax = Story(created(line("mug", 3), taxAmount="1500"), paid(16_500), items_canceled({"mug": 1}))
    assert tax.due == {"pay": won(5_500)}


ROW = (
    items_canceled({"mug": 1}, "first", at=later(hours=1)),
    delivered("box", {"mug": 2}),
    asked_back(items={"mug": 2}),
    came_back(at=later(hours=2)),
)


@pytest.mark.parametrize("arrival", any_order_of(*ROW), ids=str)
def test_the_one_that_leaves_nothing_takes_what_rounding_left_over(arrival: tuple[Envelope, ...]):
    story = Story(created(line("mug", 3), discountAmount="5000"), paid(10_000), *arrival, returns="auto")
    assert (story.due, story.status) == ({"pay": won(10_000)}, "returned")
    assert story.back().refund_amount == won(6_667)


@pytest.mark.parametrize("arrival", any_order_of(*ROW[:3], came_back(refund=10_000, at=later(minutes=1))), ids=str)
def test_the_earlier_takes_first_whatever_arrives_first(arrival: tuple[Envelope, ...]):
    story = Story(created(line("mug", 3), discountAmount="5000"), paid(10_000), *arrival, returns="auto")
    assert (story.due, story.back().refund_amount) == ({"pay": won(10_000)}, won(10_000))


def test_a_restocking_fee_is_not_given_back_with_a_later_item_cancel():
    fee = (asked_back(items={"mug": 1}), approved(), processing(), came_back(refund=4_000))
    story = Story(*THREE, delivered("box", {"mug": 1}), *fee, items_canceled({"mug": 2}, at=later(hours=1)))
    assert (story.due, story.status) == ({"pay": won(14_000)}, "returned")
