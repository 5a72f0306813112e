"""Parked and dead events have changed nothing: the order is to its last field what it was."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.handler_table import apply
from domain.policy import Context, Policy
from events.envelope import Envelope
from tests.builders import (
    Story,
    asked_back,
    boxed,
    came_back,
    canceled,
    confirmed,
    created,
    delivered,
    line,
    packed,
    paid,
    processing,
    refunded,
    scan,
    shipped,
)
from tests.fold_helpers import NOW, an_event

HALFWAY = (created(line("mug", 2), line("cup")), paid(15_000), shipped("out", {"mug": 1}),
           delivered("here", {"mug": 1}), asked_back("ret", {"mug": 1}))  # fmt: skip
DEAD = [
    (created(line("lamp")), "order_number_taken", "was created before"),
    (paid(1, currency="USD"), "currency_mismatch", "received 1 USD"),
    (paid("0.5"), "malformed", "amount: 0.5 KRW has more than 0 decimals"),
    (refunded("0.5"), "malformed", "refundedAmount: 0.5 KRW has more than 0 decimals"),
    (came_back(refund="0.5"), "malformed", "refundAmount: 0.5 KRW has more than 0 decimals"),
    (boxed("new", {"lamp": 1}), "unknown_item", 'item "lamp"; order 261101000001 has "mug", "cup"'),
    (shipped("out", {"lamp": 1}), "unknown_item", "lamp"),
    (packed("new", {"mug": 1, "lamp": 1}), "unknown_item", "lamp"),
    (delivered("out", {"lamp": 1}), "unknown_item", "lamp"),
    (asked_back("more", {"lamp": 1}), "unknown_item", "lamp"),
    (asked_back("more", {"mug": 3}), "too_many_items", "3 of mug, ordered 2"),
]
PARKED = [
    (confirmed(), "not_delivered"),
    (packed("new"), "fulfillment_unknown"),
    (scan("delivered", "nobody's"), "parcel_unknown"),
    (processing("more"), "return_unknown"),
    (came_back("more"), "return_unknown"),
    (came_back(), "return_not_processing"),
    (asked_back("more", {"cup": 1}), "not_delivered"),
    (asked_back("more", {"mug": 1}), "items_held"),
]


@pytest.mark.parametrize(("poison", "reason", "detail"), DEAD)
def test_poison_is_dead_with_its_reason_and_changes_nothing(poison: Envelope, reason: str, detail: str):
    story = Story(*HALFWAY, returns="staff")
    before = story.everything()
    story.tell(poison)
    assert story.outcome(poison) == f"dead: {reason}"
    assert detail in str(story.settled(poison)[-1].outcome.detail)
    assert story.settled(poison)[-1].apply_number is None
    assert story.everything() == before


@pytest.mark.parametrize(("early", "reason"), PARKED)
def test_what_comes_too_early_is_parked_with_its_reason_and_changes_nothing(early: Envelope, reason: str):
    story = Story(*HALFWAY, returns="staff")
    before = story.everything()
    assert story.tell(early).outcome(early) == f"parked: {reason}"
    assert story.waiting == [early.type]
    assert story.everything() == before


@pytest.mark.parametrize(
    ("told", "early", "reason"),
    [
        ((), paid(), "order_unknown"),
        ((created(), paid(9_999)), boxed(), "not_paid"),
        ((created(), paid(9_999)), shipped("box", {"lamp": 1}), "not_paid"),
        ((created(), paid(), shipped()), canceled(), "parcel_out"),
    ],
)
def test_so_does_what_waits_for_the_order_its_money_or_a_parcel(told: tuple, early: Envelope, reason: str):
    story = Story(*told)
    before = story.everything()
    assert story.tell(early).outcome(early) == f"parked: {reason}"
    assert story.everything() == before


@pytest.mark.parametrize("field", ["totalAmount", "discountAmount", "shippingAmount"])
def test_an_order_with_money_that_its_currency_cannot_express_is_dead_and_its_number_stays_free(field: str):
    story = Story()
    before, poison = story.everything(), created()
    poison.data[field] = "1.5"
    assert story.tell(poison).outcome(poison) == "dead: malformed"
    assert story.everything() == before
    good = created()
    assert story.tell(good).outcome(good) == "applied"


def test_a_line_with_money_that_its_currency_cannot_express_is_dead_too():
    poison = created(line("mug", 2, "0.005"), currency="USD")
    story = Story(poison)
    assert (story.outcome(poison), story.status, story.order.items) == ("dead: malformed", "new", [])


def test_poison_stops_nobody():
    good = shipped("rest", {"cup": 1})
    story = Story(*HALFWAY, *(poison for poison, _, _ in DEAD), good, returns="staff")
    assert story.outcome(good) == "applied"
    assert story.waiting == []


def test_an_item_listed_too_often_across_lines_of_one_request_is_too_many():
    twice = asked_back("more")
    twice.data["items"] = [{"item": "mug", "quantity": 2}, {"item": "mug", "quantity": 1}]
    assert Story(*HALFWAY, twice).outcome(twice) == "dead: too_many_items"


def test_applying_alone_says_what_became_of_an_event():
    order, context = Story(created()).order, Context(NOW, Policy())
    outcome = apply(order, an_event(paid()), context)
    assert (outcome.kind, order.version, order.captured()) == ("applied", 2, Decimal(10_000))
