"""Deliveries as a network would make them: late, early, twice. The same seed gives the same delivery.

For both, `disorder(duplicate(events, share, seed), seed)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TypeVar

T = TypeVar("T")


def disorder(events: Iterable[T], seed: int) -> list[T]:
    """The worst case: every event anywhere, a delivery before the order it belongs to."""
    arrivals = list(events)
    Random(seed).shuffle(arrivals)
    return arrivals


def duplicate(events: Iterable[T], share: float, seed: int) -> list[T]:
    """The events in their order, and for `round(share × n)` of them a second delivery anywhere."""
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; give a part of all events, from 0 to 1")
    random = Random(seed)
    once = list(events)
    again = random.sample(once, round(share * len(once)))
    total = len(once) + len(again)
    places = set(random.sample(range(total), len(again)))
    firsts, seconds = iter(once), iter(again)
    return [next(seconds if place in places else firsts) for place in range(total)]
