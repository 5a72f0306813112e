"""The date by which the law wants a refund back: business days of a country, or a plain period.

South Korea's Act on the Consumer Protection in Electronic Commerce wants it within three business days (article 18,
paragraph 2). Days are counted as its Civil Act has it: the first day does not count, and the last one counts to its end
(articles 157 and 159). Business days are those of the package `holidays`: neither weekend nor public holiday. A day is one
of the country's first time zone in tz's `zone.tab`. Pure: nothing is fetched, and whoever asks says what time it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NewType
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from holidays import HolidayBase  # takes 0.1 s, and settings are read at every start

BusinessDays = NewType("BusinessDays", int)
MOST_DAYS = BusinessDays(250)  # about a year
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LegalClock:
    """The time that a shop has for a refund: `within` business days of `country` (ISO 3166), or a plain period."""

    within: BusinessDays | timedelta
    country: str

    def due(self, since: datetime) -> datetime:
        """The time (UTC) by which a refund must have gone out that became due at `since`."""
        if isinstance(self.within, timedelta):
            return since + self.within
        zone = zone_of(self.country)
        first = since.astimezone(zone).date()
        last = _calendar(self.country).get_nth_working_day(first, self.within) if self.within else first
        return _midnight(last + _DAY, zone)

    def overdue_before(self, now: datetime) -> datetime:
        """The time (UTC) of which holds: a refund is overdue at `now` if, and only if, it became due before."""
        if isinstance(self.within, timedelta):
            return now - self.within
        zone = zone_of(self.country)
        day = now.astimezone(zone).date()
        while self.due(_midnight(day, zone)) > now:
            day -= _DAY
        return _midnight(day + _DAY, zone)


@cache
def zone_of(country: str) -> ZoneInfo:
    """The first time zone of a country by its ISO 3166 code; KeyError where tz knows none."""
    table = (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line.startswith(f"{country}\t"):
            return ZoneInfo(line.split("\t")[2])
    raise KeyError(country)


def check_country(country: str) -> str | None:
    """The reason why business days of a country cannot be told, None where they can."""
    try:
        zone_of(country)
        _calendar(country)
    except (KeyError, NotImplementedError):
        return "whose holidays are not known; use a code of ISO 3166 such as KR"
    return None


@cache
def _calendar(country: str) -> HolidayBase:
    import holidays

    return holidays.country_holidays(country)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(0), zone).astimezone(UTC)
