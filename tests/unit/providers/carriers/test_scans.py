"""Estimates as notes of their own: told when they change, and not with every poll."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from providers.base import Scan
from providers.carriers.scans import estimate

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
FRIDAY = datetime(2026, 11, 6, 17, tzinfo=UTC)


def newest(at: datetime) -> Scan:
    return Scan("a scan", at, "in_transit", "Left the hub")


def test_an_estimate_is_the_same_note_in_every_poll_of_a_day_and_another_when_it_changes_or_changes_back():
    first = estimate(FRIDAY, NOON, newest(NOON))
    assert first.id == estimate(FRIDAY, NOON + timedelta(hours=2), newest(NOON + timedelta(hours=1))).id
    later = estimate(FRIDAY + timedelta(days=1), NOON, newest(NOON))
    back = estimate(FRIDAY, NOON + timedelta(days=2), newest(NOON + timedelta(days=2)))
    assert len({first.id, later.id, back.id, estimate(FRIDAY, None, None).id}) == 4


def test_it_says_nothing_else_of_the_parcel():
    note = estimate(FRIDAY, None, newest(NOON))
    assert (note.status, note.description, note.location, note.detail, note.time) == ("unknown", None, None, None, None)
    assert note.estimated == FRIDAY


def test_a_day_alone_lasts_until_its_end():
    assert estimate(datetime(2026, 11, 6, tzinfo=UTC), None, None).estimated == datetime(
        2026, 11, 6, 23, 59, 59, tzinfo=UTC
    )
