"""Statements of the hot path, handed to the driver as they are, and many writes in one.

SQLAlchemy's `text()` costs 60 µs and more each time it runs, the driver alone 20; so here SQLAlchemy keeps the
connection, the transaction, its errors and its listeners, and psycopg runs the statement. All writes of a batch
travel as one statement of common table expressions (decision 0010): they see the database as it was before, so no
two of them may touch the same row; foreign keys are checked at its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import psycopg
from sqlalchemy import Connection, Select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError

from storage.pg_arrays import array, columns

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")
_DIALECT = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
_composed: dict[tuple[str, ...], str] = {}  # the names of the writes → their statement


class Statement:
    """One statement with `:names`; run it with a literal for each."""

    __slots__ = ("_names", "_sql")

    def __init__(self, sql: str) -> None:
        self._names: list[str] = []
        self._sql = _PARAMETER.sub(self._place, sql)

    def _place(self, match: re.Match[str]) -> str:
        name = match[1]
        if name not in self._names:
            self._names.append(name)
        return f"${self._names.index(name) + 1}"

    def run(self, conn: Connection, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Its rows, none where it answers none. Errors are SQLAlchemy's."""
        return _run(conn, self._sql, [parameters[name] for name in self._names])


class RawSelect:
    """A select of SQLAlchemy's, compiled once; its rows have their columns as attributes."""

    __slots__ = ("_constants", "_names", "_select", "_shape", "_sql")

    def __init__(self, select: Select[Any]) -> None:
        compiled = select.compile(dialect=_DIALECT)
        self._select = select
        self._sql = str(compiled)
        self._names = list(compiled.positiontup or ())
        self._constants = compiled.params
        self._shape: Callable[[Sequence[tuple[Any, ...]]], list[Any]] | None = None

    def run(self, conn: Connection, parameters: Mapping[str, Any]) -> list[Any]:
        """Its rows. `parameters` has what is bound by name, as text. Errors are SQLAlchemy's."""
        told = {**self._constants, **parameters}
        cursor = _execute(conn, self._sql, [told[name] for name in self._names])
        if self._shape is None:
            self._shape = _shape(self._select, cursor)
        return self._shape(cursor.fetchall())


def _shape(select: Select[Any], cursor: psycopg.RawCursor[Any]) -> Callable[[Sequence[tuple[Any, ...]]], list[Any]]:
    """What makes rows out of the driver's: values as SQLAlchemy's types of the columns have them."""
    columns = cursor.description or ()
    names = [column.name for column in columns]
    changes = [
        (name, change)
        for name, column, given in zip(names, select.selected_columns, columns, strict=True)
        if (change := column.type.dialect_impl(_DIALECT).result_processor(_DIALECT, given.type_code))
    ]

    def rows(found: Sequence[tuple[Any, ...]]) -> list[Any]:
        made = [SimpleNamespace(**dict(zip(names, values, strict=True))) for values in found]
        for row in made:
            for name, change in changes:
                setattr(row, name, change(getattr(row, name)))
        return made

    return rows


@dataclass(frozen=True, slots=True)
class Write:
    """A statement that writes any number of rows out of `unnest`: its name, its columns, their types."""

    name: str
    names: Sequence[str]
    kinds: Sequence[str]
    sql: str


@dataclass(slots=True)
class Writes:
    """The writes of a transaction, sent as one statement."""

    _parts: list[Write] = field(default_factory=list)
    _parameters: list[str] = field(default_factory=list)

    def add(self, write: Write, rows: Sequence[Sequence[Any]]) -> None:
        """Write `rows`, unless there are none. No row of one write may be a row of another."""
        if not rows:
            return
        self._parts.append(write)
        self._parameters += columns(write.names, write.kinds, rows).values()

    def add_columns(self, write: Write, values: Sequence[Sequence[Any]]) -> None:
        """As `add`, of rows that come as columns, in the write's order; no columns are no rows."""
        if values:
            self._parts.append(write)
            self._parameters += [array(each, kind) for each, kind in zip(values, write.kinds, strict=True)]

    def run(self, conn: Connection) -> None:
        """Send all that was added. Errors: IntegrityError and DataError name the constraint or value at fault."""
        if not self._parts:
            return
        key = tuple(write.name for write in self._parts)
        sql = _composed.get(key)
        if sql is None:
            sql = _composed[key] = _compose(self._parts)
        _run(conn, sql, self._parameters)


def _run(conn: Connection, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """A statement's rows, none where it answers none."""
    cursor = _execute(conn, sql, parameters)
    answer = cursor.pgresult
    return cursor.fetchall() if answer is not None and answer.nfields else []


def _execute(conn: Connection, sql: str, parameters: Sequence[Any]) -> psycopg.RawCursor[Any]:
    """What SQLAlchemy does for a statement, as far as it is needed here.

    The driver takes $1, $2 … as they are. %(names)s it would parse anew each time in a statement of more than 4,096
    characters or 50 parameters: 0.4 ms.
    """
    if not conn.in_transaction():
        conn.begin()
    cursor = psycopg.RawCursor(_driver(conn))
    for listener in conn.dispatch.before_cursor_execute:
        listener(conn, cursor, sql, parameters, None, False)
    try:
        cursor.execute(sql, parameters)
    except psycopg.Error as error:
        raise _translated(conn, sql, error) from error
    for listener in conn.dispatch.after_cursor_execute:
        listener(conn, cursor, sql, parameters, None, False)
    return cursor


def _driver(conn: Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", conn.connection.driver_connection)


def _translated(conn: Connection, sql: str, error: psycopg.Error) -> Exception:
    """The driver's error as SQLAlchemy's; a connection that is lost is given up, so that a rollback asks nothing of it."""
    lost = _driver(conn).closed
    if lost:
        conn.invalidate(error)
    found: Exception = DBAPIError.instance(
        sql, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=lost, dialect=conn.dialect
    )
    return found


def _compose(parts: Sequence[Write]) -> str:
    number = count(1)
    statements = []
    for write in parts:
        places = {name: f"${next(number)}" for name in write.names}
        statements.append(_PARAMETER.sub(lambda match, places=places: places[match[1]], write.sql))  # type: ignore[misc]
    *before, last = statements
    if not before:
        return last
    named = ",\n".join(f"w{n} as ({sql})" for n, sql in enumerate(before))
    return f"with {named}\n{last}"
