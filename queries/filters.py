"""Conditions of a query, as parsed: a tree of conditions, an `and` or an `or` at each branch.

Grammar, as in Payload: `{field: {operator: value}}`, several fields or operators at a level all hold; `and` and `or`
take lists of the same, and one that is empty says nothing. Fields are checked where the collection is known
(`queries/compiler.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from queries.errors import wrong
from queries.querystring import MOST_TEXT

OPERATORS = (
    "equals", "not_equals", "in", "not_in", "all", "exists", "greater_than", "greater_than_equal",
    "less_than", "less_than_equal", "like", "not_like", "contains",
)  # fmt: skip
MOST_DEPTH = 10  # of and / or within each other
MOST_CONDITIONS = 100
MOST_VALUES = 1_000  # of one list


@dataclass(frozen=True, slots=True)
class Condition:
    """`field operator value`; the value as it came: a text, or what JSON has."""

    field: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Every:
    """All of these hold; true of everything where there are none."""

    parts: tuple[Where, ...] = ()


@dataclass(frozen=True, slots=True)
class Some:
    """One of these holds; there is at least one."""

    parts: tuple[Where, ...]


Where = Condition | Every | Some
ANYTHING = Every()


def where_of(told: Any, at: str = "where") -> Where:
    """The tree of a where: a JSON text, or nested dicts and lists; `at` names it in errors.

    Errors: QueryError naming the field, over 10 levels, 100 conditions or 1,000 values of a list, or on texts
    that the database cannot hold (a NUL, half a surrogate pair).
    """
    if told is None or told == "":
        return ANYTHING
    if isinstance(told, str):
        told = _json(told, at)
    if not isinstance(told, dict):
        raise wrong(at, 'give an object such as {"status": {"equals": "paid"}}')
    found = _every(told, at, 1)
    if sum(1 for _ in conditions(found)) > MOST_CONDITIONS:
        raise wrong(at, f"has over {MOST_CONDITIONS} conditions; a list of values is one: [in]")
    return found


def conditions(where: Where) -> Iterator[Condition]:
    """The leaves of the tree."""
    if isinstance(where, Condition):
        yield where
    else:
        for part in where.parts:
            yield from conditions(part)


def _json(text: str, at: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=refuse)
    except (ValueError, ArithmeticError, RecursionError):
        raise wrong(at, 'is no JSON; write where[status][equals]=paid, or where={"status":{"equals":"paid"}}') from None


def _every(told: dict[str, Any], at: str, depth: int) -> Every:
    if depth > MOST_DEPTH:
        raise wrong(at, f"nests and / or over {MOST_DEPTH} levels deep")
    parts: list[Where] = []
    for name, value in told.items():
        if name.lower() in ("and", "or"):
            branch = _branch(name.lower(), value, f"{at}.{name}", depth)
            if branch is not None:
                parts.append(branch)
        else:
            parts.extend(_conditions(name, value))
    return Every(tuple(parts))


def _branch(kind: str, told: Any, at: str, depth: int) -> Where | None:
    if not isinstance(told, list) or not all(isinstance(each, dict) for each in told):
        raise wrong(at, f"takes a list of conditions: {at}[0][status][equals]=paid")
    parts = tuple(part for each in told if (part := _every(each, at, depth + 1)).parts)
    if not parts:
        return None
    return Every(parts) if kind == "and" else Some(parts)


def _conditions(field: str, told: Any) -> Iterator[Condition]:
    field = _clean(field, "where")
    if not isinstance(told, dict) or not told:
        raise wrong(field, f"needs an operator: where[{field[:40]}][equals]=…, or one of {', '.join(OPERATORS[1:])}")
    for operator, value in told.items():
        if operator not in OPERATORS:
            raise wrong(field, f"{_clean(operator, field)[:40]!r} is no operator; give one of {', '.join(OPERATORS)}")
        yield Condition(field, operator, _checked(value, field))


def _checked(value: Any, field: str) -> Any:
    """A single value or a list of them, which PostgreSQL can take."""
    if isinstance(value, list):
        if len(value) > MOST_VALUES:
            raise wrong(field, f"takes at most {MOST_VALUES} values at once")
        return [_single(each, field) for each in value]
    return _single(value, field)


def _single(value: Any, field: str) -> Any:
    if isinstance(value, dict | list):
        raise wrong(field, "takes a value, or a list of values")
    return _clean(value, field) if isinstance(value, str) else value


def _clean(text: str, field: str) -> str:
    if len(text) > MOST_TEXT:
        raise wrong(field, "the value is too long")
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise wrong(field, "holds a NUL character or half a surrogate pair; no text here has one")
    return text
