"""Replacements: two parcels hold the same items, and only once both have brought them is it too many."""

from __future__ import annotations

import pytest

from tests.builders import Story, any_order_of, boxed, created, delivered, later, lost, paid, scan, shipped, tracked

ALL = {"mug": 2}
FIRST = shipped("first", ALL, **tracked())
AGAIN = boxed("again", ALL, replaces="first", at=later(hours=1))
GOES = shipped("again", at=later(hours=2))
BOTH = (created(), paid(), FIRST, AGAIN, GOES)


def test_a_replacement_of_what_is_still_out_is_not_too_many():
    story = Story(*BOTH)
    assert (story.status, story.flags, story.parcel("again").replaces) == ("shipped", [], "first")
    assert story.tell(delivered("again", at=later(hours=3))).status == "delivered"
    assert story.flags == []


@pytest.mark.parametrize(
    "arrivals", any_order_of(FIRST, AGAIN, delivered("again", at=later(hours=3)), scan("delivered", at=later(hours=4)))
)
def test_a_lost_parcel_that_turns_up_again_is_flagged_in_any_order_of_arrival(arrivals):
    story = Story(created(), paid(), *arrivals)
    assert (story.status, story.flags, story.item().delivered_quantity) == ("delivered", ["over_fulfilled"], 2)


def test_once_the_first_is_said_to_have_failed_the_other_is_all_there_is():
    story = Story(*BOTH, lost("first", at=later(hours=3)))
    assert (story.status, story.flags, story.plan) == ("shipped", [], {})


def test_with_the_replacement_lost_as_well_the_first_holds_its_items():
    story = Story(*BOTH, lost("again", at=later(hours=3)))
    assert (story.status, story.flags, story.plan) == ("shipped", [], {})


def test_more_than_it_replaces_is_too_many():
    two = boxed("another", ALL, replaces="first", at=later(hours=2))
    assert Story(*BOTH, two).flags == ["over_fulfilled"]
    assert Story(created(), paid(), FIRST, boxed("again", ALL)).flags == ["over_fulfilled"]
    assert Story(created(), paid(), FIRST, boxed("again", ALL, replaces="nobody")).flags == ["over_fulfilled"]
