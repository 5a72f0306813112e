"""A query string as a Query: what to look for, which page of it, and how much of each document.

Parameters of Payload's that mean nothing here (`draft`, `locale`, `populate` …) are left unread.
Errors of everything here: QueryError, naming the parameter and what it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from queries.errors import wrong
from queries.filters import ANYTHING, Where, where_of
from queries.querystring import MOST_TEXT, tree

LIMIT = 10  # documents per page, and per join, unless the query says
MOST_LIMIT = 1_000
MOST_PAGE = 1_000_000_000
MOST_DEPTH = 2  # deeper is answered as this
MOST_SORTS = 10

_ROOTS = frozenset(("where", "sort", "limit", "page", "pagination", "depth", "select", "joins"))
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Select:
    """The fields to show: those named, or with `exclude` all others; a group's fields by their dotted names."""

    names: frozenset[str]
    exclude: bool

    def wants(self, name: str) -> bool:
        """True where the field is shown, at least in part."""
        if self.exclude:
            return name not in self.names
        return name in self.names or any(each.startswith(f"{name}.") for each in self.names)


@dataclass(frozen=True, slots=True)
class JoinQuery:
    """The documents of a join that are asked for; `limit` 0 is all."""

    where: Where = ANYTHING
    sort: tuple[str, ...] = ()
    limit: int = LIMIT
    page: int = 1
    count: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """The query of one request. `limit` 0 is all; `joins` maps a join to its query, or to None for none of it."""

    where: Where = ANYTHING
    sort: tuple[str, ...] = ()
    limit: int = LIMIT
    page: int = 1
    counted: bool = True  # False: one page, and nobody asks how many there are
    depth: int = 0
    select: Select | None = None
    joins: Mapping[str, JoinQuery | None] = field(default_factory=dict)
    joined: bool = True  # False: no joins at all

    def wants(self, name: str) -> bool:
        """True where a document shows the field, at least in part."""
        return self.select is None or self.select.wants(name)


def parse(query_string: str) -> Query:
    """The Query of `where[status][equals]=paid&sort=-createdAt&limit=10`, without its `?`."""
    told = tree(query_string, _ROOTS)
    counted = _truth(told.get("pagination"), "pagination", True)
    limit = _number(told.get("limit"), "limit", LIMIT if counted else 0, 0, MOST_LIMIT)
    return Query(
        where=where_of(told.get("where")),
        sort=_sort(told.get("sort"), "sort"),
        limit=limit,
        page=_number(told.get("page"), "page", 1, 1, MOST_PAGE) if limit and counted else 1,
        counted=counted,
        depth=min(_number(told.get("depth"), "depth", 0, 0, MOST_PAGE), MOST_DEPTH),
        select=_select(told.get("select")),
        joins=_joins(told.get("joins")),
        joined=told.get("joins") != "false",
    )


def _number(told: Any, name: str, default: int, least: int, most: int) -> int:
    if told is None or told == "":
        return default
    if not isinstance(told, str) or not (told.isascii() and told.isdigit() and len(told) < 12):
        raise wrong(name, f"takes a whole number from {least} to {most}")
    number = int(told)
    if not least <= number <= most:
        hint = "; go through the pages with page=2, page=3, …" if name.endswith("limit") else ""
        raise wrong(name, f"is {number}; it takes a whole number from {least} to {most}{hint}")
    return number


def _truth(told: Any, name: str, default: bool) -> bool:
    if told is None or told == "":
        return default
    if not isinstance(told, str) or told.lower() not in _TRUTH:
        raise wrong(name, "takes true or false")
    return _TRUTH[told.lower()]


def _sort(told: Any, at: str) -> tuple[str, ...]:
    if told is None:
        return ()
    parts = told if isinstance(told, list) else [told]
    if not all(isinstance(part, str) for part in parts):
        raise wrong(at, f"takes fields, comma-separated, a leading - for descending: {at}=-createdAt,orderNumber")
    if any(len(part) > MOST_TEXT for part in parts):
        raise wrong(at, f"takes at most {MOST_TEXT} characters")
    names = tuple(name for part in parts for each in part.split(",") if (name := each.strip()))
    if len(names) > MOST_SORTS:
        raise wrong(at, f"takes at most {MOST_SORTS} fields")
    return names


def _select(told: Any) -> Select | None:
    if told is None or told == "":
        return None
    if not isinstance(told, dict):
        raise wrong("select", "takes fields: select[orderNumber]=true")
    leaves = dict(_leaves(told, ""))
    include = frozenset(name for name, wanted in leaves.items() if wanted)
    return Select(include, False) if include else Select(frozenset(leaves), True)


def _leaves(told: Mapping[str, Any], above: str) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    for name, value in told.items():
        path = f"{above}{name}"
        if isinstance(value, dict):
            found.extend(_leaves(value, f"{path}."))
        elif value in ("true", "false"):
            found.append((path, _TRUTH[value]))
        else:
            raise wrong(f"select.{path}", "takes true or false")
    return found


def _joins(told: Any) -> dict[str, JoinQuery | None]:
    if told is None or told in ("", "false"):
        return {}
    if not isinstance(told, dict):
        raise wrong("joins", "takes joins by name: joins[products][limit]=5, or joins=false for none")
    return {name: _join(query, f"joins.{name}") for name, query in told.items()}


def _join(told: Any, at: str) -> JoinQuery | None:
    if told == "false":
        return None
    if told == "":
        return JoinQuery()
    if not isinstance(told, dict):
        raise wrong(at, "takes [limit], [page], [sort], [where], [count], or false for none of it")
    limit = _number(told.get("limit"), f"{at}.limit", LIMIT, 0, MOST_LIMIT)
    return JoinQuery(
        where=where_of(told.get("where"), f"{at}.where"),
        sort=_sort(told.get("sort"), f"{at}.sort"),
        limit=limit,
        page=_number(told.get("page"), f"{at}.page", 1, 1, MOST_PAGE) if limit else 1,
        count=_truth(told.get("count"), f"{at}.count", False),
    )
