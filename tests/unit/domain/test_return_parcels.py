"""A return's own parcel: who brings it back, what is scanned of it, and when it was received."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import Story, any_order_of, asked_back, created, delivered, later, paid, rejected, scan, told

START = (created(), paid(), delivered("box", {"mug": 2}))
ASKED = asked_back("ret", at=later(hours=1), carrier="Returns Express", trackingNumber="R-1")


def seen(status: str, hours: float, number: str = "R-1"):
    return scan(status, number, carrier="Returns Express", at=later(hours=hours))


def changed(hours: float, number: str, **data: Any):
    told_of: Any = {"return": "ret", **data}
    return told(
        "ReturnTrackingChanged", at=later(hours=hours), carrier="Returns Express", trackingNumber=number, **told_of
    )


@pytest.mark.parametrize("arrivals", any_order_of(ASKED, seen("in_transit", 5), seen("delivered", 9)))
def test_a_return_is_received_when_its_parcel_is_delivered(arrivals):
    back = Story(*START, *arrivals).back()
    assert (back.tracking_status, back.received_at, back.status) == ("delivered", later(hours=9), "processing")


def test_the_earliest_word_of_its_receipt_stands():
    named: Any = {"return": "ret"}
    told_so = told("ReturnReceived", at=later(hours=8), **named)
    assert Story(*START, ASKED, seen("delivered", 9), told_so).back().received_at == later(hours=8)


@pytest.mark.parametrize(
    "arrivals", any_order_of(ASKED, seen("delivered", 9), changed(2, "R-2"), seen("in_transit", 5, "R-2"))
)
def test_another_number_stands_from_its_time_on_and_the_first_one_moves_nothing(arrivals):
    story = Story(*START, *arrivals)
    back = story.back()
    assert (back.tracking_number, back.tracking_status, back.received_at) == ("R-2", "in_transit", None)
    assert story.waiting == []


def test_a_scan_long_after_it_is_another_parcels():
    story = Story(*START, ASKED, late := seen("delivered", 24 * 300))
    assert (story.outcome(late), story.back().received_at) == ("ignored: another_parcel", None)


def test_what_is_scanned_of_it_moves_no_parcel_of_the_order():
    story = Story(*START, ASKED, seen("return_to_sender", 5))
    assert (story.parcel().status, story.flags, story.back().tracking_status) == ("delivered", [], "return_to_sender")


def test_half_of_a_carrier_and_number_is_shown_and_follows_nothing():
    story = Story(*START, asked_back("ret", trackingNumber="R-1"), one := seen("delivered", 9))
    assert (story.back().tracking_number, story.outcome(one)) == ("R-1", "parked: parcel_unknown")


def test_a_withdrawn_return_whose_parcel_arrives_is_flagged():
    story = Story(*START, ASKED, rejected(by="customer", at=later(hours=2)), seen("delivered", 9))
    assert (story.back().status, story.flags) == ("rejected", ["withdrawn_return_received"])
