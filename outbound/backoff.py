"""Waits between the attempts of what failed outside. Arithmetic only; chance is passed in.

Quick at first, since most failures last seconds; patient later: the attempts of one effect span four
hours, the length of a bad outage, before it ends in the dead letters.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

FIRST = timedelta(seconds=1)
TIMES = 3  # each wait is so many times the one before
LONGEST = timedelta(hours=1)
SPREAD = 0.5  # either way, so that what failed together is not tried again together
MAX_ATTEMPTS = 12


def wait(attempts: int, chance: float) -> timedelta:
    """The wait after so many attempts have failed; `chance`, from 0…1, spreads it by half either way.

    >>> print(*[wait(attempts, 0.5) for attempts in (1, 2, 3, 4, 8, 9, 10_000)])
    0:00:01 0:00:03 0:00:09 0:00:27 0:36:27 1:00:00 1:00:00

    >>> print(wait(3, 0), wait(3, 1))
    0:00:04.500000 0:00:13.500000

    >>> print(sum((wait(attempts, 0.5) for attempts in range(1, MAX_ATTEMPTS)), timedelta()))
    3:54:40
    """
    power = min(max(attempts, 1) - 1, 50)  # beyond, no float holds it
    seconds = min(FIRST.total_seconds() * TIMES**power, LONGEST.total_seconds())
    return timedelta(seconds=seconds * (1 + SPREAD * (2 * chance - 1)))


def gives_up(attempts: int) -> bool:
    """True where so many failed attempts are enough.

    >>> gives_up(11), gives_up(12)
    (False, True)
    """
    return attempts >= MAX_ATTEMPTS


def ticking(now: datetime) -> Callable[[], datetime]:
    """A clock that reads `now` here and goes on from it: leases and waits are counted by it."""
    began = monotonic()
    return lambda: now + timedelta(seconds=monotonic() - began)
