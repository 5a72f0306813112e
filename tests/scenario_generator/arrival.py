"""Any order of arrival, with duplicates; and how a failing one is made small enough to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from events.envelope import Envelope
from tests.scenario_generator.choices import Choices
from tests.scenario_generator.life import Life

WAYS = ("in order", "any", "any", "nearly in order", "backwards", "the order comes last")
NEAR = 6  # places that an event may come late by


def arrivals(life: Life, choices: Choices) -> list[Envelope]:
    """The life's events as they reach us: mixed up, some of them twice or thrice."""
    way = choices.pick(WAYS)
    again = [choices.pick(life.events) for _ in range(choices.pick((0, 1, 3, len(life.events))))]
    coming = [*life.events, *again]
    if way == "any":
        return choices.order_of(coming)
    if way == "nearly in order":
        place = {event.id: number for number, event in enumerate(life.events)}
        due = [place[event.id] + choices.number(0, NEAR) for event in coming]
        return [coming[number] for number in sorted(range(len(coming)), key=due.__getitem__)]
    if way == "backwards":
        return coming[::-1]
    if way == "the order comes last":
        return [*choices.order_of(coming[1:]), coming[0]]
    return coming


def smallest_failing(life: Life, coming: list[Envelope], fails: Callable[[list[Envelope]], bool]) -> list[Envelope]:
    """The same failure with fewer duplicates and less disorder, as far as one step at a time leads.

    No event is left out: without one of them it would be another life, with another end.
    """
    place = {event.id: number for number, event in enumerate(life.events)}
    once: dict[str, Envelope] = {}
    for event in coming:
        once.setdefault(event.id, event)
    if fails(list(once.values())):
        coming = list(once.values())
    going = True
    while going:
        going = False
        for here in range(len(coming) - 1):
            first, second = coming[here : here + 2]
            if place[first.id] > place[second.id]:
                calmer = [*coming[:here], second, first, *coming[here + 2 :]]
                if fails(calmer):
                    coming, going = calmer, True
    return coming


def describe(life: Life, coming: list[Envelope]) -> str:
    """One line per event: its place in the life, when it happened, and what it says."""
    place = {event.id: number for number, event in enumerate(life.events)}
    lines = [f"order {life.order}, returns={life.policy}; # is the place in the life's own order"]
    for event in coming:
        said = ", ".join(f"{name}={_short(value)}" for name, value in event.data.items())
        lines.append(
            f"  #{place[event.id]:<3} {event.time:%d %H:%M:%S}  {event.type:<24}"
            f"{'' if event.subject else '(no subject) '}{said}"
        )
    return "\n".join(lines)


def _short(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        shown = (f"{one['quantity']}×{one['item']}" + _price(one) for one in value)
        return "[" + ", ".join(shown) + "]"
    return str(value)


def _price(line: dict[str, Any]) -> str:
    return f"@{line['unitPrice']}" if "unitPrice" in line else ""
