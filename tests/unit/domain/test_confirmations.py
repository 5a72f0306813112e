"""Confirmations of a delivery: the customer's always counts, the timer's not once a parcel arrived after it."""

from __future__ import annotations

import pytest

from tests.builders import (
    Story,
    any_order_of,
    asked_back,
    confirmed,
    created,
    delivered,
    later,
    packed,
    paid,
    shipped,
)

PAID = (created(), paid())
TIMER = {"by": "timer"}
# The box is taken to hold both mugs, the timer confirms, and then it turns out that one was in a second box.
TIMED = confirmed(at=later(days=8), **TIMER)
LATE = (packed("box", {"mug": 1}), delivered("second", {"mug": 1}, at=later(days=9)))


def test_the_timer_confirms_what_has_arrived():
    story = Story(*PAID, shipped(), delivered(), TIMED)
    assert (story.status, story.order.confirmed_at) == ("confirmed", later(days=8))


def test_a_parcel_that_arrived_after_the_timer_ran_out_starts_it_anew():
    story = Story(*PAID, shipped(), delivered(), TIMED, LATE[0])
    assert story.status == "preparing"
    story.fold.timers.clear()
    story.tell(LATE[1])
    assert (story.status, story.order.confirmed_at) == ("delivered", None)
    assert [(one.kind, one.due) for one in story.fold.timers] == [("confirm", later(days=16))]
    assert story.tell(confirmed(at=later(days=16), **TIMER)).status == "confirmed"


@pytest.mark.parametrize("arrival", any_order_of(TIMED, *LATE), ids=str)
def test_the_timers_word_counts_in_no_order_of_arrival(arrival: tuple):
    story = Story(*PAID, shipped(), delivered(), *arrival)
    assert (story.status, story.order.confirmed_at) == ("delivered", None)
    assert story.order.facts == {"confirmed": {"timer": "2026-11-09T00:00:00.000000+00:00"}}


@pytest.mark.parametrize("arrival", any_order_of(TIMED, confirmed(at=later(days=10)), *LATE), ids=str)
def test_the_customers_word_always_counts(arrival: tuple):
    story = Story(*PAID, shipped(), delivered(), *arrival)
    assert (story.status, story.order.confirmed_at) == ("confirmed", later(days=10))


def test_a_customers_confirmation_alone_keeps_no_facts():
    assert Story(*PAID, shipped(), delivered(), confirmed()).order.facts is None


def test_what_was_reached_under_older_rules_is_not_told_apart():
    story = Story(*PAID, shipped(), delivered(), TIMED, rules=2)
    assert (story.status, story.order.facts) == ("confirmed", None)


# -- returns that hold what a delivery took back ------------------------------------------------------


def test_a_return_of_more_than_stands_as_delivered_goes_on_and_is_flagged():
    story = Story(*PAID, shipped(), delivered(), asked_back(), packed("box", {"mug": 1}))
    assert story.flags == ["return_without_delivery"]
    assert story.back().status == "processing"
    story.tell(delivered("second", {"mug": 1}))
    assert story.flags == []


def test_a_return_waits_for_staff_by_what_arrived_as_far_as_is_known():
    first, second = delivered("one", {"mug": 1}), delivered("two", {"mug": 1}, at=later(days=25))
    wish = asked_back(items={"mug": 1}, at=later(days=40))
    for events in ((first, wish, second), (first, second, wish)):
        story = Story(*PAID, *events)
        assert (story.back().for_staff, story.back().status) == (False, "processing")
    late = Story(*PAID, first, wish)
    assert (late.back().for_staff, late.back().status) == (True, "requested")
