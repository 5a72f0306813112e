"""Lines that need no shipping: delivered once paid, in no plan, in no cancel's way."""

from __future__ import annotations

import pytest

from tests.builders import (
    Story,
    any_order_of,
    asked_back,
    boxed,
    came_back,
    canceled,
    confirmed,
    created,
    delivered,
    items_canceled,
    later,
    line,
    paid,
    processing,
    rejected,
    shipped,
    won,
)


def digital(item: str = "code", quantity: int = 1, price: int = 5_000):
    return {**line(item, quantity, price), "requiresShipping": False}


ONLY = created(digital(quantity=2))
MIXED = created(line("mug"), digital())


def counts(story: Story, item: str = "code") -> tuple[int, int]:
    return story.item(item).shipped_quantity, story.item(item).delivered_quantity


@pytest.mark.parametrize("arrivals", any_order_of(ONLY, paid()))
def test_an_order_of_only_such_goes_from_paid_to_delivered(arrivals):
    story = Story(*arrivals)
    assert (story.status, counts(story), story.plan, story.flags) == ("delivered", (2, 2), {}, [])
    assert [timer.kind for timer in story.fold.timers][-1] == "confirm"
    assert story.tell(confirmed()).status == "confirmed"


def test_one_that_costs_nothing_is_delivered_when_it_is_placed():
    assert Story(created(digital(price=0), payments=())).status == "delivered"


def test_nothing_is_delivered_before_it_is_paid_in_full():
    story = Story(ONLY, paid(9_999))
    assert (story.status, counts(story)) == ("pending", (0, 0))
    assert counts(story.tell(paid(1, payment="rest"))) == (2, 2)


@pytest.mark.parametrize("arrivals", any_order_of(MIXED, paid(), shipped("box"), delivered("box", at=later(hours=1))))
def test_of_a_mixed_order_only_what_ships_is_in_parcels(arrivals):
    story = Story(*arrivals)
    assert (story.status, story.inside(), counts(story)) == ("delivered", {"mug": 1}, (1, 1))


def test_a_mixed_order_prepares_ships_and_arrives_with_its_parcels():
    story = Story(MIXED, paid())
    assert (story.status, story.plan, counts(story), counts(story, "mug")) == ("preparing", {"mug": 1}, (1, 1), (0, 0))
    assert story.tell(shipped()).status == "shipped"
    assert story.tell(delivered()).status == "delivered"


@pytest.mark.parametrize("order", [ONLY, MIXED], ids=["only such", "mixed"])
@pytest.mark.parametrize("turned", [False, True])
def test_what_was_delivered_so_stops_no_cancel(order, turned):
    told = (canceled(), paid()) if turned else (paid(), canceled())
    story = Story(order, *told)
    assert (story.status, counts(story), story.due, story.waiting) == ("canceled", (0, 0), {"pay": won(10_000)}, [])


@pytest.mark.parametrize("arrivals", any_order_of(ONLY, paid(), confirmed(), canceled()))
def test_a_confirmed_order_may_be_canceled_and_is_confirmed_no_more(arrivals):
    story = Story(*arrivals)
    assert (story.status, story.order.confirmed_at) == ("canceled", None)


def test_a_parcel_that_left_stops_the_cancel_of_a_mixed_order():
    story = Story(MIXED, paid(), shipped())
    story.tell(cancel := canceled())
    assert story.outcome(cancel) == "parked: parcel_out"


def test_some_of_a_line_is_canceled_though_it_was_delivered():
    story = Story(ONLY, paid(), items_canceled({"code": 1}))
    assert (story.status, counts(story), story.due) == ("delivered", (1, 1), {"pay": won(5_000)})


def test_with_all_that_ships_canceled_the_rest_is_delivered():
    cancel = items_canceled({"mug": 1})
    for told in ((paid(), cancel), (cancel, paid())):
        assert Story(MIXED, *told).status == "delivered"


def test_a_return_of_it_is_as_any_other_and_keeps_it_from_being_canceled():
    back = asked_back("ret", {"code": 2}, at=later(days=1))
    story = Story(ONLY, paid(), back)
    assert story.status == "return_processing"
    story.tell(whole := canceled(), part := items_canceled({"code": 1}))
    assert (story.outcome(whole), story.outcome(part)) == ("parked: parcel_out", "parked: items_out")
    assert story.tell(rejected()).status == "canceled"


def test_a_completed_return_of_it_returns_the_order():
    story = Story(ONLY, paid(), asked_back("ret", {"code": 2}), processing(), came_back())
    assert (story.status, story.due) == ("returned", {"pay": won(10_000)})


def test_the_time_to_return_it_counts_from_its_payment():
    story = Story(ONLY, paid(at=later(days=1)), asked_back("ret", {"code": 2}, at=later(days=32)))
    assert story.back().for_staff
    assert not Story(ONLY, paid(at=later(days=3)), asked_back("ret", {"code": 2}, at=later(days=32))).back().for_staff


def test_a_parcel_that_lists_it_shows_it_and_moves_nothing_of_it():
    story = Story(MIXED, paid(), boxed("box", {"mug": 1, "code": 1}))
    assert (story.inside(), counts(story), story.flags) == ({"mug": 1, "code": 1}, (1, 1), [])
    assert story.tell(shipped()).status == "shipped"
