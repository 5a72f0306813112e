"""The wire: snake_case becomes camelCase, Python's values JSON, queries the query strings that the API reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic.alias_generators import to_camel

from order_lifecycle_client.request_types import Joins, Select, Where


def encode(value: Any) -> bytes:
    """`value` as JSON with camelCase keys. Money travels as text, exactly. Errors: TypeError for what has no JSON form."""
    return _dumps(camel_keys(value)).encode()


def decode(body: bytes) -> Any:
    """JSON whose numbers are int or Decimal, with the digits that were sent. Errors: ValueError."""
    return json.loads(body, parse_float=Decimal)


def camel_keys(value: Any) -> Any:
    """`order_number` → `orderNumber` in every mapping, however deep."""
    if isinstance(value, Mapping):
        return {to_camel_path(name): camel_keys(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [camel_keys(each) for each in value]
    return value


def to_camel_path(name: str) -> str:
    """`order.order_number` → `order.orderNumber`; what is camelCase already stays."""
    return ".".join(to_camel(part) if "_" in part else part for part in name.split("."))


def segment(name: str) -> str:
    """An id as one part of a path. Errors: ValueError where it cannot be one."""
    if not name.strip("."):
        raise ValueError(f"{name!r} is no id; give one such as ord_…, or your own")
    return quote(name, safe="")


def query_string(
    *,
    where: Where | None = None,
    sort: str | Sequence[str] | None = None,
    limit: int | None = None,
    page: int | None = None,
    depth: int | None = None,
    select: Select | None = None,
    joins: Joins | None = None,
) -> str:
    """The query without its `?`. `where` goes as one JSON text, which keeps numbers, nulls and empty lists apart."""
    asked: dict[str, Any] = {
        "where": None if where is None else _where_text(where),
        "sort": None if sort is None else _sort_text(sort),
        "limit": limit,
        "page": page,
        "depth": depth,
        "select": None if select is None else {to_camel_path(name): wanted for name, wanted in select.items()},
        "joins": joins if not joins else {name: _join(join) for name, join in joins.items()},
    }
    pairs = [pair for name, value in asked.items() if value is not None for pair in _bracketed(name, value)]
    return "&".join(f"{quote_plus(name, safe='[]')}={quote_plus(value)}" for name, value in pairs)


def _where_text(where: Where) -> str:
    return _dumps(_where(where))


def _where(where: Where) -> dict[str, Any]:
    """Fields in camelCase; operators have underscores and keep them."""
    return {
        name if name in ("and", "or") else to_camel_path(name): [_where(each) for each in told]
        if name in ("and", "or")
        else told
        for name, told in where.items()
    }


def _sort_text(sort: str | Sequence[str]) -> str:
    names = sort.split(",") if isinstance(sort, str) else sort
    return ",".join(("-" if name.startswith("-") else "") + to_camel_path(name.lstrip("-")) for name in names)


def _join(join: Any) -> Any:
    if not isinstance(join, Mapping):
        return join
    told = dict(join)
    if "where" in told:
        told["where"] = _where_text(told["where"])
    if "sort" in told:
        told["sort"] = _sort_text(told["sort"])
    return told


def _bracketed(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """`joins[products][limit]=5` of {"products": {"limit": 5}}."""
    if isinstance(value, Mapping):
        for inner, each in value.items():
            yield from _bracketed(f"{name}[{inner}]", each)
    elif isinstance(value, bool):
        yield name, str(value).lower()
    else:
        yield name, str(value)


def _dumps(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form; give a text, a number, a Decimal or a datetime")
