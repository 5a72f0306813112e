"""The UTC time of what a carrier tells in the local time of a place.

Many carriers write no offset. The time zone follows from the country, and where a country has several, from its state or
province: the zone in which most of that state's people live, so that a scan near a border may be an hour off. Countries
and their zones are those of the tz database (`zone.tab`). Where nothing tells the zone the time is read as UTC, which
is at most 14 hours off.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from settings.time_zones import zones

# Of countries with zones that differ, and no states here: where nearly all of their people live.
MAINLAND = {
    "CL": "America/Santiago", "CN": "Asia/Shanghai", "EC": "America/Guayaquil", "ES": "Europe/Madrid",
    "NZ": "Pacific/Auckland", "PT": "Europe/Lisbon", "UA": "Europe/Kyiv", "MY": "Asia/Kuala_Lumpur",
}  # fmt: skip
_STATES = {
    "US": {
        "America/New_York": "CT DC DE FL GA IN KY MA MD ME MI NC NH NJ NY OH PA RI SC VA VT WV",
        "America/Chicago": "AL AR IA IL KS LA MN MO MS ND NE OK SD TN TX WI",
        "America/Denver": "CO ID MT NM UT WY",
        "America/Phoenix": "AZ",
        "America/Los_Angeles": "CA NV OR WA",
        "America/Anchorage": "AK",
        "Pacific/Honolulu": "HI",
        "America/Puerto_Rico": "PR VI",
        "Pacific/Guam": "GU MP",
    },
    "CA": {
        "America/St_Johns": "NL NF",
        "America/Halifax": "NB NS PE",
        "America/Toronto": "NU ON PQ QC",
        "America/Winnipeg": "MB",
        "America/Regina": "SK",
        "America/Edmonton": "AB NT",
        "America/Vancouver": "BC",
        "America/Whitehorse": "YT",
    },
    "AU": {
        "Australia/Sydney": "ACT NSW",
        "Australia/Melbourne": "VIC",
        "Australia/Brisbane": "QLD",
        "Australia/Adelaide": "SA",
        "Australia/Darwin": "NT",
        "Australia/Perth": "WA",
        "Australia/Hobart": "TAS",
    },
}
STATES = {
    (country, state): zone for country, zones in _STATES.items() for zone, states in zones.items() for state in states.split()
}  # fmt: skip


def utc_of(local: datetime, country: str | None, state: str | None = None) -> datetime:
    """A local time in UTC; one with an offset by that offset. Country by ISO 3166 (`US`), state as its post writes it (`NY`).

    >>> str(utc_of(datetime(2021, 2, 10, 7, 13, 56), "US", "NJ")), str(utc_of(datetime(2021, 8, 17, 19, 11), "BE"))
    ('2021-02-10 12:13:56+00:00', '2021-08-17 17:11:00+00:00')
    >>> str(utc_of(datetime.fromisoformat("2024-04-24T15:30:57-05:00"), "US", "CA"))
    '2024-04-24 20:30:57+00:00'
    >>> str(utc_of(datetime(2021, 2, 10, 7), "US")), str(utc_of(datetime(2021, 2, 10, 7), None))
    ('2021-02-10 07:00:00+00:00', '2021-02-10 07:00:00+00:00')
    """
    if local.tzinfo is not None:
        return local.astimezone(UTC)
    code = (country or "").strip().upper()
    named = STATES.get((code, (state or "").strip().upper())) or MAINLAND.get(code)
    possible = (named,) if named else zones().get(code, ())
    told = {local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for zone in possible}
    return told.pop() if len(told) == 1 else local.replace(tzinfo=UTC)
