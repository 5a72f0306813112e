"""Types of the fields of events and requests: bounded texts, links, amounts; and their refusals in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from events.envelope import MAX_YEAR
from events.money import MoneyError, exponent


def _currency(code: str) -> str:
    try:
        exponent(code)
    except MoneyError as error:
        raise ValueError(str(error)) from None
    return code


def _a_number(value: Any) -> Any:
    """Refuse what Python, and so pydantic, takes for a number and nobody else does: True, "1_0", "１０"."""
    if type(value) is int:  # most are
        return value
    if isinstance(value, str):
        if not value.isascii() or "_" in value:
            raise ValueError(f"{value[:40]!r} is no number; write plain digits, such as 12000 or 12.50")
    elif isinstance(value, bool):
        raise ValueError("must be a number, or one as a string")
    return value


def _moment(value: Any) -> datetime:
    """A time as an envelope has it: RFC 3339 with its offset, kept in UTC."""
    if not isinstance(value, str):
        raise ValueError("must be a text, an RFC 3339 time such as 2026-11-01T09:30:00Z")
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is not None and time.year <= MAX_YEAR:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{value[:40]!r} is no RFC 3339 time with its offset, such as 2026-11-01T09:30:00Z")


# Patterns, since a call of ours for each text costs more. PostgreSQL's texts cannot hold a NUL. A name is shown and compared:
# it holds no control character (C0, C1), line separator or sign that turns the direction of what follows.
_NO_NUL = r"^[^\x00]*$"
_NO_CONTROL = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
_WEB = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\x00-\x20\x7f-\x9f\u2028-\u202e\u2066-\u2069]+$"
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=_NO_CONTROL)]
Url = Annotated[str, Field(max_length=2000, pattern=_WEB)]  # somebody clicks on it: never javascript:
_LINK = re.compile(_WEB)


def clickable(value: object) -> object:
    """A provider's link if it can be clicked on, else nothing: no payment is lost for the sake of its receipt."""
    return None if isinstance(value, str) and (len(value) > 2000 or not _LINK.match(value)) else value


Text = Annotated[str, Field(max_length=10_000, pattern=_NO_NUL)]
# What a sender writes; what is taken besides are numbers that any JSON reader takes, such as 1e3.
AMOUNT_SCHEMA: dict[str, Any] = {
    "description": "Money in major units; a text keeps every digit.",
    "anyOf": [
        {"type": "string", "pattern": r"^[0-9]{1,14}(\.[0-9]{1,4})?$"},
        {"type": "number", "minimum": 0, "exclusiveMaximum": 10**14},
    ],
}
CURRENCY_SCHEMA: dict[str, Any] = {"type": "string", "pattern": "^[A-Z]{3}$"}
# Constraints first: after a validator they would be checked by Python, one by one.
Amount = Annotated[
    Decimal, Field(ge=0, max_digits=18, decimal_places=4), BeforeValidator(_a_number), WithJsonSchema(AMOUNT_SCHEMA)
]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Currency = Annotated[str, AfterValidator(_currency), WithJsonSchema(CURRENCY_SCHEMA)]
Quantity = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(_a_number)]
TrackingStatus = Literal[
    "pending", "picked_up", "in_transit", "out_for_delivery", "ready_for_pickup",
    "delivery_delayed", "on_hold", "delivery_failed", "return_to_sender", "cancelled",
    "delivered", "unknown",
]  # fmt: skip
FulfillmentStatus = Literal["pending", "packed", "shipped", "delivered", "failed"]
RefundStatus = Literal["pending", "requires_action", "succeeded", "canceled", "failed"]
GrantReason = Literal["goodwill", "shipping", "other"]
Allocation = Literal["goodwill", "shipping", "other", "due"]
PendingKind = Literal["authorized", "processing", "awaiting_deposit"]
Reason = Literal["change_of_mind", "defective", "wrong_delivery", "damaged", "other"]

# What a pattern refuses, in words.
_SAID = {
    _NO_NUL: "holds a NUL character; remove it",
    _NO_CONTROL: "holds a control character; remove it",
    _WEB: "must be an address that begins with https:// or http://",
}


def said(fault: Mapping[str, Any]) -> str:
    """A fault that pydantic found, in a sentence: patterns in words, and our own without its prefix."""
    pattern = fault.get("ctx", {}).get("pattern")
    return _SAID.get(pattern) or str(fault["msg"]).removeprefix("Value error, ")
