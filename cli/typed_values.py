"""Values that people type, by the rules of the events' fields: what a command takes, its event takes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cli.options import Problem
from events.field_types import Amount, Moment, Name, Quantity, Text, said

_AMOUNT: TypeAdapter[Decimal] = TypeAdapter(Amount)
_QUANTITY: TypeAdapter[int] = TypeAdapter(Quantity)
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_TEXT: TypeAdapter[str] = TypeAdapter(Text)
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


def amount_of(told: str, option: str) -> Decimal:
    """An amount of money in major units. Errors: Problem, which names the option, as of all here."""
    try:
        return _AMOUNT.validate_strings(told)
    except ValidationError as error:
        why = said(error.errors()[0])
        raise Problem(f"{option} {told!r} is no amount: {why}. Write digits, such as 5000 or 5.00", 2) from None


def quantity_of(told: str, option: str) -> int:
    """A number of pieces."""
    return int(_value(_QUANTITY, told, option))


def name_of(told: str, option: str) -> str:
    """A name as events have it."""
    return str(_value(_NAME, told, option))


def text_of(told: str, option: str) -> str:
    """A text as events have it; it may be empty."""
    return str(_value(_TEXT, told, option))


def time_ahead(told: str, option: str) -> datetime:
    """A time with its offset, in UTC; `cli.moments` reads those that have passed."""
    found: datetime = _value(_MOMENT, told, option)
    return found


def _value(kind: TypeAdapter[Any], told: str, option: str) -> Any:
    try:
        return kind.validate_strings(told)
    except ValidationError as error:
        raise Problem(f"{option}: {said(error.errors()[0])}", 2) from None
