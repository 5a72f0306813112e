"""Facts of parcels: numbers that are replaced, shared and given out again, what goes back, and mistakes that are taken back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.parcel_facts import DELIVERED, FAILED, FIRST, MOVED, PACKED, SAID, weighed
from events.envelope import Envelope
from tests.builders import (
    Story,
    any_order_of,
    asked_back,
    boxed,
    confirmed,
    corrected,
    created,
    delivered,
    later,
    packed,
    paid,
    renumbered,
    scan,
    shipped,
    told,
    tracked,
)

PAID = (created(), paid())
PART = {"mug": 1}


# -- numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrival", any_order_of(shipped(**tracked()), shipped(carrier="UPS"), shipped(trackingNumber="half"))
)
def test_half_of_a_carrier_and_number_follows_nothing_beside_a_whole_one(arrival: tuple[Envelope, ...]):
    parcel = Story(*PAID, *arrival).parcel()
    assert (parcel.carrier, parcel.tracking_number) == (tracked()["carrier"], tracked()["trackingNumber"])
    assert len(parcel.parcels) == 1


def test_half_of_a_carrier_and_number_is_shown_and_follows_nothing():
    parcel = Story(*PAID, shipped(trackingNumber="1"), packed(carrier="CJ")).parcel()
    assert (parcel.carrier, parcel.tracking_number, parcel.parcels) == ("CJ", "1", [])


@pytest.mark.parametrize("status", ["delivered", "return_to_sender", "in_transit"])
def test_a_typo_moves_nothing_once_it_is_corrected_whether_the_stranger_is_scanned_before_between_or_after(status: str):
    typo = boxed(carrier="CJ", trackingNumber="typo")
    stranger = scan(status, "typo", carrier="CJ", at=later(hours=1))
    for arrival in any_order_of(typo, stranger, renumbered("right", carrier="CJ", at=later(hours=2))):
        story = Story(*PAID, *arrival)
        assert (story.status, story.parcel().status, story.flags) == ("preparing", "pending", [])
        assert (story.parcel().tracking_number, story.parcel().last_scan_at) == ("right", None)


def test_a_label_that_was_replaced_moves_nothing_any_more_when_it_goes_back():
    events = (shipped(carrier="CJ", trackingNumber="A"), renumbered("B", carrier="CJ", at=later(hours=1)),
              scan("return_to_sender", "A", carrier="CJ", at=later(hours=2)),
              scan("delivered", "B", carrier="CJ", at=later(hours=3)))  # fmt: skip
    for arrival in any_order_of(*events):
        story = Story(*PAID, *arrival)
        assert (story.status, story.parcel().status, story.flags) == ("delivered", "delivered", [])
    story = Story(*PAID, *events)
    assert story.outcome(events[2]) == "ignored: number_replaced"
    assert story.parcel().parcels == ["tracking:cj:A", "tracking:cj:B"]
    assert story.parcel().tracking_number == "B"


def test_a_carrier_that_is_corrected_follows_the_parcel_by_the_new_one():
    events = (boxed(carrier="UPS", trackingNumber="1"), renumbered("1", carrier="CJ", at=later(hours=1)),
              scan("delivered", "1", carrier="CJ", at=later(hours=2)))  # fmt: skip
    for arrival in any_order_of(*events):
        story = Story(*PAID, *arrival)
        assert (story.parcel().carrier, story.status) == ("CJ", "delivered")


def test_a_number_that_was_given_out_again_after_a_year_is_another_parcels():
    again = [scan("in_transit", at=later(days=400)), scan("delivered", at=later(days=402))]
    first = [scan("delivered", at=later(days=3))]
    story = Story(*PAID, shipped(**tracked()), *first, *again)
    assert [story.outcome(each) for each in again] == ["ignored: another_parcel"] * 2
    assert (story.parcel().delivered_at, story.parcel().last_scan_at) == (later(days=3), later(days=3))


@pytest.mark.parametrize(
    ("days", "outcome"),
    [(-2, "another_parcel"), (-0.5, "applied"), (2, "applied"), (179, "applied"), (181, "another_parcel")],
)
def test_a_numbers_life_begins_a_day_before_it_was_named_and_lasts_half_a_year(days: float, outcome: str):
    seen = scan("in_transit", at=later(days=days))
    story = Story(*PAID, boxed(**tracked()), seen)
    assert story.outcome(seen).removeprefix("ignored: ") == outcome


@pytest.mark.parametrize(("days", "outcome"), [(62, "overtaken"), (64, "another_parcel")])
def test_a_numbers_life_ends_sixty_days_after_it_was_delivered(days: float, outcome: str):
    after = scan("delivered", at=later(days=days))
    story = Story(*PAID, boxed(**tracked()), scan("delivered", at=later(days=3)), after)
    assert story.outcome(after) == f"ignored: {outcome}"


# -- what goes back, and what was a mistake ----------------------------------------------------------


def test_a_parcel_that_goes_back_to_its_sender_is_held_and_its_items_are_open_whenever_delivered_is_told():
    gone_back = scan("return_to_sender", at=later(days=2))
    for days in (1, 3):
        for arrival in any_order_of(shipped(**tracked()), gone_back, scan("delivered", at=later(days=days))):
            story = Story(*PAID, *arrival)
            assert (story.parcel().status, story.plan) == ("failed", {"mug": 2})
            assert story.flags == ["returned_to_sender"]


def test_a_parcel_that_was_delivered_and_goes_back_two_weeks_later_opens_its_items_again():
    events = (shipped(**tracked()), scan("delivered", at=later(days=3)), scan("return_to_sender", at=later(days=17)))
    for arrival in any_order_of(*events):
        story = Story(*PAID, *arrival)
        assert (story.status, story.parcel().delivered_at, story.plan) == ("preparing", None, {"mug": 2})
        assert story.flags == ["returned_to_sender"]


def test_the_hold_of_what_went_back_is_released_by_its_name():
    story = Story(*PAID, shipped(**tracked()), scan("return_to_sender", at=later(days=2)))
    story.tell(told("OrderReleased", hold="returned_to_sender", at=later(days=3)))
    assert story.flags == []


def test_delivered_by_mistake_taken_back_and_then_really_delivered():
    events = (shipped(), delivered(at=later(hours=1)), corrected("shipped", at=later(hours=2)),
              delivered(at=later(days=1)))  # fmt: skip
    for arrival in any_order_of(*events):
        story = Story(*PAID, *arrival)
        assert (story.status, story.parcel().shipped_at) == ("delivered", later())
        assert story.parcel().delivered_at == later(days=1)
    for arrival in any_order_of(*events[:3]):
        story = Story(*PAID, *arrival)
        assert (story.status, story.parcel().status, story.parcel().delivered_at) == ("shipped", "shipped", None)


@pytest.mark.parametrize("status", ["pending", "packed", "shipped", "delivered", "failed"])
def test_a_parcel_may_be_corrected_to_any_status(status: str):
    for arrival in any_order_of(shipped(), delivered(at=later(hours=1)), corrected(status, at=later(hours=2))):
        assert Story(*PAID, *arrival).parcel().status == status


def test_of_two_corrections_the_later_stands():
    for arrival in any_order_of(
        shipped(), corrected("delivered", at=later(hours=1)), corrected("packed", at=later(hours=2))
    ):
        assert Story(*PAID, *arrival).parcel().status == "packed"


def test_what_was_ever_delivered_may_be_asked_back_and_confirmed_and_is_flagged():
    events = (shipped(), delivered(at=later(hours=1)), corrected("shipped", at=later(hours=2)))
    for arrival in any_order_of(*events, asked_back(at=later(hours=3)), confirmed(at=later(hours=3))):
        story = Story(*PAID, *arrival)
        assert (story.status, story.back().status, story.flags) == (
            "shipped",
            "processing",
            ["return_without_delivery"],
        )
        assert story.order.confirmed_at == later(hours=3)


def test_packed_twice_delivered_before_shipped_and_both_at_one_time():
    for arrival in any_order_of(packed("box", PART), packed("box", PART, at=later(hours=1)), delivered(), shipped()):
        story = Story(*PAID, *arrival)
        assert story.parcel().status == "delivered"
        assert story.parcel().shipped_at == story.parcel().delivered_at == later()
    for arrival in any_order_of(shipped(at=later(hours=2)), delivered(at=later(hours=1))):
        parcel = Story(*PAID, *arrival).parcel()
        assert (parcel.status, parcel.shipped_at, parcel.delivered_at) == ("delivered", later(hours=2), later(hours=1))


_TIMES = st.lists(st.integers(0, 300 * 86_400_000_000), min_size=1, max_size=4, unique=True).map(sorted)


@given(
    said=st.dictionaries(st.sampled_from((PACKED, MOVED, DELIVERED)), _TIMES),
    number=st.none() | st.dictionaries(st.sampled_from((MOVED, DELIVERED)), _TIMES),
    first=st.integers(0, 300 * 86_400_000_000),
)
def test_what_nothing_denies_weighs_the_same_by_the_short_way_and_by_the_long_one(said, number, first):
    told = None if number is None else {**number, FIRST: first}
    assert weighed({SAID: said}, told) == weighed({SAID: {**said, FAILED: []}}, told)
