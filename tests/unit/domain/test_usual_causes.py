"""The usual cause of a step, as the order's table names it, is what causes it, over many lives."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random
from typing import Any

import pytest

from domain import fold, handler_table
from domain.order import LIFECYCLE, Order
from tests.builders import (
    Story,
    asked_back,
    boxed,
    came_back,
    confirmed,
    created,
    delivered,
    later,
    packed,
    paid,
    processing,
    scan,
    shipped,
    tracked,
)
from tests.fold_helpers import fold_events
from tests.scenario_generator import RandomChoices, a_life, arrivals

LIVES = 1000
RARE = 10  # times that a row is taken in 2,000 lives: too few to say what is usual
POLICIES = ("auto", "staff")  # who starts a return
Row = tuple[str, str, tuple[str, ...]]  # from, to, guards


@pytest.fixture
def causes(monkeypatch: pytest.MonkeyPatch) -> dict[Row, Counter[str]]:
    """row → the types of the events after which it was taken, as they are folded from here on."""
    found: dict[Row, Counter[str]] = defaultdict(Counter)
    applied, event_type = handler_table.apply, ""

    def apply(order: Order, event: Any, *rest: Any) -> Any:
        nonlocal event_type
        event_type = event.type
        return applied(order, event, *rest)

    def advance(table: dict[str, list[Any]], order: Order) -> None:
        while rows := [row for row in table[order.status] if row[2](order)]:
            _, to, guard = rows[0]
            guards = guard if isinstance(guard, tuple) else (guard,)
            found[order.status, to, tuple(each.__name__ for each in guards)][event_type] += 1
            order.status = to

    monkeypatch.setattr(fold, "apply", apply)
    monkeypatch.setattr(handler_table, "advance", advance)
    return found


def of_rows(found: dict[Row, Counter[str]]) -> list[Counter[str]]:
    """The causes of each row of the table, over all the statuses that it leads out of."""
    return [
        sum((found[source, to, tuple(guards)] for source in sources), Counter())
        for _, sources, to, *guards in LIFECYCLE
    ]


def test_a_row_names_what_usually_causes_it(causes):
    """In the order in which things happened; a row that is taken rarely, or only by late arrivals, names one of its causes."""
    random = Random(11)
    lives = [(a_life(random, policy), policy) for _ in range(LIVES) for policy in POLICIES]
    for life, policy in lives:
        fold_events(life.events, policy)
    usual = of_rows(causes)
    causes.clear()
    for life, policy in lives:
        fold_events(arrivals(life, RandomChoices(random)), policy)
    # A late list takes an item out of a parcel that is on its way back; then that arrives, after all of it came back.
    back = (created(), paid(), shipped(), delivered(), asked_back(), processing(), packed("box", {"mug": 1}))
    Story(*back, came_back(), delivered("second", {"mug": 1}), returns="staff")
    # A late first step lists less than the parcel that has arrived and is asked back was taken to hold.
    Story(created(), paid(), shipped(), delivered(), asked_back("ret", {"mug": 1}), boxed("box", {"mug": 1}))
    # The timer confirmed what had arrived, and a parcel too many arrives after that.
    Story(*back[:3], delivered(), confirmed(by="timer", at=later(days=7)), shipped("more", {"mug": 1}, **tracked()),
          scan("delivered", at=later(days=8)))  # fmt: skip
    wrong = []
    for (event, sources, to, *_), often, late in zip(LIFECYCLE, usual, of_rows(causes), strict=True):
        rare = often.total() < RARE
        right = event in often + late if rare else often.most_common(1)[0][0] == event
        if not right:
            wrong.append(f"{event} from {', '.join(sources)} to {to}: {often or late}")
    assert not wrong, "\n".join(wrong)
