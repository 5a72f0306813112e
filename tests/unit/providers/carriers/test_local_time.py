"""The UTC time of local ones: by country, by state, around changes of the clock."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest

from providers.carriers import local_time
from providers.carriers.local_time import MAINLAND, STATES, utc_of


@pytest.mark.parametrize(
    ("local", "country", "state", "utc"),
    [
        ("2026-01-15T12:00:00", "KR", None, "2026-01-15T03:00:00"),
        ("2026-07-15T12:00:00", "DE", None, "2026-07-15T10:00:00"),
        ("2026-07-15T12:00:00", "us", "ca", "2026-07-15T19:00:00"),
        ("2026-07-15T12:00:00", "US", "AZ", "2026-07-15T19:00:00"),
        ("2026-01-15T12:00:00", "US", "AZ", "2026-01-15T19:00:00"),
        ("2026-01-15T12:00:00", "CA", "NL", "2026-01-15T15:30:00"),
        ("2026-01-15T12:00:00", "ES", None, "2026-01-15T11:00:00"),
        ("2026-03-08T02:30:00", "US", "NY", "2026-03-08T07:30:00"),  # the clock went from 2 to 3: as if it had not
        ("2026-11-01T01:30:00", "US", "NY", "2026-11-01T05:30:00"),  # twice that night: the first
        ("2026-01-15T12:00:00", "US", "XX", "2026-01-15T12:00:00"),  # nobody knows which: UTC
        ("2026-01-15T12:00:00", "RU", None, "2026-01-15T12:00:00"),
        ("2026-01-15T12:00:00", "??", None, "2026-01-15T12:00:00"),
        ("2026-01-15T12:00:00+09:00", "US", "NY", "2026-01-15T03:00:00"),
    ],
)
def test_a_local_time_is_read_by_its_place(local, country, state, utc):
    assert utc_of(datetime.fromisoformat(local), country, state) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


def test_every_zone_of_the_tables_is_one():
    assert {*STATES.values(), *MAINLAND.values()} <= available_timezones()
    assert all(ZoneInfo(zone) for zone in STATES.values())


def test_the_examples_in_the_documentation_hold():
    found = doctest.testmod(local_time)
    assert (found.failed, found.attempted > 0) == (0, True)
