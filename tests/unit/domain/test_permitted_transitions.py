"""Requests may ask for what apply would take: each is tried at many stages of an order's life."""

from __future__ import annotations

import copy
from datetime import timedelta

import pytest

from domain.handler_table import apply
from domain.ids import format_id
from domain.permitted_transitions import (
    fulfillment_statuses,
    held_back,
    movable,
    order_statuses,
    return_statuses,
    returnable,
    transaction_statuses,
)
from domain.policy import Context, Policy
from domain.return_window import return_window_closed
from tests import builders as b
from tests.fold_helpers import NOW, an_event

CONTEXT = Context(NOW, Policy())
TWO = (b.line("mug", 2), b.line("cup"))
STAGES = {
    "pending": [b.created()],
    "failed": [b.created(), b.failed()],
    "canceled": [b.created(), b.canceled()],
    "preparing": [b.created(), b.paid()],
    "split": [b.created(*TWO), b.paid(15_000), b.boxed("box", {"mug": 1})],
    "half out": [b.created(*TWO), b.paid(15_000), b.shipped("box", {"mug": 2})],
    "half there": [b.created(*TWO), b.paid(15_000), b.shipped("box", {"mug": 2}), b.delivered("box")],
    "shipped": [b.created(), b.paid(), b.shipped()],
    "lost": [b.created(), b.paid(), b.shipped(), b.lost()],
    "delivered": [b.created(), b.paid(), b.shipped(), b.delivered()],
    "confirmed": [b.created(), b.paid(), b.shipped(), b.delivered(), b.confirmed()],
    "coming back": [b.created(), b.paid(), b.shipped(), b.delivered(), b.asked_back(items={"mug": 1})],
    "returned": [b.created(), b.paid(), b.shipped(), b.delivered(), b.asked_back(), b.came_back()],
    "reversed": [b.created(), b.paid(), b.taken_back()],
    "reversed, in part packed": [b.created(*TWO), b.paid(15_000), b.packed("box", {"mug": 2}), b.taken_back()],
    "shipped after cancel": [b.created(), b.paid(), b.canceled(), b.shipped()],
}


def story(stage):
    return b.Story(*STAGES[stage])


def applies(order, event):
    return apply(copy.deepcopy(order), an_event(event, 99), CONTEXT).kind == "applied"


@pytest.mark.parametrize("stage", STAGES)
def test_decisions_are_allowed_as_they_apply(stage):
    order = story(stage).order
    allowed = order_statuses(order)
    assert ("canceled" in allowed) == applies(order, b.canceled())
    assert ("confirmed" in allowed) == applies(order, b.confirmed())


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("status", "step"), [("shipped", b.shipped), ("delivered", b.delivered)])
def test_a_shipping_step_that_is_allowed_applies_to_the_one_it_means(stage, status, step):
    order = story(stage).order
    found = movable(order, status)
    assert (status in order_statuses(order)) == (len(found) == 1)
    for parcel in found:
        assert parcel is not None  # our plan holds all that is open
        assert applies(order, step(parcel.reference or format_id("fulfillments", parcel.id)))


@pytest.mark.parametrize(
    ("stage", "allowed"),
    [
        ("pending", ["canceled"]),
        ("failed", ["canceled"]),
        ("canceled", []),
        ("preparing", ["preparing", "shipped", "delivered", "canceled"]),
        ("split", ["preparing", "canceled"]),
        ("half out", ["preparing", "shipped"]),
        ("half there", ["preparing", "shipped", "delivered"]),
        ("shipped", ["delivered"]),
        ("lost", ["preparing", "shipped", "delivered", "canceled"]),
        ("delivered", ["confirmed"]),
        ("confirmed", []),
        ("coming back", ["confirmed"]),
        ("reversed", ["canceled"]),
        ("reversed, in part packed", ["canceled"]),
        ("shipped after cancel", []),
    ],
)
def test_what_each_stage_allows(stage, allowed):
    assert order_statuses(story(stage).order) == allowed


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("status", "step"),
    [("packed", b.packed), ("shipped", b.shipped), ("delivered", b.delivered), ("failed", b.lost)],
)
def test_a_fulfillments_steps_are_allowed_as_they_apply(stage, status, step):
    order = story(stage).order
    for parcel in order.fulfillments:
        name = parcel.reference or format_id("fulfillments", parcel.id)
        waits = held_back(order) is not None and not parcel.has_left() and (parcel.planned or status != "failed")
        refused = order.canceled_at is not None or waits
        assert (status in fulfillment_statuses(order, parcel)) == (applies(order, step(name)) and not refused)


@pytest.mark.parametrize(
    "told", [[], [b.asked_back()], [b.asked_back(), b.came_back()], [b.asked_back(), b.rejected()]]
)
@pytest.mark.parametrize("policy", ["auto", "staff"])
def test_a_returns_steps_are_allowed_as_they_apply(told, policy):
    order = b.Story(b.created(), b.paid(), b.shipped(), b.delivered(), *told, returns=policy).order
    steps = {"approved": b.approved, "processing": b.processing, "completed": b.came_back, "rejected": b.rejected}
    for back in order.returns:
        assert return_statuses(back) == [status for status, step in steps.items() if applies(order, step())]


def test_a_payments_steps_are_allowed_as_they_apply():
    for told in ([], [b.failed()], [b.given_up()], [b.taken_back(at=b.later(hours=-1))]):
        order = b.Story(b.created(), *told).order
        at = b.later(minutes=1)
        steps = {"paid": b.paid(at=at), "failed": b.failed(at=at), "canceled": b.given_up(at=at)}
        allowed = transaction_statuses(order.transactions[0])
        assert set(allowed) == {status for status, step in steps.items() if applies(order, step)}
    assert transaction_statuses(b.Story(b.created(), b.paid()).payment()) == []


def test_what_can_be_asked_back_is_delivered_and_held_by_no_other():
    told = b.Story(b.created(*TWO), b.paid(15_000), b.shipped("box", {"mug": 2}))
    assert returnable(told.order) == {}
    told.tell(b.delivered("box"))
    assert returnable(told.order) == {told.item("mug").id: 2}
    told.tell(b.asked_back("one", {"mug": 1}))
    assert returnable(told.order) == {told.item("mug").id: 1}
    told.tell(b.rejected("one"))
    assert returnable(told.order) == {told.item("mug").id: 2}


@pytest.mark.parametrize(("days", "closed"), [(29, False), (30, False), (31, True)])
def test_the_window_closes_as_apply_holds_it(days, closed):
    asked = b.asked_back(at=b.later(days=days))
    told = b.Story(b.created(), b.paid(), b.shipped(), b.delivered())
    order = told.order
    found = return_window_closed(order, order.items, asked.time, Policy())
    assert found == (NOW + timedelta(days=30) if closed else None)
    assert told.tell(asked).back().for_staff == closed
    assert return_window_closed(order, order.items, asked.time, Policy(return_window=None)) is None
