"""Edits of an order: of each field the later stands, whenever it comes, and an address after shipping is flagged."""

from __future__ import annotations

import pytest

from domain.edits import EDITS, sources
from tests.builders import Story, any_order_of, canceled, created, delivered, later, lost, paid, shipped, told

FLAG = "address_after_shipping"


def edited(hours: float = 1, **fields):
    return told("OrderEdited", at=later(hours=hours), **fields)


def rows(story: Story) -> dict[str, str | None]:
    return sources(story.order) or {}


FIRST = edited(1, notes="ring", customer="cus-1")
SECOND = edited(2, shippingAddress={"address1": "2 Side St"}, customer="cus-2")
THIRD = edited(3, notes="ring twice")


@pytest.mark.parametrize("arrivals", any_order_of(created(), FIRST, SECOND, THIRD))
def test_of_two_edits_of_a_field_the_later_stands(arrivals):
    story = Story(*arrivals)
    assert story.order.customer == "cus-2"
    row = {name: f"row of {event.id}" for name, event in (("shippingAddress", SECOND), ("notes", THIRD))}
    assert rows(story) == {"customerSnapshot": None, **row}
    assert story.order.personal_id == Story(created(), FIRST, SECOND, THIRD).order.personal_id
    assert story.waiting == []


def test_what_is_overtaken_in_every_field_is_ignored_and_in_some_applied():
    story = Story(created(), SECOND)
    story.tell(early := edited(1, customer="cus-0"), half := edited(1, customer="cus-0", notes="ring"))
    assert story.outcome(early) == "ignored: overtaken"
    assert story.outcome(half) == "applied"
    assert story.order.customer == "cus-2"


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_edits_at_one_time_the_same_stands_in_either_order(turned):
    one, two = edited(1, customer="cus-1", source="a"), edited(1, customer="cus-2", source="b")
    assert Story(created(), *((two, one) if turned else (one, two))).order.customer == "cus-2"


def test_an_edit_counts_more_than_what_was_created_whatever_its_time():
    story = Story(created(customer="cus-0"), edited(-5, customer="cus-1"))
    assert story.order.customer == "cus-1"


def test_one_event_with_all_of_them_is_shown_by_its_own_row():
    whole = edited(1, customerSnapshot={"name": "J"}, shippingAddress={"phone": "1"}, notes="x")
    assert Story(created(), whole).order.personal_id == f"row of {whole.id}"


LATE = edited(5, shippingAddress={"address1": "2 Side St"})


@pytest.mark.parametrize("arrivals", any_order_of(created(), paid(), shipped(at=later(hours=4)), LATE))
def test_an_address_edited_after_a_parcel_left_is_recorded_and_flagged(arrivals):
    story = Story(*arrivals)
    assert FLAG in story.flags
    assert story.outcome(LATE) == "applied"


@pytest.mark.parametrize(
    "events",
    [
        (edited(3, shippingAddress={"phone": "1"}), shipped(at=later(hours=4))),
        (shipped(at=later(hours=4)), edited(5, notes="ring")),
        (shipped(at=later(hours=4)), LATE, lost(at=later(hours=6))),
        (canceled(), LATE),
    ],
    ids=["before it left", "another field", "it came to nothing", "canceled"],
)
def test_it_is_not_flagged_where_no_parcel_goes_to_another_address(events):
    assert FLAG not in Story(created(), paid(), *events).flags


def test_a_delivery_that_tells_of_no_shipment_counts_as_having_left():
    assert FLAG in Story(created(), paid(), delivered("box", {"mug": 2}, at=later(hours=1)), LATE).flags


def test_an_edit_waits_for_its_order():
    story = Story(FIRST)
    assert story.outcome(FIRST) == "parked: order_unknown"
    assert story.tell(created()).order.customer == "cus-1"


def test_an_order_that_nobody_edited_keeps_nothing_of_it():
    assert EDITS not in (Story(created(), paid()).order.facts or {})
