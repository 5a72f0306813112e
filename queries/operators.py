"""The operators: a column and a value as an SQL condition, the same for every collection.

Each answers `(condition, of_null)`: what to ask of a row that has the column, and whether a null meets it. Whoever
compiles a path over relationships needs the second for rows at whose end there is nothing.

    equals, not_equals    a null equals null alone; not_equals is the opposite, so it matches nulls
    in, not_in, all       of nothing: no documents, all of them, none of them; all asks of a list that it holds
                          each value, of a single value that it is each of them
    exists                null, an empty text and an empty list do not
    greater_than …        never true of a null
    like                  all of the words, in any order, in either case; not_like the opposite, so it matches nulls
    contains              the text as it stands, in either case; of a list: has it
    On ids, keys aside, numbers and truths like and contains are equals, as in Payload; truths are not compared by size.

Times are shown to the millisecond, so to the millisecond they are compared: a `createdAt` as answered finds its
document, and greater_than it finds the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    DateTime,
    Numeric,
    Text,
    Uuid,
    all_,
    and_,
    any_,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine

from queries.coercion import NOTHING, several, single, truth
from queries.errors import wrong
from queries.fields import Kind
from storage.like import escaped

MOST_WORDS = 20  # of one like
MILLISECOND = timedelta(milliseconds=1)

Asked = tuple[ColumnElement[bool], bool]
_SQL: dict[Kind, TypeEngine[Any]] = {
    Kind.TEXT: Text(),
    Kind.KEY: Text(),
    Kind.NAMES: Text(),
    Kind.NUMBER: Numeric(),
    Kind.TIME: DateTime(timezone=True),
    Kind.ID: Uuid(as_uuid=False),
    Kind.TRUTH: Boolean(),
}


def asked(column: ColumnElement[Any], kind: Kind, nullable: bool, operator: str, told: Any, field: str) -> Asked:
    """`column operator told` as SQL. Errors: QueryError naming `field`, where the value or the operator does not fit."""
    if operator == "exists":
        return _empty(column, kind, nullable, not truth(told, field))
    if kind is Kind.GROUP:
        raise wrong(
            field, f"takes exists alone; ask for one of its fields, as {field}.… of the collection's reference says"
        )
    if kind is Kind.OBJECTS:
        raise wrong(field, "takes exists alone")
    if kind is Kind.NAMES:
        return _of_list(column, operator, told, field)
    if operator in ("in", "not_in", "all"):
        return _of_several(column, kind, nullable, operator, several(told, kind, field))
    if operator in _COMPARE and kind is Kind.TRUTH:
        raise wrong(field, f"is true or false, which {operator} cannot be asked of; use equals, in or exists")
    if operator in _COMPARE:
        return _compared(column, kind, operator, told, field)
    if operator in ("like", "not_like", "contains"):
        if kind in (Kind.TEXT, Kind.KEY):
            return _alike(column, operator, _words_of(told, operator, field))
        if kind is Kind.TIME:
            raise wrong(field, f"is a time, which {operator} cannot be asked of; use greater_than and less_than")
        operator = "not_equals" if operator == "not_like" else "equals"
    value = single(told, kind, field)
    if value is None:
        return _empty(column, kind, nullable, operator == "equals")
    if operator == "equals":
        return (false() if value is NOTHING else _shown(column, kind) == literal(value, _SQL[kind])), False
    if value is NOTHING:
        return true(), True
    differs = _shown(column, kind) != literal(value, _SQL[kind])
    return (or_(differs, column.is_(None)) if nullable else differs), True


def _shown(column: ColumnElement[Any], kind: Kind) -> ColumnElement[Any]:
    return func.date_trunc("milliseconds", column) if kind is Kind.TIME else column


def _empty(column: ColumnElement[Any], kind: Kind, nullable: bool, empty: bool) -> Asked:
    """Whether there is nothing; or, with `empty` false, whether there is something."""
    if kind is Kind.OBJECTS:
        none = literal([], JSONB())
        some = func.coalesce(column, none, type_=JSONB()) != none
        return (~some if empty else some), empty
    if kind is Kind.NAMES:
        size = func.cardinality(column)
        return (size == 0 if empty else size > 0), empty
    if kind in (Kind.TEXT, Kind.KEY):
        if empty:
            return or_(column.is_(None), column == ""), True
        return column != "", False  # null is not <> ''
    if not nullable:
        return (false() if empty else true()), empty
    return (column.is_(None) if empty else column.is_not(None)), empty


def _of_several(column: ColumnElement[Any], kind: Kind, nullable: bool, operator: str, values: Sequence[Any]) -> Asked:
    some = [value for value in dict.fromkeys(values) if value is not None and value is not NOTHING]
    null = None in values
    if operator == "all":
        if len(set(values)) != 1:  # a single value cannot be two
            return false(), False
        operator = "in"
    among = _shown(column, kind) == any_(literal(some, ARRAY(_SQL[kind])))
    empty, _ = _empty(column, kind, nullable, True)
    if operator == "in":
        return or_(*([among] if some else []), *([empty] if null else []), false()), null
    outside = _shown(column, kind) != all_(literal(some, ARRAY(_SQL[kind]))) if some else true()
    if null:
        return and_(outside, _empty(column, kind, nullable, False)[0]), False
    return (or_(outside, column.is_(None)) if nullable else outside), True


def _greater_than(column: ColumnElement[Any], at: datetime) -> ColumnElement[bool]:
    return column >= _moment(_floor(at), 1)


def _less_than_equal(column: ColumnElement[Any], at: datetime) -> ColumnElement[bool]:
    return column < _moment(_floor(at), 1)


def _greater_than_equal(column: ColumnElement[Any], at: datetime) -> ColumnElement[bool]:
    return column >= _moment(_floor(at), int(at != _floor(at)))


def _less_than(column: ColumnElement[Any], at: datetime) -> ColumnElement[bool]:
    return column < _moment(_floor(at), int(at != _floor(at)))


def _floor(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _moment(at: datetime, later: int) -> ColumnElement[datetime]:
    """`at`, or a millisecond later; at the end of all time there is no later."""
    try:
        at += later * MILLISECOND
    except OverflowError:
        at = datetime.max.replace(tzinfo=at.tzinfo)
    return literal(at, DateTime(timezone=True))


_COMPARE: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "greater_than": lambda column, value: column > value,
    "greater_than_equal": lambda column, value: column >= value,
    "less_than": lambda column, value: column < value,
    "less_than_equal": lambda column, value: column <= value,
}
_COMPARE_TIMES: dict[str, Callable[[ColumnElement[Any], datetime], ColumnElement[bool]]] = {
    "greater_than": _greater_than,
    "greater_than_equal": _greater_than_equal,
    "less_than": _less_than,
    "less_than_equal": _less_than_equal,
}


def _compared(column: ColumnElement[Any], kind: Kind, operator: str, told: Any, field: str) -> Asked:
    value = single(told, kind, field)
    if value is None:
        raise wrong(field, f"{operator} takes a value")
    if value is NOTHING:
        return false(), False
    if kind is Kind.TIME:
        return _COMPARE_TIMES[operator](column, value), False
    return _COMPARE[operator](column, literal(value, _SQL[kind])), False


def _words_of(told: Any, operator: str, field: str) -> list[str]:
    """What must be found: each word, or with contains the text as it stands."""
    value = single(told, Kind.TEXT, field) or ""
    words = [value] if operator == "contains" else list(dict.fromkeys(value.split()))
    if len(words) > MOST_WORDS:
        raise wrong(field, f"{operator} takes at most {MOST_WORDS} words")
    return words


def _holds(column: ColumnElement[Any], words: Sequence[str]) -> ColumnElement[bool]:
    return and_(*(column.ilike(literal(f"%{escaped(word)}%", Text())) for word in words), column.is_not(None))


def _alike(column: ColumnElement[Any], operator: str, words: Sequence[str]) -> Asked:
    found = _holds(column, words)
    return (found.is_not(True), True) if operator == "not_like" else (found, False)


def _of_list(column: ColumnElement[Any], operator: str, told: Any, field: str) -> Asked:
    """`flags`: equals asks whether it holds the value."""
    if operator in _COMPARE:
        raise wrong(field, f"is a list, which {operator} cannot be asked of; use in, all, contains or exists")
    if operator in ("like", "not_like"):
        each = func.unnest(column).column_valued("each")
        alike = exists(select(1).where(_holds(each, _words_of(told, operator, field))))
        return (~alike, True) if operator == "not_like" else (alike, False)
    if operator in ("in", "not_in", "all") or (operator == "contains" and isinstance(told, list)):
        values = several(told, Kind.NAMES, field)
    else:
        values = [single(told, Kind.NAMES, field)]
    some = [value for value in values if value is not None]
    null = None in values
    empty, _ = _empty(column, Kind.NAMES, False, True)
    if operator == "all":
        holds = column.contains(literal(some, ARRAY(Text)))
        return (false() if null or not some else holds), False
    among = column.overlap(literal(some, ARRAY(Text))) if some else false()
    found = or_(among, empty) if null else among
    return (~found, not null) if operator in ("not_in", "not_equals") else (found, null)
