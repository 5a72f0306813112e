"""Times as addresses of the console have them: a browser's field has no offset, and its label says UTC."""

from __future__ import annotations

from datetime import datetime

from events.times import moment_of


def moment_if_told(told: str | None) -> datetime | None:
    """The moment of an address, in UTC; what cannot be read is nothing."""
    try:
        return moment_of(told or "")
    except ValueError:
        return None
