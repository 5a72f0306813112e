"""The cost of an event follows from what it touches, not from how much its order has: twice as much costs twice as much.

Ratios of processor time in one run, the best of a few tries; with a loop over the whole order per event they
would be four.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from random import Random
from time import process_time

import pytest

from domain.fold import Fold
from domain.goods import Goods
from domain.parked import Cause, Parked
from domain.payments import Payments
from domain.policy import Context, Policy
from events.catalogue import Event
from events.envelope import Envelope
from tests.builders import (
    Story,
    an_order,
    asked_back,
    created,
    delivered,
    failed,
    lost,
    paid,
    refunded,
    rejected,
    shipped,
)
from tests.fold_helpers import NOW, an_event
from tests.large import large_life
from tests.scenario_generator import RandomChoices, a_life, arrivals

TRIES = 5
DOUBLE = 3  # what twice the work may cost at most


def folding(story: list[Envelope]) -> float:
    """Seconds of processor time to fold a story."""
    events = [an_event(envelope, number) for number, envelope in enumerate(story, 1)]
    made = Fold(an_order(), Context(NOW, Policy()))
    begun = process_time()
    for event in events:
        made.take(event)
    return process_time() - begun


def assert_linear(cost: Callable[[int], float], size: int) -> None:
    """Twice the size costs about twice as much, and twice that again."""
    found = []
    for _ in range(TRIES):
        one, two, four = (min(cost(size * factor) for _ in range(2)) for factor in (1, 2, 4))
        found.append((two / one, four / two))
        if max(found[-1]) < DOUBLE:
            return
    pytest.fail(f"doubling costs {found}")


def test_parcels_and_returns_of_many_lines_cost_by_their_lines():
    assert_linear(lambda size: folding(large_life(100, size, size)), 6)


def test_scans_cost_the_same_in_an_order_of_many_parcels():
    assert_linear(lambda size: folding(large_life(2, size, 0, scans=4)), 60)


def test_lines_cost_by_their_number():
    assert_linear(lambda size: folding(large_life(size, 6, 6)), 60)


def test_payments_that_fail_cost_the_same_however_many_there_were():
    def story(size: int) -> list[Envelope]:
        return [created(), *(failed(f"pay-{i}") for i in range(size))]

    assert_linear(lambda size: folding(story(size)), 400)


def test_captures_of_one_payment_cost_the_same_however_many_there_were():
    def story(size: int) -> list[Envelope]:
        return [created(), *(paid(10_000, at=NOW + timedelta(seconds=i)) for i in range(size))]

    assert_linear(lambda size: folding(story(size)), 400)


@pytest.mark.parametrize(
    "wait",
    [
        lambda i: delivered(f"box-{i}"),
        lambda i: lost(f"box-{i}"),
        lambda i: rejected(f"ret-{i}"),
    ],
    ids=["parcels unknown", "failures unknown", "returns unknown"],
)
def test_what_waits_costs_nothing_until_its_cause_comes(wait: Callable[[int], Envelope]):
    def story(size: int) -> list[Envelope]:
        waiting = [wait(i) for i in range(size)]
        return [created(), paid(), *waiting, *(refunded(i + 1) for i in range(size))]

    assert_linear(lambda size: folding(story(size)), 200)


def test_what_waits_for_the_order_is_tried_once_when_it_comes():
    def story(size: int) -> list[Envelope]:
        return [*(shipped(f"box-{i}", {"mug": 1}) for i in range(size)), created(), paid()]

    assert_linear(lambda size: folding(story(size)), 100)


# -- and comes to the same ---------------------------------------------------------------------------


class TriesAll(Parked):
    """Tries all that waits after each event, as if nothing were known of causes."""

    def wake(self, causes: Iterable[Cause], after: int) -> None:
        super().wake(list(self._files), after)


def told_in_random_order(seed: int) -> list[Envelope]:
    random = Random(seed)
    return arrivals(a_life(random), RandomChoices(random))


def events_of(story: list[Envelope]) -> list[Event]:
    seen: set[tuple[str, str]] = set()
    found = []
    for number, envelope in enumerate(story, 1):
        if (envelope.source, envelope.id) not in seen:
            seen.add((envelope.source, envelope.id))
            found.append(an_event(envelope, number))
    return found


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_who_is_woken_by_its_cause_is_settled_as_if_all_were_tried(first: int):
    for seed in range(first, first + 50):
        told_of = []
        for parked in (Parked(), TriesAll()):
            made = Fold(an_order(), Context(NOW, Policy()), parked)
            for event in events_of(told_in_random_order(seed)):
                made.take(event)
            settled = [(one.event.id, one.outcome, one.apply_number, one.version) for one in made.settled]
            told_of.append((settled, [event.id for event in made.waiting], made.order.status))
        assert told_of[0] == told_of[1], seed


GOODS = ("to_ship", "to_arrive", "to_return", "open", "over", "out", "sent", "arrived", "open_returns", "processing",
         "due_back")  # fmt: skip
LINES = ("taken", "sent", "arrived", "claimed", "came_back")
PAYMENTS = ("captured", "living", "reversed", "disputed")


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_what_is_kept_in_step_is_what_counting_anew_finds(first: int):
    for seed in range(first, first + 50):
        made = Fold(an_order(), Context(NOW, Policy()))
        order = made.order
        for event in events_of(told_in_random_order(seed)):
            made.take(event)
            goods, payments = order.goods(), order.payments()
            kept = [getattr(goods, name) for name in GOODS] + [getattr(payments, name) for name in PAYMENTS]
            lines = [[getattr(item, name) for name in LINES] for item in order.items]
            brought = [goods.brought(item) for item in order.items]
            for parcel in order.fulfillments:
                parcel.counted = 0
            for back in order.returns:
                back.counted, back.worth = 0, back.worth * 0
            for item in order.items:
                item.taken = item.sent = item.arrived = item.claimed = item.came_back = 0
                item.brought = None
            anew, sums = Goods(order), Payments(order)
            again = [getattr(anew, name) for name in GOODS] + [getattr(sums, name) for name in PAYMENTS]
            assert kept == again, (seed, event.type)
            assert lines == [[getattr(item, name) for name in LINES] for item in order.items], (seed, event.type)
            assert brought == [anew.brought(item) for item in order.items], (seed, event.type)
            assert (goods.plan, payments.ever_captured()) == (anew.plan, sums.ever_captured())


def test_a_request_that_waits_is_woken_by_the_line_that_it_lacks():
    """Nothing of the order's status tells of it: another return lets go of its items."""
    story = Story(created(), paid(), shipped(), delivered(), returns="staff")
    story.tell(asked_back("first", {"mug": 2}), late := asked_back("second", {"mug": 1}))
    assert story.outcome(late) == "parked: items_held"
    story.tell(rejected("first"))
    assert story.outcome(late) == "applied"
