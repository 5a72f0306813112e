"""JSON as every document is written: exact numbers, times in UTC with milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS


def encode(document: Any) -> bytes:
    """`document` as JSON: a Decimal as a number with its own digits, a datetime in UTC with milliseconds and Z.

    Errors: TypeError for a datetime without a zone, a Decimal that is no number, and what has no JSON form.
    """
    return orjson.dumps(document, default=_plain, option=_OPTIONS)


def format_time(moment: datetime) -> str:
    """A time as documents show it: in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError(f"{value} is no JSON number")
        return orjson.Fragment(format(value, "f").encode())
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError(f"{value} has no time zone")
        return format_time(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
