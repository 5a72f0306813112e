"""Work for many at once, that is done for each alone where one of them is at fault: nobody waits for its sake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from journal.batch import is_of_the_moment

T = TypeVar("T")


def together_or_apart(
    work: Callable[[Sequence[T]], int], items: Sequence[T], refuse: Callable[[T, Exception], object]
) -> int:
    """Do `work`, a transaction of its own, for all items, or else for each: the sum of what it answers.

    `refuse` learns of an item that `work` fails on by itself, and how.
    Errors: those of the moment (`journal.batch.is_of_the_moment`); what was done before stays.
    """
    try:
        return work(items)
    except Exception as error:
        if is_of_the_moment(error):
            raise
        if len(items) == 1:
            refuse(items[0], error)
            return 0
    return sum(together_or_apart(work, [each], refuse) for each in items)
