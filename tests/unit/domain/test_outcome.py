"""Outcomes carry reasons that are explained, and parts tell storage what to write."""

from __future__ import annotations

from typing import Any

import pytest

from domain.dirty_tracking import CLEAN, DELETED, DIRTY, NEW, drop, touch
from domain.outcome import DEAD, IGNORED, PARKED, REASONS, Kind, Reason, dead, ignored, parked
from tests.builders import Story, canceled, created, paid


def test_an_outcome_names_its_kind_and_reason():
    assert (ignored(Reason.REPEATED).kind, parked(Reason.NOT_PAID).kind, dead(Reason.BUG, "x").kind) == (
        IGNORED,
        PARKED,
        DEAD,
    )
    assert dead(Reason.BUG, "ValueError: x").detail == "ValueError: x"


@pytest.mark.parametrize("make", [ignored, parked])
def test_a_reason_of_another_outcome_is_refused(make):
    with pytest.raises(KeyError):
        make(Reason.BUG)


@pytest.mark.parametrize("kind", Kind)
def test_every_outcome_has_its_words_and_its_reasons(kind):
    assert kind.words
    assert all(reason.words for reason in Reason)
    assert [reason for reason in Reason if reason.kind is kind]


def test_a_reason_that_was_stored_is_the_member_of_that_text():
    assert REASONS["not_paid"] == Reason.NOT_PAID.words
    assert Reason("not_paid") is Reason.NOT_PAID
    assert str(Reason.NOT_PAID) == "not_paid"


def test_a_reason_to_give_up_tells_what_to_do():
    verbs = ("edit", "replay", "discard", "upgrade", "refund", "correct")
    silent = [each for each in Reason if each.kind is DEAD and not any(verb in each.words for verb in verbs)]
    assert silent == []


def test_touching_notes_that_a_stored_part_changed_and_leaves_a_new_one_new():
    story = Story(created())
    item, payment = story.item(), story.payment()
    item.change_state = CLEAN
    touch(item)
    touch(payment)
    assert (item.change_state, payment.change_state) == (DIRTY, NEW)


def test_dropping_keeps_a_stored_part_for_storage_and_forgets_a_new_one():
    story = Story(created())
    deleted: list = []
    story.payment().change_state = CLEAN
    drop(story.payment(), deleted)
    drop(story.item(), deleted)
    assert [(type(part).__name__, part.change_state) for part in deleted] == [("Transaction", DELETED)]


@pytest.mark.parametrize("event", [paid(), canceled()])
def test_whatever_an_event_changes_is_marked_for_storage(event):
    story = Story(created())
    stored: list[Any] = [story.order, *story.order.items, *story.order.transactions]
    for part in stored:
        part.change_state = CLEAN
    story.tell(event)
    assert story.order.change_state == DIRTY
    assert (story.payment().change_state == DIRTY) == (event.type == "PaymentSucceeded")
