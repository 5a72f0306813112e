"""Statements of the hot path, as the driver takes them, and many writes in one.

SQLAlchemy's `text()` costs 60 µs each time it runs; a statement that the driver gets as it is, 20. All
writes of a batch travel as one statement of common table expressions (decision 0010): they see the database
as it was before, so no two of them may touch the same row; foreign keys are checked at its end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import psycopg
from sqlalchemy import Connection, CursorResult

from storage.literals import columns

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")
_composed: dict[tuple[str, ...], str] = {}  # the names of the writes → their statement
# The driver takes a statement with $1, $2 … as it is. With %(names)s it would parse those of more than 4,096
# characters or 50 parameters anew each time: 0.4 ms.
RAW = {"raw": True}


class Statement:
    """One statement with `:names`; run it with a literal for each."""

    __slots__ = ("sql",)

    def __init__(self, sql: str) -> None:
        self.sql = _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))

    def run(self, conn: Connection, parameters: dict[str, Any]) -> CursorResult[*tuple[Any, ...]]:
        """Its rows. Errors are SQLAlchemy's."""
        return conn.exec_driver_sql(self.sql, parameters)


@dataclass(frozen=True, slots=True)
class Write:
    """A statement that writes any number of rows out of `unnest`: its name, its columns, their types."""

    name: str
    names: Sequence[str]
    kinds: Sequence[str]
    sql: str


@dataclass(slots=True)
class Writes:
    """What a transaction writes, sent as one statement."""

    _parts: list[Write] = field(default_factory=list)
    _parameters: list[str] = field(default_factory=list)

    def add(self, write: Write, rows: Sequence[Sequence[Any]]) -> None:
        """Write `rows`, unless there are none. No row of one write may be a row of another."""
        if not rows:
            return
        self._parts.append(write)
        self._parameters += columns(write.names, write.kinds, rows).values()

    def run(self, conn: Connection) -> None:
        """Send all that was added. Errors: IntegrityError and DataError name the constraint or value at fault."""
        if not self._parts:
            return
        key = tuple(write.name for write in self._parts)
        sql = _composed.get(key)
        if sql is None:
            sql = _composed[key] = _compose(self._parts)
        conn.exec_driver_sql(sql, tuple(self._parameters), execution_options=RAW)


def execute_raw(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
    """SQLAlchemy's `do_execute` event: what asked for it goes to the driver as it is."""
    if "raw" not in context.execution_options:
        return None
    psycopg.RawCursor(cursor.connection).execute(statement, parameters)
    return True


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
