"""A value as it came, a text or what JSON has, as what a field of its kind is compared with.

None is null, which arrives as JSON's null, as an empty text (so the SDK writes it) or, but for texts, as the word
`null`. NOTHING is a value that no row can have, such as an id that is none. Errors: QueryError naming the field.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

from domain.ids import uuid_of
from events.times import moment_of
from queries.errors import wrong
from queries.fields import Kind

MOST_DIGITS = 40  # of a number
MOST_POWER = 400  # of ten that a number is: all that JavaScript has fit
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Nothing(Enum):
    """Equal to nothing that is stored."""

    NOTHING = 0


NOTHING = Nothing.NOTHING


def single(told: Any, kind: Kind, field: str) -> Any:
    """One value: str, Decimal, bool, datetime in UTC, None or NOTHING."""
    if isinstance(told, list):
        raise wrong(field, "takes one value here; for a list use in, not_in or all")
    if told is None or told == "" or (told == "null" and kind not in (Kind.TEXT, Kind.NAMES)):
        return None
    return _READ[kind](told, field)


def several(told: Any, kind: Kind, field: str) -> list[Any]:
    """The values of a list, or of a comma-separated text."""
    if isinstance(told, str):
        told = [part for each in told.split(",") if (part := each.strip())]
    elif not isinstance(told, list):
        told = [told]
    return [single(each, kind, field) for each in told]


def truth(told: Any, field: str, what: str = "exists takes") -> bool:
    """A truth value, such as `exists` takes."""
    if isinstance(told, bool):
        return told
    if isinstance(told, str) and told.lower() in ("true", "false"):
        return told.lower() == "true"
    raise wrong(field, f"{what} true or false")


def _text(told: Any, field: str) -> str:
    if isinstance(told, bool):
        return "true" if told else "false"
    return told if isinstance(told, str) else format(_number(told, field), "f")


def _number(told: Any, field: str) -> Decimal:
    try:
        if isinstance(told, bool) or (isinstance(told, str) and (not told.isascii() or "_" in told)):
            raise ValueError("a truth, or what Python alone takes for a number: 1_0, １０")
        number = Decimal(told.strip() if isinstance(told, str) else told)
    except (InvalidOperation, ValueError, TypeError):
        raise wrong(field, "takes a number such as 20000 or 12.50") from None
    if not number.is_finite():
        raise wrong(field, "takes a finite number")
    if len(number.as_tuple().digits) > MOST_DIGITS or abs(number.adjusted()) > MOST_POWER:
        raise wrong(field, f"takes a number of at most {MOST_DIGITS} digits, and no power of ten beyond {MOST_POWER}")
    return number


def _time(told: Any, field: str) -> datetime:
    try:
        if isinstance(told, Decimal):  # JavaScript's number of a date
            return EPOCH + timedelta(milliseconds=float(told))
        if not isinstance(told, str):
            raise ValueError("neither a text nor a number")
        return moment_of(told)
    except (ValueError, OverflowError):
        raise wrong(field, "takes a time such as 2026-11-01T12:00:00.000Z, or a date") from None


def _truth(told: Any, field: str) -> bool:
    return truth(told, field, "takes")


def _id(told: Any, field: str) -> str | Nothing:
    found = uuid_of(told) if isinstance(told, str) else None
    return NOTHING if found is None else found


_READ = {
    Kind.TEXT: _text,
    Kind.KEY: _text,
    Kind.NAMES: _text,
    Kind.NUMBER: _number,
    Kind.TIME: _time,
    Kind.ID: _id,
    Kind.TRUTH: _truth,
}
