"""Lives of parcels as they really are, through the API, webhooks and polls: each ends the same, whoever told its scans and however often."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest

from storage.clock import clock
from tests.integration.outbound.tracking.parcel_world import DAY, HOUR, OTHER, VAN, WAYS, a_world

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def the_world(module_database_url, module_redis_url):
    found = a_world(module_database_url, module_redis_url)
    yield found
    found.shop.close()


@pytest.fixture(params=WAYS)
def world(the_world, request):
    the_world.way = request.param
    return the_world


@pytest.fixture
def number():
    return f"P{next(_numbers)}"


# -- one box, several orders -----------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [1, 2, 3])
def test_three_orders_in_one_box_have_its_scans_whoever_names_it_late(world, number, early):
    """`early` of them name the number before the first scan; the last one after the box has arrived, unless all did."""
    orders = [world.order() for _ in range(3)]
    for order in orders[:early]:
        world.ship(order, number)
    first = world.scan(number, "in_transit")
    for order in orders[early:2]:
        world.ship(order, number)
    arrived = world.scan(number, "delivered", first + timedelta(seconds=1))
    for order in orders[max(early, 2) :]:
        world.ship(order, number)
    assert [world.stands(order) for order in orders] == [("delivered", "delivered")] * 3
    assert {world.parcel(order)["deliveredAt"] for order in orders} == {arrived}
    told = "select count(*) from journal where type = 'TrackingUpdated' and data ->> 'trackingNumber' = :number"
    assert world.shop.one(told, number=number) == 2 * len(orders), "each scan once for each order"


def test_a_box_that_three_orders_share_is_asked_for_once(the_world, number):
    for _ in range(3):
        the_world.ship(the_world.order(), number)
    assert the_world.watched(number) == [True]
    assert the_world.shop.one("select count(*) from trackers where tracking_number = :number", number=number) == 1


def test_a_scan_that_a_poll_and_a_webhook_tell_in_other_words_is_one_event(world, number):
    world.ship(world.order(), number)
    world.scan(number, "in_transit")
    events = (
        "select source, subject from journal where type = 'TrackingUpdated' and data ->> 'trackingNumber' = :number"
    )
    assert world.shop.do(events, number=number) == [(f"carrier:{VAN}", None)]


# -- numbers ---------------------------------------------------------------------------------------------------


def test_a_number_given_out_again_after_a_year_is_followed_for_the_new_order_alone(world, number):
    before, now = world.order(), clock()
    world.ship(before, number, at=now - 400 * DAY)
    world.scan(number, "delivered", now - 397 * DAY)
    if "poll" in world.way:  # it was watched, and its watch ended, a year ago
        year_ago = "update trackers set created_at = created_at - interval '400 days' where tracking_number = :number"
        world.shop.do(year_ago, number=number)
        world.poll()
        assert world.watched(number) == [False]
    again = world.order()
    world.ship(again, number)
    assert world.watched(number) == [True]
    world.scan(number, "in_transit")
    assert (world.stands(before), world.stands(again)) == (("delivered", "delivered"), ("shipped", "shipped"))
    assert world.watched(number) == [True], "the delivery of a year ago ends no watch"
    world.scan(number, "delivered", clock() + HOUR)
    assert world.stands(again) == ("delivered", "delivered")
    assert world.parcel(before)["deliveredAt"] == (now - 397 * DAY).replace(microsecond=0)


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_a_typo_is_corrected_before_between_and_after_the_strangers_scans(world, number, when):
    order, typo, now = world.order(), f"{number}-typo", clock()
    world.ship(order, typo, at=now - 3 * HOUR)
    strangers = [("in_transit", now - 2 * HOUR), ("delivered", now - HOUR)]
    corrected_at = {"before": 0, "between": 1, "after": 2}[when]
    for place in range(3):
        if place == corrected_at:
            found = world.move(order, trackingNumber=number)
            assert (found["carrier"], found["trackingNumber"], found["trackingStatus"]) == (VAN, number, None)
        if place < 2:
            world.scan(typo, *strangers[place])
    assert world.stands(order) == ("shipped", "shipped"), "of the stranger's scans nothing stands"
    assert (world.shop.order(order)["flags"], world.watched(number)) == ([], [True])
    world.scan(number, "delivered")
    assert world.stands(order) == ("delivered", "delivered")


def test_a_label_that_was_replaced_moves_nothing_when_it_comes_back(world, number):
    order = world.order()
    world.ship(order, f"{number}-A")
    world.scan(f"{number}-A", "in_transit")
    world.move(order, carrier=VAN, trackingNumber=number)
    world.scan(f"{number}-A", "return_to_sender", clock() + HOUR)
    assert (world.stands(order), world.shop.order(order)["flags"]) == (("shipped", "shipped"), [])
    world.scan(number, "delivered", clock() + 2 * HOUR)
    assert world.stands(order) == ("delivered", "delivered")


def test_a_carrier_that_is_corrected_is_asked_from_then_on(world, number):
    order = world.order()
    world.ship(order, number, OTHER)
    world.scan(number, "delivered", carrier=OTHER)
    assert world.stands(order) == ("delivered", "delivered"), "a stranger of that number"
    assert world.move(order, carrier=VAN)["status"] == "shipped"
    world.scan(number, "delivered", clock() + HOUR)
    assert (world.stands(order), world.parcel(order)["carrier"]) == (("delivered", "delivered"), VAN)


# -- what goes back, and what was a mistake --------------------------------------------------------------------


def test_returned_to_sender_and_then_delivered_is_back_with_us(world, number):
    order = world.order()
    world.ship(order, number)
    world.scan(number, "return_to_sender")
    world.scan(number, "delivered", clock() + HOUR)
    assert world.stands(order) == ("preparing", "failed")
    assert world.shop.order(order)["flags"] == ["returned_to_sender"]


def test_delivered_and_returned_two_weeks_later_opens_its_items_again(world, number):
    order, now = world.order(), clock()
    world.ship(order, number, at=now - 20 * DAY)
    if world.way == "poll":  # polls end with the delivery: both are told by one answer
        world.told[VAN, number].append(("delivered", (now - 15 * DAY).replace(microsecond=0)))
    else:
        world.scan(number, "delivered", now - 15 * DAY)
        assert world.stands(order) == ("delivered", "delivered")
    world.scan(number, "return_to_sender", now - DAY)
    assert (world.stands(order), world.parcel(order)["deliveredAt"]) == (("preparing", "failed"), None)
    assert world.shop.order(order)["flags"] == ["returned_to_sender"]


def test_delivered_clicked_by_mistake_taken_back_and_then_really_delivered(world, number):
    order = world.order()
    world.ship(order, number)
    assert world.move(order, status="delivered")["status"] == "delivered"
    assert world.correct(order, "shipped")["status"] == "shipped"
    world.scan(number, "out_for_delivery")
    assert world.stands(order) == ("shipped", "shipped")
    world.scan(number, "delivered", clock() + HOUR)
    assert world.stands(order) == ("delivered", "delivered")


def test_a_delivery_that_the_carrier_told_and_a_person_took_back_is_followed_until_it_really_arrives(world, number):
    """Its carrier goes on telling the delivery that was none: that ends no watch any more."""
    order = world.order()
    world.ship(order, number, at=clock() - 2 * HOUR)
    wrong = world.scan(number, "delivered", clock() - HOUR)
    assert world.stands(order) == ("delivered", "delivered")
    assert world.correct(order, "shipped")["status"] == "shipped"
    assert world.watched(number) == [True]
    for _ in range(2):
        assert world.poll() >= 1
        assert (world.watched(number), world.stands(order)) == ([True], ("shipped", "shipped"))
    arrived = world.scan(number, "delivered", clock() + HOUR)
    assert (world.stands(order), world.parcel(order)["deliveredAt"]) == (("delivered", "delivered"), arrived)
    assert wrong < arrived
    world.poll()
    assert world.watched(number) == [False]


# -- steps and times that do not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        (("Packed", 0), ("Packed", 1), ("Shipped", 2), ("Delivered", 3)),
        (("Delivered", 3), ("Shipped", 2)),
        (("Delivered", 2), ("Shipped", 3)),
        (("Shipped", 2), ("Delivered", 2)),
        (("Delivered", 2), ("Shipped", 2)),
    ],
)
def test_packed_twice_delivered_before_shipped_and_both_at_one_time(the_world, steps):
    order, begun = the_world.order(), clock() - DAY
    (line,) = order["products"]["docs"]
    for name, hours in steps:
        items = [{"item": line["id"], "quantity": 2}]
        the_world.event(f"Fulfillment{name}", order, begun + hours * HOUR, fulfillment="box", items=items)
    times = {name: begun + hours * HOUR for name, hours in reversed(steps)}
    parcel = the_world.parcel(order)
    assert the_world.stands(order) == ("delivered", "delivered")
    assert (parcel["shippedAt"], parcel["deliveredAt"]) == (times["Shipped"], times["Delivered"])


@pytest.mark.parametrize(
    ("ahead", "status", "goes_on"),
    [
        (timedelta(hours=20), "delivered", False),  # a day ahead is taken
        (timedelta(hours=48), "shipped", False),  # it waits until its time is near
        (timedelta(days=3 * 365), "shipped", True),  # it is dead, and so no end of the watch
    ],
)
def test_a_delivery_that_is_told_a_day_or_years_ahead(world, number, ahead, status, goes_on):
    order = world.order()
    world.ship(order, number)
    world.scan(number, "delivered", clock() + ahead)
    assert world.stands(order) == (status, status)
    assert world.watched(number) == [goes_on or "poll" not in world.way]


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2026-11-20T12:30:00", "2026-11-20T12:30:00+00:00"),
        ("2026-11-20T12:30:00+09:00", "2026-11-20T03:30:00+00:00"),
        ("2026-03-08T02:30:00", "2026-03-08T02:30:00+00:00"),
        ("2026-03-08T02:30:00-05:00", "2026-03-08T07:30:00+00:00"),
    ],
    ids=["without an offset", "with one", "in New York's gap without an offset", "in that gap with one"],
)
def test_a_scan_without_an_offset_is_read_as_utc_and_none_is_lost_in_a_gap(the_world, number, written, utc):
    order, time = the_world.order(), datetime.fromisoformat(utc)
    the_world.ship(order, number, at=time - HOUR)
    the_world.push(number, "delivered", written)
    assert (the_world.stands(order), the_world.parcel(order)["deliveredAt"]) == (("delivered", "delivered"), time)


def test_a_replacement_for_a_lost_parcel_that_turns_up_again(world, number):
    order = world.order()
    world.ship(order, number)
    lost = world.parcel(order)
    again = world.shop.ok("POST", "/api/fulfillments", {"order": order["id"], "replaces": lost["id"]})["doc"]
    for status in ("shipped", "delivered"):
        world.shop.ok("PATCH", f"/api/fulfillments/{again['id']}", {"status": status})
    assert (world.shop.status(order), world.shop.order(order)["flags"]) == ("delivered", [])
    world.scan(number, "delivered")
    assert (world.shop.status(order), world.shop.order(order)["flags"]) == ("delivered", ["over_fulfilled"])


def test_a_returns_parcel_is_followed_to_the_warehouse(world, number):
    order = world.shop.delivered(customer="cus_1")
    named = {"order": order["id"], "reason": "other", "carrier": VAN, "trackingNumber": number}
    back = world.shop.ok("POST", "/api/returns", named, world.shop.customer("cus_1"))["doc"]
    world.shop.work()
    assert world.watched(number) == [True]
    world.scan(number, "in_transit")
    arrived = world.scan(number, "delivered", clock() + HOUR)
    found = world.shop.ok("GET", f"/api/returns/{back['id']}")
    assert (found["trackingStatus"], datetime.fromisoformat(found["receivedAt"])) == ("delivered", arrived)
    assert world.parcel(order)["status"] == "delivered"


def test_of_a_mixed_order_only_what_ships_is_in_the_box_that_is_followed(world, number):
    mug = {"product": "mug", "quantity": 1, "unitPrice": 5000}
    order = world.order(mug, {"product": "ebook", "quantity": 1, "unitPrice": 3000, "requiresShipping": False})
    world.ship(order, number)
    world.scan(number, "in_transit")
    assert world.stands(order) == ("shipped", "shipped")
    world.scan(number, "delivered", clock() + HOUR)
    assert world.stands(order) == ("delivered", "delivered")


def test_an_address_is_edited_before_shipping_and_refused_once_a_scan_says_that_it_left(world, number):
    order = world.order()
    world.event("FulfillmentCreated", order, fulfillment="box", carrier=VAN, trackingNumber=number)
    edit = {"shippingAddress": {"recipientName": "Jane", "address1": "9 Side St", "postalCode": "06124"}}
    world.shop.ok("PATCH", f"/api/orders/{order['id']}", edit)
    world.scan(number, "in_transit")
    again = {"shippingAddress": {**edit["shippingAddress"], "address1": "10 Side St"}}
    world.shop.refused(409, "PATCH", f"/api/orders/{order['id']}", again)
