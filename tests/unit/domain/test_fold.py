"""Folding: events in arrival order, those that wait, and those on which our own code fails."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain import handler_table as applying
from domain import payment_handlers
from domain.fold import Poisoned, fold
from domain.policy import Context, Policy
from events.catalogue import CATALOGUE, Event, OrderConfirmed, PaymentSucceeded
from tests.builders import (
    Story,
    an_order,
    approved,
    asked_back,
    boxed,
    canceled,
    confirmed,
    created,
    delivered,
    lost,
    paid,
    rejected,
    shipped,
)
from tests.fold_helpers import NOW, an_event


def test_what_waits_is_retried_in_the_fold_that_makes_it_applicable_and_in_journal_order():
    early = [confirmed(), asked_back(), delivered("box", {"mug": 2}), paid()]
    story = Story(*early, created())
    assert story.waiting == []
    assert story.status == "return_processing"
    assert [story.outcome(event) for event in early] == ["applied"] * 4


def test_events_in_a_chain_of_waiting_ones_are_all_applied():
    story = Story(lost(), shipped(), canceled(), boxed(), paid(), created())
    assert (story.status, story.waiting) == ("canceled", [])


def test_an_event_that_is_parked_again_is_settled_once():
    early = confirmed()
    story = Story(created(), early, paid(), shipped())
    assert [one.outcome.kind for one in story.settled(early)] == ["parked"]


def test_a_parked_event_tells_what_it_waits_for_as_of_its_last_try():
    early = boxed()
    story = Story(early, created())
    assert story.outcome(early) == "parked: order_unknown"
    story.fold.say_why_parked()
    assert story.outcome(early) == "parked: not_paid"


def test_every_type_of_the_catalogue_can_be_applied():
    assert set(applying.HANDLERS) == set(CATALOGUE)


def test_mypy_finds_a_misspelt_field_and_a_handler_beside_another_type():
    """Each `type: ignore` stands for an error: without it mypy says that the comment is not needed."""
    _, mistaken = applying.row(OrderConfirmed, payment_handlers.payment_succeeded)  # type: ignore[arg-type]
    assert mistaken.handle is payment_handlers.payment_succeeded

    def misspelt(event: Event[PaymentSucceeded]) -> Decimal:
        return event.data.amuont  # type: ignore[attr-defined]

    with pytest.raises(AttributeError):
        misspelt(an_event(paid()))


def test_a_refusal_settles_its_own_waiting_request_at_once():
    asked, refusal = asked_back(), rejected()
    story = Story(created(), paid(), asked)
    assert story.outcome(asked) == "parked: not_delivered"
    story.tell(refusal)
    assert (story.outcome(asked), story.outcome(refusal)) == ("applied: rejected_already", "ignored: overtaken")
    assert story.waiting == []


def test_each_settled_event_tells_the_step_that_the_order_took():
    money = paid()
    story = Story(created(), money)
    (settled,) = story.settled(money)
    assert (settled.step_from, settled.step_to, settled.apply_number) == ("pending", "paid", 2)


def test_the_same_events_with_the_same_clock_end_in_the_same_state_to_the_last_id():
    told = [created(), paid(), shipped(), delivered(), asked_back(), approved()]
    events = [an_event(event, seq) for seq, event in enumerate(told)]
    context = Context(NOW, Policy())
    one, two = (Story() for _ in range(2))
    for story in (one, two):
        story.fold = fold(an_order(), events, context)
    assert one.everything() == two.everything()
    assert [f.event.id for f in one.fold.follow_ups] == [f.event.id for f in two.fold.follow_ups]


# -- our own faults ----------------------------------------------------------------------------------


def _bug(*_: object) -> Any:
    raise ZeroDivisionError("by our own hand")


def test_an_event_on_which_our_code_fails_is_named_so_that_it_can_be_isolated(monkeypatch):
    money = paid()
    monkeypatch.setitem(
        applying.HANDLERS, "PaymentSucceeded", replace(applying.HANDLERS["PaymentSucceeded"], handle=_bug)
    )
    with pytest.raises(Poisoned, match=r"PaymentSucceeded shop/evt-.*by our own hand") as caught:
        Story(created(), money)
    assert caught.value.key == (money.source, money.id)
    assert caught.value.detail == "ZeroDivisionError: by our own hand"


def test_a_failure_while_retrying_names_the_event_that_waited_not_the_one_that_came(monkeypatch):
    money = paid()
    story = Story(money)
    monkeypatch.setitem(
        applying.HANDLERS, "PaymentSucceeded", replace(applying.HANDLERS["PaymentSucceeded"], handle=_bug)
    )
    with pytest.raises(Poisoned) as caught:
        story.tell(created())
    assert caught.value.key == (money.source, money.id)


def test_poison_that_is_known_ends_dead_without_being_applied(monkeypatch):
    money = paid()
    monkeypatch.setitem(
        applying.HANDLERS, "PaymentSucceeded", replace(applying.HANDLERS["PaymentSucceeded"], handle=_bug)
    )
    story = Story(created())
    story.fold.known_poison[money.source, money.id] = "ZeroDivisionError: by our own hand"
    story.tell(money)
    assert story.outcome(money) == "dead: bug"
    assert story.status == "pending"
