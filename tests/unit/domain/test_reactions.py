"""Reactions to an order's state: plans, steps of returns, timers, refunds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.ids import uuid_of
from domain.reactions import CONFIRM, UNPAID, follow_up_id
from tests.builders import (
    Story,
    approved,
    asked_back,
    boxed,
    came_back,
    canceled,
    confirmed,
    created,
    delivered,
    expired,
    failed,
    later,
    line,
    lost,
    paid,
    rejected,
    shipped,
)
from tests.fold_helpers import NOW, an_event

GIFT = line("gift", 1, 0)
DAY = timedelta(days=1)


def timers(*events: Any, **how: Any) -> list[tuple[str, datetime]]:
    return [(timer.kind, timer.due) for timer in Story(*events, **how).fold.timers]


# -- follow-ups --------------------------------------------------------------------------------------


def test_a_paid_order_starts_its_fulfillment_with_all_that_is_open():
    made = Story(created(line("mug", 2), line("cup")), paid(15_000)).fold.follow_ups
    assert [(one.event.type, one.data["items"]) for one in made] == [
        ("FulfillmentCreated", [{"item": "mug", "quantity": 2}, {"item": "cup", "quantity": 1}])
    ]
    assert made[0].data["fulfillment"].startswith("ful_")


def test_an_item_without_a_name_of_its_own_goes_by_our_id():
    order = created()
    del order.data["items"][0]["item"]
    story = Story(order, paid())
    assert story.fold.follow_ups[0].data["items"][0]["item"].startswith("itm_")
    assert uuid_of(story.fold.follow_ups[0].data["items"][0]["item"]) == story.order.items[0].id
    assert story.status == "preparing"


def test_a_failed_parcel_starts_a_plan_anew():
    story = Story(created(), paid(), shipped(), lost())
    assert (story.follow_ups, story.plan) == (["FulfillmentCreated"] * 2, {"mug": 2})


@pytest.mark.parametrize("ended", [(canceled(),), (expired(),), (failed(),)])
def test_an_order_that_is_not_paid_starts_nothing(ended: tuple):
    assert Story(created(), *ended).follow_ups == []


def test_an_approved_return_starts_its_processing():
    story = Story(created(), paid(), delivered("box", {"mug": 2}), asked_back(), approved(), returns="staff")
    assert story.fold.follow_ups[-1].event.type == "ReturnProcessingStarted"
    assert story.fold.follow_ups[-1].data == {"return": "ret", "by": "policy"}


def test_a_follow_up_is_applied_in_the_fold_of_its_cause_and_happened_when_its_cause_did():
    story = Story(created(), paid(at=later(hours=1)))
    (plan,) = story.fold.follow_ups
    assert plan.event.time == later(hours=1)
    assert [one.outcome.kind for one in story.fold.settled] == ["applied"] * 3
    assert story.fold.settled[-1].event is plan.event


def test_the_same_cause_has_the_same_follow_up():
    order, cause = Story(created()).order, an_event(paid())
    own = follow_up_id(order, cause, 0, "X")
    assert own == follow_up_id(order, cause, 0, "X")
    others = [(cause, 1, "X"), (cause, 0, "Y"), (an_event(paid()), 0, "X")]
    assert len({own, *(follow_up_id(order, *other) for other in others)}) == 4


def test_a_fold_without_reactions_makes_nothing():
    story = Story(created())
    story.fold.reacting = False
    story.tell(paid())
    assert (story.follow_ups, story.status) == ([], "paid")


# -- timers ------------------------------------------------------------------------------------------


def test_an_unpaid_order_expires_a_day_after_it_was_placed():
    assert timers(created()) == [(UNPAID, NOW + DAY)]


def test_a_delivered_order_is_confirmed_a_week_after_its_last_parcel_arrived():
    two = (created(line("mug", 2)), paid(), delivered("b", {"mug": 1}, at=later(days=2)))
    made = timers(*two, delivered("a", {"mug": 1}, at=later(days=1)))
    assert made[1:] == [(CONFIRM, NOW + 9 * DAY)]


def test_a_timer_is_due_no_sooner_than_a_grace_after_we_learned_of_it():
    learned = later(days=100)
    backfill = (created(), paid(), delivered("box", {"mug": 2}))
    assert timers(*backfill, now=learned) == [(kind, learned + timedelta(hours=1)) for kind in (UNPAID, CONFIRM)]
    assert timers(created(), now=learned, grace=timedelta(days=3)) == [(UNPAID, learned + 3 * DAY)]


def test_a_period_that_is_longer_than_the_grace_counts_from_what_happened():
    assert timers(created(at=later(hours=-20))) == [(UNPAID, later(hours=4))]


@pytest.mark.parametrize(("switched_off", "left"), [("unpaid_after", [CONFIRM]), ("confirm_after", [UNPAID])])
def test_a_period_that_is_off_sets_no_timer(switched_off: str, left: list[str]):
    events = (created(), paid(), delivered("box", {"mug": 2}))
    assert [kind for kind, _ in timers(*events, **{switched_off: None})] == left


def test_a_period_of_nothing_is_not_off():
    nothing = timedelta(0)
    made = timers(created(), paid(), delivered("box", {"mug": 2}), unpaid_after=nothing, confirm_after=nothing)
    assert made == [(UNPAID, later(hours=1)), (CONFIRM, later(hours=1))]


def test_an_order_that_is_paid_as_it_is_placed_has_no_unpaid_timer():
    assert timers(created(GIFT)) == []
    assert timers(paid(), created()) == [(UNPAID, NOW + DAY)]  # waits until the order is there


def test_an_order_that_was_confirmed_before_it_arrived_has_no_confirm_timer():
    events = (created(), paid(), confirmed(), delivered("box", {"mug": 2}))
    assert [kind for kind, _ in timers(*events)] == [UNPAID, CONFIRM]  # the confirmation comes a moment later
    assert Story(*events).status == "confirmed"


def test_an_order_that_was_confirmed_is_not_timed_again():
    story = Story(created(), paid(), shipped(), delivered(), confirmed(), shipped("box", {"mug": 1}))
    assert story.status == "preparing"
    story.tell(delivered("rest", {"mug": 1}))
    assert (story.status, len(story.fold.timers)) == ("confirmed", 2)


def test_a_return_sets_no_second_confirm_timer():
    events = (created(), paid(), delivered("box", {"mug": 2}), asked_back(), rejected())
    assert [kind for kind, _ in timers(*events)] == [UNPAID, CONFIRM]


def test_an_order_that_is_delivered_again_is_timed_again():
    events = (created(), paid(), delivered("box"), boxed("box", {"mug": 2}), shipped("box", {"mug": 1}))
    more = (delivered("rest", {"mug": 1}, at=later(days=3)),)
    assert timers(*events, *more)[-1] == (CONFIRM, NOW + 10 * DAY)


@pytest.mark.parametrize("held", [True, False])
def test_the_timers_of_history_are_held(held: bool):
    assert [timer.effects_suppressed for timer in Story(created(), held=held).fold.timers] == [held]


# -- refunds -----------------------------------------------------------------------------------------


def test_a_target_that_rose_is_a_refund_to_make():
    story = Story(created(), paid(), canceled())
    assert [one.payment_id for one in story.fold.refunds.values()] == ["pay"]


def test_targets_that_stay_ask_for_nothing():
    story = Story(created(), paid(), delivered("box", {"mug": 2}), asked_back("ret", {"mug": 1}), came_back())
    story.fold.refunds.clear()
    story.tell(confirmed(), shipped(), paid())
    assert story.fold.refunds == {}
