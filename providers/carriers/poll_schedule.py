"""Waits between two polls of a parcel. Arithmetic only; chance is passed in."""

from __future__ import annotations

from datetime import timedelta

BASE = timedelta(hours=1)
LONGEST = 24  # times the base: the slowest pace there is
ASKED_AT_MOST = timedelta(days=1)  # a carrier that asks for a longer pause is not believed
SPREAD = 0.2  # so that parcels that began together are not polled together for ever

# Statuses after which a parcel is no longer watched.
FINAL = frozenset({"delivered", "return_to_sender", "cancelled"})

# Times the base; 1 where nothing else is said.
FACTORS = {
    "out_for_delivery": 0.5,  # the next scan is hours away, and the one that everybody waits for
    "ready_for_pickup": 4,  # it waits for its receiver
    "on_hold": 4,
    "delivery_delayed": 2,
} | dict.fromkeys(FINAL, LONGEST)


def watch_ends(last_status: str | None) -> bool:
    """True where nothing more is to be expected of a parcel.

    >>> watch_ends("delivered"), watch_ends("delivery_failed"), watch_ends(None)
    (True, False, False)
    """
    return last_status in FINAL


def next_poll(
    attempt_failures: int,
    last_status: str | None,
    base: timedelta = BASE,
    *,
    retry_after: float | None = None,
    chance: float = 0.5,
) -> timedelta:
    """The wait until the next poll, after so many failures in a row and with this newest status.

    >>> print(next_poll(0, None), next_poll(0, "out_for_delivery"))
    1:00:00 0:30:00

    Each failure doubles it, up to a day (of the default base):

    >>> print(*[next_poll(failures, "in_transit") for failures in (1, 2, 4, 5, 10_000)], sep=", ")
    2:00:00, 4:00:00, 16:00:00, 1 day, 0:00:00, 1 day, 0:00:00

    The carrier's own `retry_after` (seconds) is kept where it is longer, within a day:

    >>> print(next_poll(0, None, timedelta(seconds=1), retry_after=30))
    0:00:30

    `chance`, drawn from 0…1 by the caller, spreads the polls by a fifth either way:

    >>> print(next_poll(0, None, chance=0), next_poll(0, None, chance=1))
    0:48:00 1:12:00
    """
    doublings = min(max(attempt_failures, 0), LONGEST.bit_length())
    times = min(FACTORS.get(last_status or "", 1) * (1 << doublings), LONGEST)
    wait = base * times * (1 + SPREAD * (2 * chance - 1))
    if retry_after is None:
        return wait
    return max(wait, min(timedelta(seconds=retry_after), ASKED_AT_MOST))
