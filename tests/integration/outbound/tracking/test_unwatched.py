"""Parcels that were on their way before anybody was polled for them: looked for once per change of who is, then watched like all others."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path

import pytest

from outbound.tracking import unwatched
from outbound.tracking.unwatched import Walk
from providers.carriers.routes import Routes
from settings.environment import read
from storage.clock import clock
from tests.integration.api.commands.conftest import Shop
from tests.integration.outbound.tracking.parcel_world import DAY, OTHER, VAN, World
from workers.chores import chores
from workers.resources import parts
from workers.tasks import perform

NOBODY = Routes((), {}, {})
FOLLOWED = Routes((VAN,), {}, {})
_numbers = itertools.count(1)


@pytest.fixture
def world(database_url, redis_url):
    """A shop in which nobody is polled."""
    found = World(Shop(database_url, redis_url))
    yield found
    found.shop.close()


@pytest.fixture
def number():
    return f"U{next(_numbers)}"


def look(world: World, routes: Routes = FOLLOWED) -> int:
    """The chore of a process that has just begun, until it is done. → looks that found orders yet to be looked at"""
    walk, looks = a_walk(routes), 0
    while walk.look(world.shop.doors.engine, clock()):
        looks += 1
    return looks


def a_walk(routes: Routes, age: timedelta = -DAY, retire_after: timedelta | None = None) -> Walk:
    """That of a process of this age; one of a day in the future is younger than all that was noted."""
    return Walk(routes, retire_after, clock() - age)


def do_chore(world: World, **environment: str) -> None:
    """The chore of a worker with these settings."""
    here = world.shop.doors
    urls = {"DATABASE_URL": here.settings.database_url or "", "REDIS_URL": here.settings.redis_url or ""}
    settings = read({**urls, **environment}, Path("/nonexistent"))
    (chore,) = (each for each in chores(settings) if each.task == "orders.unwatched")
    with parts(settings, lambda shard: None) as worker:
        perform(worker, chore)


def test_a_parcel_that_left_before_its_carrier_was_configured_is_polled_and_delivered(world, number):
    order, other = world.order(), world.order()
    world.ship(order, number)
    world.ship(other, number, carrier=OTHER)
    do_chore(world)
    assert world.watched(number) == []
    do_chore(world, ORDERS_CARRIERS=f"{VAN}=http://van.test")
    assert world.watched(number) == [True], "its one tracker; nobody is polled for the other carrier's"
    world.scan(number, "delivered")
    assert (world.stands(order), world.stands(other)) == (("delivered", "delivered"), ("shipped", "shipped"))
    assert world.watched(number) == [False]
    look(world, Routes((VAN, OTHER), {}, {}))
    assert sorted(world.watched(number)) == [False, True], "what ended stays so"


def test_a_box_of_several_orders_has_one_tracker_and_a_returns_parcel_one_of_its_own(world, number):
    for _ in range(3):
        world.ship(world.order(), number)
    order = world.shop.delivered(customer="cus_1")
    named = {"order": order["id"], "reason": "other", "carrier": VAN, "trackingNumber": f"{number}-back"}
    back = world.shop.ok("POST", "/api/returns", named, world.shop.customer("cus_1"))["doc"]
    world.shop.work()
    look(world)
    assert (world.watched(number), world.watched(f"{number}-back")) == ([True], [True])
    world.scan(f"{number}-back", "delivered")
    assert world.shop.ok("GET", f"/api/returns/{back['id']}")["receivedAt"] is not None


def test_what_has_arrived_failed_is_history_or_has_no_pair_is_not_watched(world, number):
    arrived, failed, history, half = (world.order() for _ in range(4))
    for place, order in enumerate((arrived, failed, history)):
        world.ship(order, f"{number}-{place}")
    world.move(arrived, status="delivered")
    world.move(failed, status="failed")
    world.event("FulfillmentShipped", half, fulfillment="box", carrier=VAN)
    world.shop.do("update orders set held = true where order_number = :number", number=history["orderNumber"])
    look(world)
    assert world.shop.one("select count(*) from trackers") == 0


def test_a_parcel_that_arrived_long_before_it_was_asked_for_is_asked_for_once(world, number):
    """Its life began when it left: what lies 65 days back is its own delivery, and no stranger's."""
    order, now = world.order(), clock()
    world.ship(order, number, at=now - 70 * DAY)
    look(world)
    world.scan(number, "delivered", now - 65 * DAY)
    assert (world.stands(order), world.watched(number)) == (("delivered", "delivered"), [False])


def test_a_parcel_that_left_long_ago_and_says_nothing_new_is_not_retired_at_once(world, number):
    world.ship(world.order(), number, at=clock() - 70 * DAY)
    look(world)
    assert world.poll() == 1
    assert world.watched(number) == [True]


def test_orders_are_looked_at_page_by_page_and_once_per_change_of_routes(world, monkeypatch):
    """After the last page a look reads one row; carriers that are given up and come back are looked for again."""
    monkeypatch.setattr(unwatched, "MOST", 2)
    numbers = [f"U{next(_numbers)}" for _ in range(5)]
    orders = [world.order() for _ in numbers]
    for order, number in zip(orders, numbers, strict=True):
        world.ship(order, number)
    assert look(world) == 2
    assert [world.watched(number) for number in numbers] == [[True]] * 5
    world.shop.do("delete from trackers")
    assert look(world) == 0, "nothing changed, so that nothing is looked for"
    assert world.shop.one("select count(*) from trackers") == 0
    assert look(world, NOBODY) == 0, "nobody is looked for where nobody is polled"
    assert look(world) == 2
    assert [world.watched(number) for number in numbers] == [[True]] * 5


def test_a_parcel_that_was_silent_for_so_long_that_it_would_be_retired_is_left(world):
    old, new = f"U{next(_numbers)}", f"U{next(_numbers)}"
    world.ship(world.order(), old, at=clock() - 31 * DAY)
    world.ship(world.order(), new, at=clock() - 29 * DAY)
    a_walk(FOLLOWED, retire_after=30 * DAY).look(world.shop.doors.engine, clock())
    assert (world.watched(old), world.watched(new)) == ([], [True])


def test_routes_that_change_midway_are_gone_through_from_the_beginning(world, monkeypatch):
    monkeypatch.setattr(unwatched, "MOST", 1)
    first, second = f"U{next(_numbers)}", f"U{next(_numbers)}"
    world.ship(world.order(), first, carrier=OTHER)
    world.ship(world.order(), second)
    assert a_walk(FOLLOWED).look(world.shop.doors.engine, clock())
    look(world, Routes((VAN, OTHER), {}, {}))
    assert (world.watched(first), world.watched(second)) == ([True], [True])


def test_a_watched_parcel_goes_to_whoever_is_polled_once_the_service_that_was_is_not_any_more(world, number):
    by_service = {VAN: "easypost:OurVan"}
    order = world.order()
    world.ship(order, number)
    look(world, Routes((), {"easypost": None}, by_service))
    world.shop.do("update trackers set next_at = now() + interval '1 hour', failures = 7, last_error = 'no key'")
    where = "select provider, carrier_id, failures, last_error, next_at <= now() as due from trackers"
    look(world, Routes((OTHER,), {"easypost": None}, by_service))
    assert tuple(*world.shop.do(where)) == ("easypost", "OurVan", 7, "no key", False), "it is asked there still"
    look(world)
    assert tuple(*world.shop.do(where)) == (VAN, None, 0, None, True)
    world.scan(number, "delivered")
    look(world, Routes((), {"easypost": None}, by_service))
    assert tuple(*world.shop.do(where))[:2] == (VAN, None), "what ended stays where it was"
    assert (world.stands(order), world.watched(number)) == (("delivered", "delivered"), [False])


def test_of_processes_with_different_settings_those_count_that_began_last(world, monkeypatch):
    """They do not begin over one another in turn; and those of before a deployment change nothing of what it brought."""
    monkeypatch.setattr(unwatched, "MOST", 1)
    engine, numbers = world.shop.doors.engine, [f"U{next(_numbers)}" for _ in range(3)]
    for number in numbers:
        world.ship(world.order(), number)
    older, younger = a_walk(FOLLOWED, age=DAY), a_walk(Routes((VAN, OTHER), {}, {}))
    assert older.look(engine, clock())
    while younger.look(engine, clock()):
        assert not older.look(engine, clock())
    assert not older.look(engine, clock())
    assert world.shop.one("select finished and routes = :ours from watch_walk", ours=younger.routes.fingerprint())
    assert [world.watched(number) for number in numbers] == [[True]] * 3
    assert look(world) == 3, "the settings of before are back: who has them now began last"


def test_a_fingerprint_is_of_what_is_configured_and_of_nothing_else():
    same = [
        Routes((VAN, OTHER), {"karrio": ("ups", "fedex")}, {}),
        Routes((OTHER, VAN), {"karrio": ("fedex", "ups")}, {}),
    ]
    others = [NOBODY, FOLLOWED, Routes((), {"easypost": None}, {}), Routes((VAN,), {}, {"Van": VAN}), same[0]]
    assert len({each.fingerprint() for each in same}) == 1
    assert len({each.fingerprint() for each in others}) == len(others)
    assert [each.asks_nobody() for each in others] == [True, False, False, False, False]
