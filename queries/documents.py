"""Documents of the contract, made as the table of fields says: camelCase, prefixed ids, the same for a row and a part.

Money stays Decimal and times stay datetimes in UTC: `json_encoder` makes numbers and texts of them. A row of the
database and a part of a folded order have the same attributes, named as the columns, so one function makes the
documents of both. It is generated from the fields, as dataclasses generate `__init__`: outgoing webhooks are made in
the drain's batch, and a loop over the fields takes half as long again, or twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from domain.ids import format_id
from domain.order import Order
from queries.fields import STAMPS, Collection, Field, Kind
from queries.schema import COLLECTIONS, ORDERS
from storage.pg_arrays import array

Document = dict[str, Any]
NONE: Document = {}
# (a row or part, what has its stamps, its personal fields, its joins by name) → its document
Maker = Callable[[Any, Any, Mapping[str, Any], Document], Document]
# (a row, its joins by name) → its document
RowMaker = Callable[[Any, Document], Document]
# (a part, what has its stamps, its personal fields, joins that it does not hold) → its document at depth 0, every id in its joins
PartMaker = Callable[[Any, Any, Mapping[str, Any], Mapping[str, Any]], Document]

_PERSONAL = text("select id, fields from personal where id = any(cast(:ids as uuid[]))")


class Stamps(NamedTuple):
    """The times of writing of a row; a folded order does not know them all."""

    created_at: Any
    updated_at: Any


@cache
def maker(of: Collection) -> Maker:
    """The function that makes documents of the collection; it shows no personal fields of the forgotten (`{}`)."""
    made: Maker = _generated(of, "it, stamps, personal, joins", ["**joins,"], {})
    return made


@cache
def part_maker(of: Collection) -> PartMaker:
    """The function that makes documents of parts of folded orders as the query API answers them at depth 0.

    Their joins hold every id of what hangs on the part; those that a folded order does not hold are given by name.
    """
    joins: list[str] = []
    names: dict[str, Any] = {}
    for number, (name, other, parts, key) in enumerate(_parts(of)):
        names |= {f"parts_{number}": parts, f"key_{number}": key}
        ids = f"[format_id({other!r}, each.id) for each in sorted(parts_{number}(it), key=key_{number})]"
        joins.append(f"{name!r}: join({ids}),")
    joins += [f"{name!r}: given[{name!r}]," for name, each in of.joins.items() if each.parts is None]
    made: PartMaker = _generated(of, "it, stamps, personal, given", joins, names)
    return made


def _generated(of: Collection, arguments: str, joins: Sequence[str], names: Mapping[str, Any]) -> Any:
    """A function that returns one dict display: the fields in the table's order, the joins before the stamps."""
    shown_fields = [name for name in of.fields if "." not in name]  # a group comes whole
    lines = [f"{name!r}: {_value(of, of.fields[name])}," for name in shown_fields]
    at = shown_fields.index("createdAt")
    body = "\n        ".join([*lines[:at], *joins, *lines[at:]])
    source = f"def make({arguments}):\n    return {{\n        {body}\n    }}\n"
    reads = {f"read_{each.column}": each.read for each in of.fields.values() if each.read is not None}
    namespace: dict[str, Any] = {"format_id": format_id, "join": join, **reads, **names}
    exec(compile(source, f"<documents of {of.name}>", "exec"), namespace)  # noqa: S102  made of our own table
    return namespace["make"]


def _value(of: Collection, field: Field) -> str:
    """The expression of a field's value."""
    if field.inside:
        return f"personal.get({field.inside[0]!r})"
    if field.column in STAMPS:
        return f"stamps.{field.column}"
    value = f"it.{field.column}"
    if field.read is not None:
        return f"read_{field.column}({value})"
    if field.kind is Kind.GROUP:
        parts = ", ".join(f"{name!r}: it.{part.column}" for name, part in field.parts)
        return f"{{{parts}}} if {value} is not None else None"
    if field.kind is Kind.ID:
        id = f"format_id({field.to or of.name!r}, {value})"
        return f"{id} if {value} is not None else None" if field.nullable(of.table) else id
    if field.kind is Kind.NAMES:
        return f"list({value})"
    if field.words:  # a part has an enum there
        return f"str({value}) if {value} is not None else None" if field.nullable(of.table) else f"str({value})"
    return value


def of_row(of: Collection, row: Any, joins: Document = NONE) -> Document:
    """The document of a row of storage, which has `personal` beside its columns where it shows personal fields."""
    return row_maker(of)(row, joins)


@cache
def row_maker(of: Collection) -> RowMaker:
    """The function behind `of_row`, for many rows of one collection."""
    make = maker(of)
    if of.personal:
        return lambda row, joins: make(row, row, row.personal or NONE, joins)
    return lambda row, joins: make(row, row, NONE, joins)


# -- parts of a folded order ---------------------------------------------------------------------------------


@cache
def _parts(of: Collection) -> list[tuple[str, str, Callable[[Any], Iterable[Any]], Callable[[Any], Any]]]:
    """Of each join: its name, its collection, what its parts are, and what they are sorted by."""
    return [
        (name, each.collection, each.parts, attrgetter(*each.order))
        for name, each in of.joins.items()
        if each.parts is not None
    ]


def of_order(conn: Connection, order: Order) -> Document:
    """An order as folded, such as `as_known_at` gives it, with all that hangs on it; it has no times of writing."""
    return _whole(ORDERS, order, _personal(conn, [order, *order.returns]))


def _whole(of: Collection, part: Any, personal: Mapping[str | None, Document]) -> Document:
    """A part with the documents of what hangs on it."""
    joins = {
        name: join([_whole(COLLECTIONS[other], each, personal) for each in sorted(parts(part), key=key)])
        for name, other, parts, key in _parts(of)
    }
    own = personal.get(part.personal_id, NONE) if of.personal else NONE
    return maker(of)(part, Stamps(getattr(part, "created_at", None), None), own, joins)


def _personal(conn: Connection, owners: Iterable[Any]) -> dict[str | None, Document]:
    """personal id → its fields; those of the forgotten are absent."""
    ids = {owner.personal_id for owner in owners if owner.personal_id is not None}
    if not ids:
        return {}
    return {row.id: row.fields for row in conn.execute(_PERSONAL, {"ids": array(sorted(ids), "uuid")})}


# -- lists ---------------------------------------------------------------------------------------------------


def join(docs: Sequence[Any], has_next: bool = False) -> Document:
    """A join's value in a document: documents, or ids at depth 0."""
    return {"docs": list(docs), "hasNextPage": has_next}


def list_answer(docs: Sequence[Document], total: int, limit: int, page: int) -> Document:
    """A list answer as Payload gives it."""
    pages = max(1, -(-total // limit)) if limit else 1
    has_next, has_previous = page < pages, page > 1
    return {
        "docs": list(docs),
        "totalDocs": total,
        "limit": limit,
        "totalPages": pages,
        "page": page,
        "pagingCounter": (page - 1) * limit + 1,
        "hasPrevPage": has_previous,
        "hasNextPage": has_next,
        "prevPage": page - 1 if has_previous else None,
        "nextPage": page + 1 if has_next else None,
    }
