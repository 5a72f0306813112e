"""Cancels: what they wait for, what they undo, and whom they race."""

from __future__ import annotations

from typing import Any

import pytest

from domain.handler_table import apply
from domain.policy import Context, Policy
from events.envelope import Envelope
from tests.builders import (
    Story,
    boxed,
    canceled,
    created,
    delivered,
    items_canceled,
    later,
    line,
    lost,
    packed,
    paid,
    scan,
    shipped,
    tracked,
    won,
)
from tests.fold_helpers import NOW, an_event

PAID = (created(), paid())


def test_a_cancel_waits_while_a_parcel_is_out():
    wish = canceled()
    story = Story(*PAID, shipped(), wish)
    assert (story.outcome(wish), story.status) == ("parked: parcel_out", "shipped")
    assert story.due == {}


@pytest.mark.parametrize("failure", [lost(), scan("return_to_sender")])
def test_the_failure_of_the_parcel_lets_the_cancel_through(failure: Envelope):
    wish = canceled(at=later(hours=1))
    story = Story(*PAID, shipped(**tracked()), wish, failure)
    assert (story.outcome(wish), story.status, story.plan) == ("applied", "canceled", {})
    assert story.due == {"pay": won(10_000)}
    assert story.order.canceled_at == later(hours=1)


@pytest.mark.parametrize("arrival", [delivered(), scan("delivered")])
def test_the_delivery_of_the_parcel_settles_no_cancel_until_its_time_is_up(arrival: Envelope):
    wish = canceled()
    story = Story(*PAID, shipped(**tracked()), wish, arrival)
    assert (story.outcome(wish), story.status, story.due) == ("parked: parcel_out", "delivered", {})
    assert overdue(story, wish) == "ignored: already_delivered"
    assert (story.status, story.flags) == ("delivered", ["cancel_too_late"])


def test_the_delivery_of_items_settles_no_cancel_of_them_until_its_time_is_up():
    wish, out = items_canceled({"mug": 1}), items_canceled({"cup": 1}, "cup")
    two = (created(line("mug", 2), line("cup")), paid(15_000), delivered("box", {"mug": 2}), shipped("two", {"cup": 1}))
    story = Story(*two, wish, out)
    assert (story.outcome(wish), story.outcome(out)) == ("parked: items_out", "parked: items_out")
    assert overdue(story, out) == "parked: items_out"
    assert (overdue(story, wish), story.flags) == ("ignored: already_delivered", ["cancel_too_late"])


def overdue(story: Story, wish: Envelope) -> str:
    """The outcome of a cancel whose time is up."""
    found = apply(story.order, an_event(wish), Context(NOW, Policy(), overdue=True))
    return f"{found.kind}: {found.reason}"


def test_a_cancel_waits_for_the_last_parcel_that_is_out():
    wish = canceled()
    two = (created(line("mug", 2)), paid(), shipped("one", {"mug": 1}), shipped("two", {"mug": 1}), wish)
    story = Story(*two, lost("one"))
    assert story.outcome(wish) == "parked: parcel_out"
    assert story.tell(lost("two")).outcome(wish) == "applied"


@pytest.mark.parametrize("cancel_first", [True, False])
def test_a_cancel_racing_a_shipment_whichever_commits_first_wins_and_the_other_is_flagged_or_waits(
    cancel_first: bool,
):
    wish, parcel = canceled(), shipped()
    story = Story(*PAID, boxed(), *((wish, parcel) if cancel_first else (parcel, wish)), delivered())
    if cancel_first:
        assert (story.outcome(wish), story.outcome(parcel)) == ("applied", "ignored: shipped_after_cancel")
        assert (story.status, story.flags) == ("canceled", ["shipped_after_cancel"])
    else:
        assert (story.outcome(parcel), story.outcome(wish)) == ("applied", "parked: parcel_out")
        assert (story.status, story.flags) == ("delivered", [])


@pytest.mark.parametrize("step", [boxed, packed])
def test_a_cancel_fails_the_parcels_that_have_not_left(step):
    story = Story(*PAID, step("box", {"mug": 1}), canceled())
    assert (story.status, story.parcel().status, story.plan) == ("canceled", "failed", {})


def test_a_cancel_drops_the_plan_and_nobody_plans_again():
    story = Story(*PAID, canceled())
    assert story.order.fulfillments == []
    assert story.order.fulfillment_items == []
    assert story.follow_ups == ["FulfillmentCreated"]


def test_a_plan_that_was_stored_is_kept_for_storage_to_delete():
    story = Story(*PAID)
    plan = story.order.fulfillments[0]
    stored: list[Any] = [plan, *story.order.fulfillment_items]
    for part in stored:
        part.change_state = 0  # as loaded
    story.tell(canceled())
    assert {part.id for part in story.order.deleted} == {part.id for part in stored}


def test_a_cancel_told_twice_stands_at_its_earliest_time():
    again = canceled(at=later(hours=1))
    story = Story(created(), canceled(at=later(hours=2)), again)
    assert (story.outcome(again), story.order.canceled_at) == ("ignored: repeated", later(hours=1))


def test_a_cancel_gives_back_all_that_was_captured():
    story = Story(created(), paid(6_000, "one"), paid(4_000, "two"), canceled())
    assert story.due == {"one": won(6_000), "two": won(4_000)}


def test_a_failed_parcel_of_a_canceled_order_stays_so():
    again = lost()
    story = Story(*PAID, boxed(), canceled(), again)
    assert (story.outcome(again), story.parcel().status) == ("applied", "failed")
