"""Lists of small objects in documents, made of what a column's JSON holds."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.holds import STANDING
from domain.movements import DISPUTES


def disputes_of(facts: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The disputes of a payment by the time of their present status; an `amount` of None is all that was captured."""
    known = facts.get(DISPUTES, {}) if facts is not None else {}
    found = [
        {
            "dispute": name,
            "status": each["status"],
            "amount": Decimal(each["amount"][-1]) if "amount" in each else None,
            "time": datetime.fromisoformat(each["at"][0]),
        }
        for name, each in known.items()
    ]
    return sorted(found, key=lambda each: (each["time"], each["dispute"]))


def holds_of(facts: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The holds of an order that stand, by the time since which they do. Those that nobody made have neither `by` nor reason."""
    known = facts.get(STANDING, {}) if facts is not None else {}
    found = [
        {
            "hold": name,
            "reason": reason,
            "by": by,
            "since": datetime.fromisoformat(since),
            "until": None if until is None else datetime.fromisoformat(until),
        }
        for name, (since, until, by, reason) in known.items()
    ]
    return sorted(found, key=lambda each: (each["since"], each["hold"]))


def side_of(stored: dict[str, str]) -> list[dict[str, Any]]:
    """One side of a finding, by name."""
    return [{"name": name, "value": value} for name, value in sorted(stored.items())]


def reasons_of(stored: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The reasons of a refund, each with its amount in the refund's currency."""
    return [{"reason": each["reason"], "amount": Decimal(each["amount"])} for each in stored]
