"""Holds: who holds an order, until when, and what ships all the same."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.holds import holds
from domain.permitted_transitions import fulfillment_statuses, held_back, movable, order_statuses
from tests.builders import (
    Story,
    any_order_of,
    boxed,
    canceled,
    created,
    delivered,
    disputed,
    later,
    lost,
    paid,
    refunded,
    shipped,
    taken_back,
    told,
)

PAID = (created(), paid())


def held(hold: str = "fraud", **data):
    return told("OrderHeld", hold=hold, by="staff", **data)


def released(hold: str = "fraud", **data):
    return told("OrderReleased", hold=hold, by="staff", **data)


def standing(story: Story) -> list[str]:
    return holds(story.order)


def test_a_held_order_is_flagged_and_nothing_of_it_may_ship():
    story = Story(*PAID, boxed("box", {"mug": 1}), held())
    order, (plan,) = story.order, [one for one in story.order.fulfillments if one.planned]
    assert (story.flags, held_back(order)) == (["held"], "fraud")
    assert (fulfillment_statuses(order, plan), fulfillment_statuses(order, story.parcel())) == ([], ["failed"])
    assert [movable(order, step) for step in ("preparing", "shipped", "delivered")] == [[], [], []]
    assert order_statuses(order) == ["canceled"]
    story.tell(released(at=later(hours=1)))
    assert (story.flags, held_back(order)) == ([], None)


@pytest.mark.parametrize("arrival", any_order_of(held(), released(at=later(hours=1)), held(at=later(hours=2))), ids=str)
def test_the_later_stands_whatever_arrives_last(arrival: tuple):
    assert standing(Story(*PAID, *arrival)) == ["fraud"]
    assert standing(Story(*PAID, *arrival, released(at=later(hours=3)))) == []


def test_a_release_at_the_time_of_the_hold_releases_it():
    assert standing(Story(*PAID, released(), held())) == []


def test_a_release_that_is_overtaken_says_so():
    early = released(at=later(hours=-1))
    assert Story(*PAID, held(), early).outcome(early) == "ignored: overtaken"


def test_each_hold_is_released_by_its_name():
    assert standing(Story(*PAID, held("a"), held("b"), released("a", at=later(hours=1)))) == ["b"]


def test_a_canceled_order_is_held_by_nothing():
    late = held(at=later(hours=1))
    story = Story(*PAID, held(), canceled(), late)
    assert (standing(story), story.flags, story.outcome(late)) == ([], [], "ignored: order_canceled")


@pytest.mark.parametrize("hours", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("turn", range(3))
def test_a_shipment_whose_time_lies_in_a_hold_is_recorded_and_flagged(hours: int, turn: int):
    events = [held(at=later(hours=1)), released(at=later(hours=3)), shipped("box", {"mug": 1}, at=later(hours=hours))]
    story = Story(*PAID, *events[turn:], *events[:turn])
    assert story.parcel().status == "shipped"
    assert story.flags == (["shipped_while_held"] if hours in (1, 2) else [])


def test_a_parcel_that_left_before_the_hold_goes_on():
    story = Story(*PAID, shipped("box", {"mug": 2}), held(at=later(hours=1)), delivered(at=later(hours=2)))
    assert (story.status, story.flags) == ("delivered", ["held"])


# -- holds that nobody makes -------------------------------------------------------------------------

BACK = refunded(10_000, at=later(hours=1))


def test_a_fully_refunded_order_that_is_open_must_not_ship():
    story = Story(*PAID, BACK)
    assert (standing(story), story.flags) == (["refunded"], ["over_refunded", "refunded"])
    assert "all that was paid went back" in str(held_back(story.order))
    assert order_statuses(story.order) == ["canceled"]


def test_refunded_in_part_it_ships():
    assert standing(Story(*PAID, refunded(9_999))) == []


def test_a_shipment_of_a_fully_refunded_order_is_flagged_and_one_before_is_not():
    for hours, flags in ((0, []), (2, ["shipped_while_held"])):
        for events in ((BACK, shipped(at=later(hours=hours))), (shipped(at=later(hours=hours)), BACK)):
            assert Story(*PAID, *events).flags == ["over_refunded", *flags]


@pytest.mark.parametrize(
    ("milliseconds", "flags"), [(-400, []), (0, []), (400, []), (999, []), (1000, ["shipped_while_held"])]
)
def test_what_left_within_the_second_of_a_fact_may_have_left_before(milliseconds: int, flags: list[str]):
    """Providers tell whole seconds."""
    parcel = shipped(at=later(hours=1) + timedelta(milliseconds=milliseconds))
    for events in ((BACK, parcel), (parcel, BACK)):
        assert Story(*PAID, *events).flags == ["over_refunded", *flags]


def test_what_left_within_the_second_of_a_fact_that_was_released_since_was_not_held():
    parcel, back = shipped(at=later(hours=2)), released("refunded", at=later(hours=1, seconds=0.5))
    assert Story(*PAID, BACK, back, parcel).flags == ["over_refunded"]


def test_what_fails_on_its_way_is_open_again_and_held():
    story = Story(*PAID, shipped(), BACK)
    assert standing(story) == []
    assert (standing(story.tell(lost())), story.flags) == (["refunded"], ["over_refunded", "refunded"])


def test_a_refund_told_again_does_not_hold_what_was_released():
    story = Story(*PAID, BACK, released("refunded", at=later(hours=2)), refunded(10_000, at=later(hours=3)))
    assert standing(story) == []
    more = paid(12_000, at=later(hours=4)), refunded(12_000, at=later(hours=5))
    assert standing(story.tell(*more)) == ["refunded"]


def test_a_dispute_holds_until_it_is_won_or_released_and_a_later_one_again():
    asked = disputed(at=later(hours=1), dispute="one")
    assert standing(Story(*PAID, asked)) == ["disputed"]
    assert standing(Story(*PAID, asked, disputed("won", at=later(hours=2), dispute="one"))) == []
    story = Story(*PAID, asked, released("disputed", at=later(hours=2)))
    assert (standing(story), story.flags) == ([], ["disputed"])
    assert standing(story.tell(disputed("lost", at=later(hours=3)))) == ["disputed"]


def test_a_reversed_payment_holds_until_it_is_made_anew_or_released():
    story = Story(*PAID, taken_back(at=later(hours=1)))
    assert standing(story) == ["payment_reversed"]
    assert standing(Story(*PAID, taken_back(at=later(hours=1)), paid(at=later(hours=2)))) == []
    story.tell(released("payment_reversed", at=later(hours=2)))
    assert (standing(story), movable(story.order, "shipped") != []) == ([], True)


# -- the timer ---------------------------------------------------------------------------------------


def until(**period):
    return later(**period).isoformat()


def timers(story: Story):
    return [(one.kind, one.due) for one in story.fold.timers if one.kind == "hold"]


def test_a_hold_with_an_end_starts_a_timer_for_it():
    assert timers(Story(*PAID, held(until=until(days=1)))) == [("hold", later(days=1))]
    assert timers(Story(*PAID, held())) == []


def test_of_several_the_next_end_counts_and_then_the_other():
    story = Story(*PAID, held("a", until=until(days=2)), held("b", until=until(days=1)))
    assert timers(story)[-1] == ("hold", later(days=1))
    story.tell(released("b", at=later(days=1)))
    assert timers(story)[-1] == ("hold", later(days=2))


def test_a_later_hold_without_an_end_stands_until_somebody_releases_it():
    story = Story(*PAID, held(until=until(days=1)))
    story.fold.timers.clear()
    story.tell(held(at=later(hours=1)))
    assert timers(story) == []


def test_a_hold_that_ends_before_it_begins_is_malformed():
    wrong = held(at=later(days=2), until=until(days=1))
    story = Story(*PAID, wrong)
    assert (story.outcome(wrong), standing(story)) == ("dead: malformed", [])
    assert "until:" in (story.settled(wrong)[-1].outcome.detail or "")
