"""Fulfillments: parcels reported in any order, carriers' scans, and the plan of what is left to send."""

from __future__ import annotations

import pytest

from events.envelope import Envelope
from tests.builders import (
    Story,
    any_order_of,
    boxed,
    canceled,
    created,
    delivered,
    later,
    line,
    lost,
    packed,
    paid,
    scan,
    shipped,
    tracked,
)

PAID = (created(), paid())
TWO = (created(line("mug", 2), line("cup")), paid(15_000))
PART = {"mug": 1}


# -- what names a parcel -----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [boxed(), shipped(), packed("box", PART), delivered("box", PART)])
def test_created_shipped_or_any_event_that_lists_items_names_a_parcel(first: Envelope):
    story = Story(*PAID, first)
    assert (story.outcome(first), story.inside("box") != {}) == ("applied", True)


@pytest.mark.parametrize("first", [packed(), delivered(), lost()])
def test_other_events_wait_for_the_one_that_names_it(first: Envelope):
    story = Story(*PAID, first)
    assert story.outcome(first) == "parked: fulfillment_unknown"
    story.tell(boxed())
    assert story.outcome(first) == "applied"


def test_a_warehouse_may_report_shipped_first():
    story = Story(*PAID, shipped(at=later(hours=1)))
    assert (story.status, story.parcel().shipped_at, story.inside()) == ("shipped", later(hours=1), {"mug": 2})


# -- its items ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrival", any_order_of(boxed("box", {"mug": 2}), packed("box", PART), shipped(), delivered()))
def test_a_parcel_holds_what_the_furthest_step_that_lists_any_lists(arrival: tuple[Envelope, ...]):
    story = Story(*PAID, *arrival)
    assert story.inside() == story.plan == PART


@pytest.mark.parametrize("arrival", any_order_of(boxed(), packed(), shipped(), delivered()))
def test_a_parcel_of_which_no_step_lists_items_holds_all_of_the_orders(arrival: tuple[Envelope, ...]):
    story = Story(*TWO, *arrival)
    assert (story.inside(), story.plan, story.status) == ({"mug": 2, "cup": 1}, {}, "delivered")


def test_of_two_lists_in_one_step_the_first_to_commit_stays():
    assert Story(*PAID, shipped("box", {"mug": 1}), shipped("box", {"mug": 2})).inside() == {"mug": 1}


def test_an_item_listed_twice_counts_together():
    twice = shipped()
    twice.data["items"] = [{"item": "mug", "quantity": 1}, {"item": "mug", "quantity": 1}]
    assert Story(*PAID, twice).inside() == {"mug": 2}


def test_an_item_is_named_by_our_id_too():
    story = Story(*PAID)
    ours = story.item().id
    story.tell(shipped("box", {f"itm_{ours.replace('-', '')}": 1}))
    assert story.inside() == PART


def test_more_than_was_ordered_is_flagged_and_not_refused():
    too_many = shipped("box", {"mug": 5})
    story = Story(*PAID, too_many)
    assert (story.outcome(too_many), story.flags, story.item().shipped_quantity) == ("applied", ["over_fulfilled"], 2)


# -- how far it is -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrival", any_order_of(boxed(), shipped(), lost(at=later(hours=1)), delivered(at=later(hours=2)))
)
def test_of_delivered_and_failed_the_later_stands(arrival: tuple[Envelope, ...]):
    story = Story(*PAID, *arrival)
    assert (story.parcel().status, story.status, story.plan) == ("delivered", "delivered", {})


@pytest.mark.parametrize("arrival", any_order_of(boxed(), lost(at=later(hours=2)), delivered(at=later(hours=1))))
def test_a_failure_after_the_delivery_takes_it_back(arrival: tuple[Envelope, ...]):
    story = Story(*PAID, *arrival)
    assert (story.parcel().status, story.status, story.plan) == ("failed", "preparing", {"mug": 2})
    assert story.parcel().delivered_at is None


@pytest.mark.parametrize("arrival", any_order_of(boxed(), shipped(), lost(), delivered()))
def test_of_both_at_one_time_the_delivery_stands(arrival: tuple[Envelope, ...]):
    story = Story(*PAID, *arrival)
    assert (story.parcel().status, story.status, story.plan) == ("delivered", "delivered", {})


@pytest.mark.parametrize("arrival", any_order_of(boxed(), packed(), shipped()))
def test_a_parcel_stands_at_the_furthest_step(arrival: tuple[Envelope, ...]):
    assert Story(*PAID, *arrival).parcel().status == "shipped"


def test_a_step_that_history_has_passed_is_overtaken():
    late = packed()
    assert Story(*PAID, boxed(), shipped(), late).outcome(late) == "ignored: overtaken"


@pytest.mark.parametrize("arrival", any_order_of(later(hours=1), later(hours=2)))
def test_a_step_told_twice_happened_at_the_earlier_time(arrival: tuple):
    story = Story(*PAID, *(shipped(at=at) for at in arrival), *(delivered(at=at) for at in arrival))
    assert story.parcel().shipped_at == story.parcel().delivered_at == later(hours=1)


def test_a_delivery_without_a_shipment_implies_it():
    arrived = delivered()
    story = Story(*PAID, boxed(), arrived)
    assert story.status == "delivered"
    assert story.settled(arrived)[-1].outcome.implied == "FulfillmentShipped"
    assert (story.item().shipped_quantity, story.parcel().shipped_at) == (2, None)


def test_the_items_of_a_failed_parcel_are_open_again_and_rejoin_the_plan():
    story = Story(*TWO, shipped("box", {"mug": 2}))
    assert story.plan == {"cup": 1}
    story.tell(lost())
    assert (story.plan, story.status, story.item().shipped_quantity) == ({"mug": 2, "cup": 1}, "preparing", 0)


# -- partial fulfillment and split shipments ---------------------------------------------------------


def test_a_split_shipment_is_preparing_until_the_last_item_has_left():
    story = Story(*TWO, shipped("one", {"mug": 1}))
    assert (story.status, story.item("mug").shipped_quantity) == ("preparing", 1)
    story.tell(delivered("one"), shipped("two", {"mug": 1}))
    mug = story.item("mug")
    assert (story.status, mug.shipped_quantity, mug.delivered_quantity) == ("preparing", 2, 1)
    assert story.tell(shipped("three", {"cup": 1})).status == "shipped"
    assert story.tell(delivered("two")).status == "shipped"
    assert story.tell(delivered("three")).status == "delivered"


def test_a_partial_fulfillment_leaves_the_rest_in_the_plan():
    story = Story(*TWO, boxed("box", {"mug": 1}))
    assert (story.inside(), story.plan) == ({"mug": 1}, {"mug": 1, "cup": 1})


# -- the plan ----------------------------------------------------------------------------------------


def test_a_paid_order_starts_a_plan_of_everything():
    story = Story(*TWO)
    assert (story.follow_ups, story.plan) == (["FulfillmentCreated"], {"mug": 2, "cup": 1})


def test_a_plan_left_empty_disappears():
    story = Story(*PAID, boxed())
    assert [one.reference for one in story.order.fulfillments] == ["box"]


def test_a_shop_may_drive_the_plan_by_its_name():
    story = Story(*PAID)
    plan = story.order.fulfillments[0]
    for step in (packed, shipped, delivered):
        story.tell(step(f"ful_{plan.id.replace('-', '')}"))
    assert (plan.status, plan.planned, story.status) == ("delivered", False, "delivered")
    assert len(story.order.fulfillments) == 1


def test_a_parcel_reported_before_the_payment_leaves_nothing_to_plan():
    early = shipped()
    story = Story(created(), early, paid())
    assert (story.outcome(early), story.plan, story.status) == ("applied", {}, "shipped")


# -- who carries it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrival",
    any_order_of(boxed(carrier="Hanjin", trackingNumber="A"), shipped(carrier="CJ", trackingNumber="B"), packed()),
)
def test_the_furthest_step_tells_who_carries_it_and_every_number_finds_it(arrival: tuple[Envelope, ...]):
    story = Story(*PAID, *arrival)
    assert (story.parcel().carrier, story.parcel().tracking_number) == ("CJ", "B")
    assert story.parcel().parcels == ["tracking:cj:B", "tracking:hanjin:A"]


@pytest.mark.parametrize(
    "arrival", any_order_of(shipped(trackingNumber="A", carrier="CJ"), shipped(trackingNumber="B", carrier="CJ"))
)
def test_of_two_numbers_in_one_step_the_same_one_is_shown_in_either_order(arrival: tuple[Envelope, ...]):
    assert Story(*PAID, *arrival).parcel().tracking_number == "B"


# -- scans -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", ["picked_up", "in_transit", "out_for_delivery", "ready_for_pickup", "delivery_failed"]
)
def test_movement_implies_shipped(status: str):
    moved = scan(status, at=later(hours=1))
    story = Story(*PAID, boxed(**tracked()), moved)
    assert (story.status, story.parcel().shipped_at) == ("shipped", later(hours=1))
    assert story.settled(moved)[-1].outcome.implied == "FulfillmentShipped"


def test_a_delivered_scan_without_a_shipped_one_moves_through_the_implied_steps():
    arrived = scan("delivered", at=later(hours=2))
    story = Story(*PAID, boxed(**tracked()), arrived)
    assert (story.status, story.parcel().delivered_at) == ("delivered", later(hours=2))
    assert story.settled(arrived)[-1].outcome.implied is not None


def test_return_to_sender_means_that_the_parcel_failed():
    story = Story(*PAID, shipped(**tracked()), scan("return_to_sender"))
    assert (story.parcel().status, story.status, story.plan) == ("failed", "preparing", {"mug": 2})


@pytest.mark.parametrize("status", ["pending", "delivery_delayed", "on_hold", "cancelled", "unknown"])
def test_other_scans_are_on_the_timeline_and_move_nothing(status: str):
    seen = scan(status)
    story = Story(*PAID, boxed(**tracked()), seen)
    assert (story.outcome(seen), story.parcel().status) == ("applied", "pending")


@pytest.mark.parametrize("status", ["in_transit", "delivered"])
def test_contradictory_scans_after_delivery_are_ignored(status: str):
    story = Story(*PAID, shipped(**tracked()), scan("delivered"))
    after = scan(status, at=later(days=1))
    story.tell(after)
    assert story.outcome(after) == "ignored: overtaken"
    assert (story.status, story.parcel().status, story.parcel().delivered_at) == ("delivered", "delivered", later())


def test_a_scan_waits_for_the_parcel_that_names_its_number_whatever_the_carriers_case():
    seen = scan("in_transit", carrier="cj  LOGISTICS")
    story = Story(*PAID, seen)
    assert story.outcome(seen) == "parked: parcel_unknown"
    story.tell(boxed(**tracked()))
    assert (story.outcome(seen), story.status) == ("applied", "shipped")


def test_one_scan_moves_all_parcels_of_one_number():
    story = Story(*TWO, boxed("one", {"mug": 2}, **tracked()), boxed("two", {"cup": 1}, **tracked()), scan("delivered"))
    assert story.status == "delivered"


def test_a_scan_tells_where_the_parcel_is_and_when_it_will_arrive():
    due = later(days=3)
    seen = scan(
        "in_transit", at=later(hours=2), detail="arrived_at_hub", description="At the hub", location="Seoul",
        estimatedDelivery=due.isoformat(),
    )  # fmt: skip
    for arrival in any_order_of(shipped(**tracked()), seen, scan("picked_up", at=later(hours=1))):
        parcel = Story(*PAID, *arrival).parcel()
        assert (parcel.tracking_status, parcel.tracking_detail) == ("in_transit", "arrived_at_hub")
        assert (parcel.last_scan_at, parcel.last_scan_description) == (later(hours=2), "At the hub")
        assert (parcel.last_scan_location, parcel.estimated_delivery) == ("Seoul", due)


# -- parcels of canceled orders ----------------------------------------------------------------------


def test_a_fulfillment_created_on_a_canceled_order_is_recorded_as_failed():
    late = boxed()
    story = Story(*PAID, canceled(), late)
    assert (story.outcome(late), story.parcel().status) == ("ignored: order_canceled", "failed")
    assert (story.status, story.flags) == ("canceled", [])


def test_a_parcel_of_an_unpaid_order_that_was_canceled_waits_for_no_money():
    late = boxed()
    assert Story(created(), late, canceled()).outcome(late) == "ignored: order_canceled"


@pytest.mark.parametrize("known", [(), (boxed(),)])
@pytest.mark.parametrize("step", [shipped, delivered])
def test_one_shipped_on_a_canceled_order_is_recorded_and_flagged(known: tuple, step):
    late = step("box", {"mug": 2})
    story = Story(*PAID, *known, canceled(), late)
    assert (story.outcome(late), story.flags) == ("ignored: shipped_after_cancel", ["shipped_after_cancel"])
    assert (story.status, story.parcel().status) == ("canceled", step().type.removeprefix("Fulfillment").lower())


def test_the_failure_of_a_parcel_that_left_after_the_cancel_takes_the_flag_away():
    story = Story(*PAID, canceled(), shipped(), lost())
    assert (story.flags, story.parcel().status) == ([], "failed")
