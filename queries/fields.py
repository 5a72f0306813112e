"""The words of the table of fields: a field, a join, a collection, and short functions that make them.

`queries/schema.py` is written in these words. Everything else that knows fields reads them there: SQL and filters
(`sql`, `compiler`), documents (`documents`), the OpenAPI and AsyncAPI documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Integer, Table, exists, false, true

STAMPS = ("created_at", "updated_at")  # columns that PostgreSQL fills: the parts of a folded order have none
PERSONAL = "personal_id"  # the column that points at a row's personal fields


class Kind(Enum):
    """The kinds of fields: each is compared with values of its own."""

    TEXT = auto()
    NUMBER = auto()  # compared as Decimal
    TIME = auto()  # in UTC, shown and compared to the millisecond
    ID = auto()  # a UUID of ours, shown with its collection's prefix
    KEY = auto()  # an id of the shop's own: a customer, a product
    NAMES = auto()  # a list of texts
    GROUP = auto()  # several fields under one name: only whether it is there can be asked
    TRUTH = auto()  # true or false
    OBJECTS = auto()  # a list of small objects: only whether there are some can be asked


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a document."""

    kind: Kind
    column: str
    to: str | None = None  # a relationship: the collection that it points at
    inside: tuple[str, ...] = ()  # a personal field: where in the JSON of the row that `column` points at
    always: bool = False  # never null in a visible row, whatever the column allows
    words: tuple[str, ...] = ()  # the only values that it can have
    read: Callable[[Any], list[dict[str, Any]]] | None = None  # makes objects of what the column holds
    under: str | None = None  # the name in the column's JSON that objects stand under
    parts: tuple[tuple[str, Field], ...] = ()  # of an object: each of its fields with its name

    def nullable(self, table: FromClause) -> bool:
        """True where a visible row may have none."""
        return not self.always and (bool(self.inside) or bool(table.c[self.column].nullable))

    def whole(self, table: FromClause) -> bool:
        """True of a number without decimals."""
        return self.kind is Kind.NUMBER and isinstance(table.c[self.column].type, Integer)


@dataclass(frozen=True, slots=True)
class Join:
    """Documents of another collection that point at this one."""

    collection: str
    column: str
    order: tuple[str, ...] = ("id",)  # columns, unless the query sorts
    parts: Callable[[Any], Iterable[Any]] | None = None  # those that a part of a folded order holds

    @property
    def held(self) -> str:
        """The name of the column that holds the first ids of it, in a row that brings them along."""
        return f"first_{self.collection}"


SortKey = tuple[str, bool]  # a column, and whether it descends
Who = str | ColumnElement[str] | None  # a customer, by name or as a bound parameter; None is the shop itself


@dataclass(frozen=True, eq=False, slots=True)
class Collection:
    """A collection of the contract. A document shows its fields in this order, its joins before the stamps."""

    name: str
    table: Table
    about: str
    fields: Mapping[str, Field]
    owner: tuple[str, Collection] | None = None  # (column, collection): seen by whoever sees that row
    customer: str | None = None  # the column that names the only customer who sees it
    hidden_without: str | None = None  # the column without which nobody sees it
    joins: Mapping[str, Join] = field(default_factory=dict)
    order: tuple[SortKey, ...] = (("id", True),)  # newest first: UUIDv7
    shop_only: frozenset[str] = frozenset()  # fields that a customer neither sees nor may ask of
    secret: bool = False  # seen by the shop itself alone

    @property
    def key(self) -> Field:
        """The field that is its id."""
        return self.fields["id"]

    @property
    def personal(self) -> bool:
        """True where its documents show personal fields."""
        return any(each.inside for each in self.fields.values())

    def visible(self, table: FromClause, customer: Who) -> ColumnElement[bool]:
        """The condition that rows of `table` exist for `customer`; the shop itself sees all orders that were created."""
        if self.owner is not None:
            column, owner = self.owner
            above = owner.table.alias()
            return exists().where(above.c.id == table.c[column], owner.visible(above, customer))
        if self.secret and customer is not None:
            return false()
        found = true() if self.hidden_without is None else table.c[self.hidden_without].is_not(None)
        return found & (table.c[self.customer] == customer) if self.customer and customer is not None else found


# -- words of the table --------------------------------------------------------------------------------------


def text(column: str, *, always: bool = False) -> Field:
    """A field that holds text."""
    return Field(Kind.TEXT, column, always=always)


def one_of(column: str, words: Iterable[str]) -> Field:
    """A text that is one of `words`."""
    return Field(Kind.TEXT, column, words=tuple(map(str, words)))


def number(column: str) -> Field:
    """A number: money in major units, or a count."""
    return Field(Kind.NUMBER, column)


def time(column: str, *, always: bool = False) -> Field:
    """A field that holds a moment."""
    return Field(Kind.TIME, column, always=always)


def truth(column: str) -> Field:
    """A field that is true or false."""
    return Field(Kind.TRUTH, column)


def names(column: str) -> Field:
    """A field that holds a list of texts."""
    return Field(Kind.NAMES, column)


def key(column: str, to: str | None = None) -> Field:
    """An id of the shop's own, of a document of the collection `to` where we keep one."""
    return Field(Kind.KEY, column, to=to)


def to(collection: str, column: str) -> Field:
    """A relationship to a document of `collection`."""
    return Field(Kind.ID, column, to=collection)


def personal(name: str) -> dict[str, Field]:
    """A personal text, kept where it can be forgotten."""
    return {name: Field(Kind.TEXT, PERSONAL, inside=(name,))}


def group(name: str, parts: str) -> dict[str, Field]:
    """Several personal texts under one name; a filter asks for them by their dotted names."""
    inner = {f"{name}.{part}": Field(Kind.TEXT, PERSONAL, inside=(name, part)) for part in parts.split()}
    return {name: Field(Kind.GROUP, PERSONAL, inside=(name,)), **inner}


def record(name: str, **parts: Field) -> dict[str, Field]:
    """One small object out of columns of the row, null where its first is; a filter asks for each by its dotted name."""
    whole = Field(Kind.GROUP, next(iter(parts.values())).column, parts=tuple(parts.items()))
    return {name: whole, **{f"{name}.{part}": field for part, field in parts.items()}}


def objects(
    column: str, read: Callable[[Any], list[dict[str, Any]]], under: str | None = None, **parts: Field
) -> Field:
    """A list of objects that `read` makes of the column, each with these fields; an empty list where there are none."""
    return Field(Kind.OBJECTS, column, always=True, read=read, under=under, parts=tuple(parts.items()))


def part(kind: Kind, *words: str, always: bool = True) -> Field:
    """A field of an object in a list; null where it need not be there."""
    return Field(kind, "", words=words, always=always)


ID = {"id": Field(Kind.ID, "id")}
OWN_ID = {"id": Field(Kind.KEY, "id")}
STAMPED = {"createdAt": time("created_at"), "updatedAt": time("updated_at")}
