"""The date by which the law wants a refund back: business days of a country, or a plain period.

South Korea's Act on the Consumer Protection in Electronic Commerce wants it within three business days (article 18,
paragraph 2). Days are counted as its Civil Act has it: the first day does not count, and the last one counts to its end
(articles 157 and 159). Business days are those of the package `holidays`: neither weekend nor public holiday. Pure: whoever
makes a clock says in which time zone its days are, and whoever asks says what time it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, NewType
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from holidays import HolidayBase  # takes 0.1 s, and settings are read at every start

BusinessDays = NewType("BusinessDays", int)
MOST_DAYS = BusinessDays(250)  # about a year
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LegalClock:
    """The time that a shop has for a refund: `within` business days of `country` (ISO 3166), days of `zone`, or a plain period."""

    within: BusinessDays | timedelta
    country: str
    zone: ZoneInfo

    def due(self, since: datetime) -> datetime:
        """The time (UTC) by which a refund must have gone out that became due at `since`."""
        if isinstance(self.within, timedelta):
            return since + self.within
        first = since.astimezone(self.zone).date()
        last = calendar_of(self.country).get_nth_working_day(first, self.within) if self.within else first
        return _midnight(last + _DAY, self.zone)

    def overdue_before(self, now: datetime) -> datetime:
        """The time (UTC) of which holds: a refund is overdue at `now` if, and only if, it became due before."""
        if isinstance(self.within, timedelta):
            return now - self.within
        day = now.astimezone(self.zone).date()
        while self.due(_midnight(day, self.zone)) > now:
            day -= _DAY
        return _midnight(day + _DAY, self.zone)


@cache
def calendar_of(country: str) -> HolidayBase:
    """The holidays of a country by its ISO 3166 code; NotImplementedError where they are not known."""
    import holidays

    return holidays.country_holidays(country)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(0), zone).astimezone(UTC)
