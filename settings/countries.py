"""Countries by their ISO 3166 codes: the time zone that a country's days are in, and whether its holidays are known.

A country of several zones has the first of them in tz's `zone.tab`, as the package `tzdata` brings it.
"""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from domain.legal_clock import BusinessDays, LegalClock, calendar_of
from settings.time_zones import zones


def zone_of(country: str) -> ZoneInfo:
    """The first time zone of a country by its ISO 3166 code; KeyError where tz knows none."""
    return ZoneInfo(zones()[country][0])


def check_country(country: str) -> str | None:
    """The reason why business days of a country cannot be told, None where they can."""
    try:
        zone_of(country)
        calendar_of(country)
    except (KeyError, NotImplementedError):
        return "whose holidays are not known; use a code of ISO 3166 such as KR"
    return None


def legal_clock(within: BusinessDays | timedelta, country: str) -> LegalClock:
    """The clock of a country, its days in its first time zone. Errors: KeyError as of `zone_of`."""
    return LegalClock(within, country, zone_of(country))
