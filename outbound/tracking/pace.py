"""Waits between two polls of a parcel. Arithmetic only; chance and times are passed in."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from providers.carriers.scans import FINAL

BASE = timedelta(hours=1)
LONGEST = 24  # times the base: the slowest pace there is
ASKED_AT_MOST = timedelta(days=1)  # a carrier that asks for a longer pause is not believed
SPREAD = 0.2  # so that parcels that began together are not polled together for ever

# Times the base; 1 where nothing else is said: it is on its way.
FACTORS = {
    None: 2,  # just shipped: the first scan is hours away
    "pending": 2,  # its label is made
    "out_for_delivery": 0.5,  # the next scan is hours away, and the one that everybody waits for
    "ready_for_pickup": 4,  # it waits for its receiver
    "on_hold": 4,
    "delivery_delayed": 2,
} | dict.fromkeys(FINAL, LONGEST)

# Nothing new for so long → at least so many times the base. What has been silent for days will not speak within the hour.
SILENT = ((timedelta(days=10), 16), (timedelta(days=5), 8), (timedelta(days=2), 4))

NIGHT = (time(22), time(6))  # of the carrier: nobody scans much
NIGHT_SLOWS = 4  # times the wait, at the most until its morning


def next_poll(
    attempt_failures: int,
    last_status: str | None,
    base: timedelta = BASE,
    *,
    silent: timedelta = timedelta(0),
    retry_after: float | None = None,
    chance: float = 0.5,
) -> timedelta:
    """The wait until the next poll: after so many failures in a row, with this newest status, told so long ago.

    >>> print(next_poll(0, None), next_poll(0, "in_transit"), next_poll(0, "out_for_delivery"))
    2:00:00 1:00:00 0:30:00

    Each failure doubles it, up to a day (of the default base):

    >>> print(*[next_poll(failures, "in_transit") for failures in (1, 2, 4, 5, 10_000)], sep=", ")
    2:00:00, 4:00:00, 16:00:00, 1 day, 0:00:00, 1 day, 0:00:00

    A parcel of which nothing new was told for days is asked for more and more slowly:

    >>> print(*[next_poll(0, "in_transit", silent=timedelta(days=days)) for days in (1, 3, 6, 20)], sep=", ")
    1:00:00, 4:00:00, 8:00:00, 16:00:00

    The carrier's own `retry_after` (seconds) is kept where it is longer, within a day:

    >>> print(next_poll(0, "in_transit", timedelta(seconds=1), retry_after=30))
    0:00:30

    `chance`, drawn from 0…1 by the caller, spreads the polls by a fifth either way:

    >>> print(next_poll(0, "in_transit", chance=0), next_poll(0, "in_transit", chance=1))
    0:48:00 1:12:00
    """
    doublings = min(max(attempt_failures, 0), LONGEST.bit_length())
    slowed = max(FACTORS.get(last_status, 1), next((times for since, times in SILENT if silent >= since), 0))
    times = min(slowed * (1 << doublings), LONGEST)
    wait = base * times * (1 + SPREAD * (2 * chance - 1))
    if retry_after is None:
        return wait
    return max(wait, min(timedelta(seconds=retry_after), ASKED_AT_MOST))


def after_the_night(now: datetime, wait: timedelta, zone: ZoneInfo | None, chance: float = 0.5) -> timedelta:
    """The wait, longer where it would end in the carrier's night (22 to 6 o'clock in `zone`; None: it has none).

    At the most until its morning; `chance` spreads that over one wait, so that not all parcels are asked for at six.

    >>> seoul = ZoneInfo("Asia/Seoul")
    >>> evening = datetime(2026, 11, 1, 21, 50, tzinfo=seoul)
    >>> quarter = timedelta(minutes=15)
    >>> print(after_the_night(evening, quarter, seoul), after_the_night(evening, quarter, None))
    1:00:00 0:15:00
    >>> print(after_the_night(datetime(2026, 11, 2, 5, 30, tzinfo=seoul), quarter, seoul))
    0:37:30
    >>> print(after_the_night(datetime(2026, 11, 2, 12, 0, tzinfo=seoul), quarter, seoul))
    0:15:00
    """
    if zone is None:
        return wait
    begins, ends = NIGHT
    local = (now + wait).astimezone(zone)
    if ends <= local.time() < begins:
        return wait
    day = local.date() + timedelta(days=1) if local.time() >= begins else local.date()
    morning = datetime.combine(day, ends, zone) - now.astimezone(zone)
    return max(wait, min(wait * NIGHT_SLOWS, morning + wait * chance))
