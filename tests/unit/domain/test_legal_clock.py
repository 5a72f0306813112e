"""The date by which a refund is due: business days by the calendar, and what is overdue by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.legal_clock import BusinessDays
from settings.countries import legal_clock, zone_of

KOREA = legal_clock(BusinessDays(3), "KR")
YEARS = (datetime(2024, 1, 1), datetime(2028, 1, 1))  # noqa: DTZ001 -- Hypothesis adds the zone
CLOCKS = [
    KOREA,
    legal_clock(BusinessDays(0), "KR"),
    legal_clock(BusinessDays(14), "US"),
    legal_clock(timedelta(days=14), "DE"),
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("since", "due"),
    [
        ("2026-11-02T10:00+09:00", "2026-11-06T00:00+09:00"),  # Monday: Tuesday, Wednesday, Thursday to its end
        ("2026-11-02T23:59+09:00", "2026-11-06T00:00+09:00"),  # the first day does not count, however late
        ("2026-11-02T15:30+00:00", "2026-11-07T00:00+09:00"),  # in Korea it is Tuesday already
        ("2026-11-06T10:00+09:00", "2026-11-12T00:00+09:00"),  # over a weekend
        ("2026-11-07T10:00+09:00", "2026-11-12T00:00+09:00"),  # on a Saturday
        ("2026-09-23T10:00+09:00", "2026-10-01T00:00+09:00"),  # over Chuseok, Thursday to Saturday, and a Sunday
        ("2026-12-31T10:00+09:00", "2027-01-07T00:00+09:00"),  # over New Year and a weekend
    ],
)
def test_three_business_days_in_korea(since, due):
    assert KOREA.due(at(since)) == at(due)


def test_a_plain_period_is_added_as_it_is():
    assert legal_clock(timedelta(days=14), "KR").due(at("2026-11-02T10:00Z")) == at("2026-11-16T10:00Z")


def test_a_country_of_several_zones_has_its_first():
    assert (str(zone_of("US")), str(zone_of("KR"))) == ("America/New_York", "Asia/Seoul")


@given(
    clock=st.sampled_from(CLOCKS),
    since=st.datetimes(*YEARS, timezones=st.just(UTC)),
    later=st.timedeltas(timedelta(0), timedelta(days=40)),
)
def test_overdue_is_what_became_due_before_and_nothing_else(clock, since, later):
    now = since + later
    late = clock.due(since) <= now if not isinstance(clock.within, timedelta) else clock.due(since) < now
    assert (since < clock.overdue_before(now)) == late
