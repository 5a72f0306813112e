"""Limits of whoever is polled for parcels: questions per time, per month, and the clock that its people live by.

What a provider's documentation says stands beside it (`Provider.limits`); what an account's plan says, settings do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from settings.fields import Setting, Values, period, plain_name, quoted

T = TypeVar("T")

_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_RATE = re.compile(r"([0-9]{1,6})\s*/\s*([smhd])")
MOST_PER_MONTH = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` questions in any `period`, wherever that begins."""

    count: int
    period: timedelta

    def __str__(self) -> str:
        unit = next((unit for unit, period in _UNITS.items() if period == self.period), str(self.period))
        return f"{self.count}/{unit}"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one who is polled; None: none that we know of."""

    rate: Rate | None = None
    per_month: int | None = None  # questions, in a calendar month of UTC
    zone: str | None = None  # of its carriers: by night their parcels are asked for more slowly


def _rate(value: str) -> Rate:
    match = _RATE.fullmatch(value)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{quoted(value)} is no rate; write 10/s, 300/m, 1000/h or 5000/d")
    return Rate(int(match[1]), _UNITS[match[2]])


def _quota(value: str) -> int:
    if not re.fullmatch("[0-9]{1,10}", value) or int(value) > MOST_PER_MONTH:
        raise ValueError(f"{quoted(value)} is no number of questions from 0 to {MOST_PER_MONTH:,}")
    return int(value)


def _zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ValueError, OSError, LookupError):  # no such file, a folder, or a name that is none
        raise ValueError(f"{quoted(value)} is no time zone; write Asia/Seoul or Europe/Berlin") from None


def by_name(value_of: Callable[[str], T]) -> Callable[[str], dict[str, T]]:
    """A parser of NAME=VALUE, comma-separated; names in lower case, with single blanks."""

    def parse(value: str) -> dict[str, T]:
        found: dict[str, T] = {}
        for place, pair in enumerate(filter(None, map(str.strip, value.split(","))), 1):
            name, equals, told = map(str.strip, pair.partition("="))
            plain = plain_name(name)
            if not equals or not plain:
                raise ValueError(f"must be NAME=VALUE, comma-separated: entry {place} is not")
            if plain in found:
                raise ValueError(f"names {quoted(name)} twice; one value per name")
            try:
                found[plain] = value_of(told)
            except ValueError as error:
                raise ValueError(f"entry {place}: {error}") from None
        return found

    return parse


RATES = Setting(
    "ORDERS_TRACKING_RATES", "",
    "the most questions in any second, minute, hour or day that a carrier or service is asked, NAME=COUNT/UNIT comma-separated",
    by_name(_rate), example="easypost=10/s, simulated=1000/h",
    about=("Limits of polls, shared by all workers (docs/howto/follow-parcels.md).",),
)  # fmt: skip
QUOTAS = Setting(
    "ORDERS_TRACKING_QUOTAS", "", "the most questions per calendar month (UTC), NAME=COUNT comma-separated",
    by_name(_quota), example="easypost=50000",
)  # fmt: skip
ZONES = Setting(
    "ORDERS_TRACKING_ZONES", "", "where a carrier's nights are, in which parcels are asked for more slowly, NAME=ZONE comma-separated",
    by_name(_zone), example="easypost=America/New_York",
)  # fmt: skip
RETIRE_AFTER = Setting(
    "ORDERS_TRACKING_RETIRE_AFTER", "30d",
    "a parcel of which nothing new was told for so long is asked for no more; off: never", period(timedelta(hours=1)),
)  # fmt: skip
SETTINGS = (RATES, QUOTAS, ZONES, RETIRE_AFTER)


def limits_of(name: str, own: Limits | None, values: Values) -> Limits:
    """The limits of one who is polled: those of its documentation, but for what settings say."""
    found = own or Limits()
    rates, quotas, zones = values.get(RATES), values.get(QUOTAS), values.get(ZONES)
    return Limits(
        rate=(rates or {}).get(name, found.rate),
        per_month=(quotas or {}).get(name, found.per_month),
        zone=(zones or {}).get(name, found.zone),
    )


def names_in(values: Values) -> dict[str, str]:
    """Every name that these settings have, and the first setting that has it."""
    told: tuple[Setting[Any], ...] = (ZONES, QUOTAS, RATES)
    return {name: setting.name for setting in told for name in values.get(setting) or {}}
