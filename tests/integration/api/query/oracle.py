"""The meaning of a where, in plain Python over documents: SQL is compared with it. Shares no code with the query API."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.integration.api.query.world import POINTS, World

ABSENT = (None, "")
ID = re.compile("[a-z]{3}_[0-9a-f]{32}")


class Oracle:
    """Evaluates wheres as one caller."""

    def __init__(self, world: World, customer: str | None = None) -> None:
        self.world = world
        self.customer = customer
        self.seen = {name: {doc["id"]: doc for doc in world.visible(name, customer)} for name in world.docs}

    def find(self, collection: str, where: dict[str, Any]) -> set[str]:
        """Ids of all documents that match."""
        return {id for id, doc in self.seen[collection].items() if self.holds(doc, where)}

    def holds(self, doc: dict[str, Any], where: dict[str, Any]) -> bool:
        return all(self._holds(doc, name, told) for name, told in where.items())

    def _holds(self, doc: dict[str, Any], name: str, told: Any) -> bool:
        if name in ("and", "or"):
            parts = [self.holds(doc, part) for part in told if says(part)]
            return not parts or (all(parts) if name == "and" else any(parts))
        value = self.value(doc, name)
        return all(meets(value, operator, wanted) for operator, wanted in told.items())

    def value(self, doc: dict[str, Any], path: str) -> Any:
        """Over relationships to what the caller sees; None where there is nothing."""
        head, _, rest = path.partition(".")
        value = doc.get(head)
        if not rest or value is None:
            return value
        if isinstance(value, dict):
            return value.get(rest)
        target = self.seen[POINTS[head]].get(value)
        return None if target is None else self.value(target, rest)


def says(part: dict[str, Any]) -> bool:
    """True if a part asks for anything: an empty `and` or `or` does not."""
    return any(name not in ("and", "or") or any(says(each) for each in told) for name, told in part.items())


def meets(value: Any, operator: str, told: Any) -> bool:
    if isinstance(value, list):
        return list_meets(value, operator, told)
    if isinstance(value, datetime):
        value = floor(value)
    if value in ABSENT:
        value = None
    match operator:
        case "exists":
            return (value is not None) == told
        case "equals":
            return same(value, told)
        case "not_equals":
            return not same(value, told)
        case "in":
            return any(same(value, each) for each in told)
        case "not_in":
            return not any(same(value, each) for each in told)
        case "all":
            return bool(told) and all(same(value, each) for each in told)
        case "like" | "not_like" | "contains" if isinstance(value, str) and not ID.fullmatch(value):
            words = [told] if operator == "contains" else told.split()
            alike = all(word.lower() in value.lower() for word in words)
            return not alike if operator == "not_like" else alike
        case "like" | "contains":
            return value is not None and same(value, told)
        case "not_like":
            return value is None or not same(value, told)
    if value is None:
        return False
    other = read(value, told)
    return {
        "greater_than": value > other,
        "greater_than_equal": value >= other,
        "less_than": value < other,
        "less_than_equal": value <= other,
    }[operator]


def list_meets(value: list[str], operator: str, told: Any) -> bool:
    if operator == "exists":
        return bool(value) == told
    if operator in ("like", "not_like"):
        alike = any(all(word.lower() in each.lower() for word in told.split()) for each in value)
        return alike != (operator == "not_like")
    wanted = told if isinstance(told, list) else [told]
    if operator == "all":
        return bool(wanted) and all(each in value for each in wanted)
    holds = any(each in value or (each in ABSENT and not value) for each in wanted)
    return not holds if operator in ("not_equals", "not_in") else holds


def same(value: Any, told: Any) -> bool:
    if told in ABSENT or value is None:
        return told in ABSENT and value is None
    return value == read(value, told)


def read(value: Any, told: Any) -> Any:
    """The value that was told, as what it is."""
    if isinstance(value, datetime):
        return datetime.fromisoformat(told).astimezone(UTC)
    if isinstance(value, bool):
        return str(told).lower() == "true"
    if isinstance(value, int | Decimal):
        return Decimal(told)
    return told


def floor(moment: datetime) -> datetime:
    """A time, cut to the millisecond."""
    return moment - timedelta(microseconds=moment.microsecond % 1000)
