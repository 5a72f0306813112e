"""Sources of chance. One maker of lives serves Hypothesis (which shrinks) and bulk runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Choices(ABC):
    """Every choice shrinks towards the plain case: the least number, the first option, no."""

    @abstractmethod
    def number(self, low: int, high: int) -> int:
        """A whole number, both ends included."""

    @abstractmethod
    def order_of(self, things: Iterable[T]) -> list[T]:
        """The same things in any order."""

    def chance(self, percent: int) -> bool:
        """Yes in so many of a hundred cases."""
        return self.number(0, 99) >= 100 - percent

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; the plainest stands first, a likely one stands there often."""
        return options[self.number(0, len(options) - 1)]

    def part(self, most: Mapping[str, int]) -> dict[str, int]:
        """Some of these quantities, never nothing; all of them is the plain case."""
        taken = {name: count - self.number(0, count) for name, count in most.items()}
        return {name: count for name, count in taken.items() if count} or dict(most)


class RandomChoices(Choices):
    """Chance from a seeded `random.Random`."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def order_of(self, things: Iterable[T]) -> list[T]:
        mixed = list(things)
        self._random.shuffle(mixed)
        return mixed


class DrawnChoices(Choices):
    """Chance from Hypothesis' `draw`."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def number(self, low: int, high: int) -> int:
        return int(self._draw(_whole(low, high)))

    def order_of(self, things: Iterable[T]) -> list[T]:
        plain = list(things)
        return [plain[place] for place in self._draw(_places(len(plain)))]


@lru_cache(maxsize=1000)
def _whole(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


@lru_cache(maxsize=1000)
def _places(count: int) -> st.SearchStrategy[list[int]]:
    return st.permutations(range(count))
