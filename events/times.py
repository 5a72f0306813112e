"""Times as people and programs write them: ISO 8601, and UTC where it names no offset.

An event's own times are stricter (`field_types.Moment`): without their offset they are refused.
"""

from __future__ import annotations

from datetime import UTC, datetime


def moment_of(told: str) -> datetime:
    """The moment that an ISO 8601 text means, in UTC; one without an offset is UTC, wherever this runs.

    Errors: ValueError.

    >>> moment_of("2026-12-01T09:00").isoformat(), moment_of("2026-12-01T09:00-05:00").isoformat()
    ('2026-12-01T09:00:00+00:00', '2026-12-01T14:00:00+00:00')
    """
    moment = datetime.fromisoformat(told.strip())
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError(f"{told!r} lies beyond the calendar") from None
