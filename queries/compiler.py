"""A parsed query as SQLAlchemy expressions over the table of collections: conditions, and what to sort by.

A dotted path goes over relationships (`orderItem.order.status`) or into personal fields (`customerSnapshot.email`).
Each step is an EXISTS on rows that the caller may see, so a row that is hidden, or somebody else's, is as one that
is not there: like a left join's null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, exists, or_, select, true

from queries.errors import wrong
from queries.fields import Collection, Field, Kind, Who
from queries.filters import Condition, Every, Where
from queries.operators import Asked, asked
from queries.schema import COLLECTIONS
from storage import tables

Ask = Callable[[ColumnElement[Any], Kind, bool], Asked]


def condition(of: Collection, table: FromClause, where: Where, customer: Who) -> ColumnElement[bool]:
    """The condition that `where` puts on the rows of `table`, which holds documents of `of`, for a caller who sees what `customer` sees.

    Errors: QueryError naming the field, where it is unknown or its value or operator does not fit it.
    """
    if isinstance(where, Condition):

        def ask(column: ColumnElement[Any], kind: Kind, nullable: bool) -> Asked:
            return asked(column, kind, nullable, where.operator, where.value, where.field)

        found, _ = _at(of, table, where.field, ask, customer, where.field)
        return found
    parts = [condition(of, table, part, customer) for part in where.parts]
    return and_(true(), *parts) if isinstance(where, Every) else or_(*parts)


def ordering(
    of: Collection,
    table: FromClause,
    sort: Sequence[str],
    customer: Who,
    default: Sequence[tuple[str, bool]] | None = None,
) -> list[ColumnElement[Any]]:
    """ORDER BY of `-createdAt,orderNumber`; fields that nobody knows are left out.

    The id comes last, so that pages never overlap. Nulls are last either way.
    """
    found: list[ColumnElement[Any]] = []
    for name in dict.fromkeys(sort):
        descending = name.startswith("-")
        value = _value(of, table, name.removeprefix("-"), customer)
        if value is None:
            continue
        column, nullable = value
        if not descending:
            found.append(column)
        else:
            found.append(column.desc().nulls_last() if nullable else column.desc())
    if found:
        newest_first = sort[0].startswith("-")
        return [*found, table.c.id.desc() if newest_first else table.c.id]
    order = of.order if default is None else default
    return [table.c[column].desc() if descending else table.c[column] for column, descending in order]


def _at(of: Collection, table: FromClause, path: str, ask: Ask, customer: Who, told: str) -> Asked:
    """What `ask` says of the field at `path`, carried back to the rows of `table`; `told` names it in errors."""
    if (field := _field(of, path, customer)) is not None:
        if not field.inside:
            column = table.c[field.column]
            return ask(column[field.under] if field.under else column, field.kind, field.nullable(table))
        personal = tables.personal.alias()
        found = ask(personal.c.fields[field.inside].astext, field.kind, True)
        return _over(personal.c.id == table.c[field.column], found)
    head, _, rest = path.partition(".")
    field = of.fields.get(head)
    if not rest or field is None or field.to is None:
        known = (name for name in of.fields if customer is None or name not in of.shop_only)
        raise wrong(told, f"{of.name} has no such field; it has {', '.join(known)}")
    target = COLLECTIONS[field.to]
    other = target.table.alias()
    found = _at(target, other, rest, ask, customer, told)
    return _over(and_(other.c.id == table.c[field.column], target.visible(other, customer)), found)


def _field(of: Collection, path: str, customer: Who) -> Field | None:
    """The field of that name, as far as the caller may know of it."""
    return None if customer is not None and path in of.shop_only else of.fields.get(path)


def _over(linked: ColumnElement[bool], found: Asked) -> Asked:
    """A condition about the one row that is `linked`, if there is one, as a condition about what it is linked to."""
    met, of_null = found
    if of_null:
        return ~exists().where(linked, met.is_not(True)), True
    return exists().where(linked, met), False


def _value(of: Collection, table: FromClause, path: str, customer: Who) -> tuple[ColumnElement[Any], bool] | None:
    """(the field at `path` as one value per row of `table`, whether it may be null), or None for what cannot be sorted."""
    if (field := _field(of, path, customer)) is not None:
        if field.kind in (Kind.GROUP, Kind.NAMES, Kind.OBJECTS):
            return None
        if not field.inside:
            return table.c[field.column], field.nullable(table)
        personal = tables.personal.alias()
        inner = select(personal.c.fields[field.inside].astext).where(personal.c.id == table.c[field.column])
        return inner.scalar_subquery(), True
    head, _, rest = path.partition(".")
    field = of.fields.get(head)
    if not rest or field is None or field.to is None:
        return None
    target = COLLECTIONS[field.to]
    other = target.table.alias()
    value = _value(target, other, rest, customer)
    if value is None:
        return None
    inner = select(value[0]).where(other.c.id == table.c[field.column], target.visible(other, customer))
    return inner.scalar_subquery(), True
