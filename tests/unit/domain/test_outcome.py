"""Outcomes carry reasons that are explained, and parts tell storage what to write."""

from __future__ import annotations

from typing import Any

import pytest

from domain.dirty_tracking import CLEAN, DIRTY, GONE, NEW, drop, touch
from domain.outcome import DEAD, IGNORED, PARKED, REASONS, dead, ignored, parked
from tests.builders import Story, canceled, created, paid


def test_an_outcome_names_its_kind_and_reason():
    assert (ignored("repeated").kind, parked("not_paid").kind, dead("bug", "x").kind) == (IGNORED, PARKED, DEAD)
    assert dead("bug", "ValueError: x").detail == "ValueError: x"


@pytest.mark.parametrize("make", [ignored, parked])
def test_a_reason_that_is_not_explained_is_refused(make):
    with pytest.raises(KeyError):
        make("because")


def test_a_reason_to_give_up_tells_what_to_do():
    verbs = ("edit", "replay", "discard", "upgrade", "refund")
    listed = [reason for reason in REASONS if any(verb in REASONS[reason] for verb in verbs)]
    assert {"malformed", "unknown_item", "too_many_items", "currency_mismatch", "parked_too_long", "bug"} <= set(listed)


def test_touching_notes_that_a_stored_part_changed_and_leaves_a_new_one_new():
    story = Story(created())
    item, payment = story.item(), story.payment()
    item.mark = CLEAN
    touch(item)
    touch(payment)
    assert (item.mark, payment.mark) == (DIRTY, NEW)


def test_dropping_keeps_a_stored_part_for_storage_and_forgets_a_new_one():
    story = Story(created())
    gone: list = []
    story.payment().mark = CLEAN
    drop(story.payment(), gone)
    drop(story.item(), gone)
    assert [(type(part).__name__, part.mark) for part in gone] == [("Transaction", GONE)]


@pytest.mark.parametrize("event", [paid(), canceled()])
def test_whatever_an_event_changes_is_marked_for_storage(event):
    story = Story(created())
    stored: list[Any] = [story.order, *story.order.items, *story.order.transactions]
    for part in stored:
        part.mark = CLEAN
    story.tell(event)
    assert story.order.mark == DIRTY
    assert (story.payment().mark == DIRTY) == (event.type == "PaymentSucceeded")
