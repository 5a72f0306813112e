"""Databases of tests: made from a migrated template, and given to the next test once they are as new.

To make one and to drop it costs a third of a second, to empty one a fiftieth. So a database whose schema is still the
template's is emptied: its tables, its sequences, and what the migrations had put in; so is one whose schema differs by
functions that a test added, by their triggers, and by constraints: those are taken away. Any other is dropped. A table is
emptied row by row while it is small: to truncate it makes new files of it and of each of its indexes.

The connection that empties a database is kept for the next time: what a new one has to read of the catalogs costs
PostgreSQL four times as much as the emptying itself.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import make_url

SMALL_BYTES = 128 << 10  # of a table; what it was before and nobody vacuumed counts, so that it does not grow for ever
_numbers = itertools.count(1)
# Whatever a test may have changed of a schema, and of the database's own settings.
_SHAPE = """
    select md5(string_agg(line, chr(10) order by line)) from (
        select concat_ws(' ', c.oid::regclass, c.relkind, c.reloptions, c.relpersistence, a.attname, a.atttypid,
                         a.attnotnull, a.attisdropped, a.atthasdef) as line
        from pg_class c left join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'public'::regnamespace
        union all select concat_ws(' ', conrelid::regclass, pg_get_constraintdef(oid), convalidated)
        from pg_constraint where connamespace = 'public'::regnamespace
        union all select concat_ws(' ', tgrelid::regclass, tgname, tgenabled) from pg_trigger
        union all select concat_ws(' ', proname, md5(prosrc)) from pg_proc where pronamespace = 'public'::regnamespace
        union all select concat_ws(' ', nspname) from pg_namespace
        union all select concat_ws(' ', setrole, setconfig) from pg_db_role_setting
        where setdatabase = (select oid from pg_database where datname = current_database())
    ) lines
"""
_TABLES = """
    select c.oid::regclass::text from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by 1
"""
_SEQUENCES = """
    select setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) from pg_sequences
    where last_value is not null
"""
_CONSTRAINTS = "select conrelid::regclass::text, conname from pg_constraint where connamespace = 'public'::regnamespace"
_WRITTEN = """
    select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
    where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = ''
"""
_FUNCTIONS = "select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace"
_OTHERS = """
    select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
"""


class Databases:
    """The databases of one server that came from one template; one that nobody uses is given away again."""

    def __init__(self, server: str, template: str) -> None:
        self._server, self._template = server, template
        self._free: list[str] = []
        self._open: dict[str, psycopg.Connection] = {}
        with psycopg.connect(with_database(server, template), autocommit=True) as conn:
            self._shape = conn.execute(_SHAPE).fetchone()
            self._functions = {row[0] for row in conn.execute(_FUNCTIONS)}
            self._constraints = set(conn.execute(_CONSTRAINTS))
            self._tables = [row[0] for row in conn.execute(_TABLES)]
            filled = _filled(conn, self._tables)
            self._seeds = {table: _rows(conn, table) for table in filled}

    @contextmanager
    def one(self) -> Iterator[str]:
        """A database as the template is."""
        name = self._free.pop() if self._free else make(self._server, self._template)
        try:
            yield with_database(self._server, name)
        finally:
            if self._emptied(name):
                self._free.append(name)
            else:
                self._drop(name)

    def close(self) -> None:
        """Drop those that nobody uses."""
        while self._free:
            self._drop(self._free.pop())

    def _drop(self, name: str) -> None:
        if (conn := self._open.pop(name, None)) is not None:
            conn.close()
        drop(self._server, name)

    def _emptied(self, name: str) -> bool:
        """Make it as new; False where its schema is another's, or it is gone."""
        try:
            conn = self._alone(name)
            if not self._is_of_the_template(conn):
                return False
            filled = _filled(conn, self._tables)
            used = [table for table in filled if not self._as_made(conn, table)]
            if used:
                conn.execute("set session_replication_role = replica")  # audit refuses to be emptied
                conn.execute("; ".join(f"delete from {each}" for each in used if filled[each] <= SMALL_BYTES))
                if large := [each for each in used if filled[each] > SMALL_BYTES]:
                    conn.execute(f"truncate {', '.join(large)} cascade")
                conn.execute("reset session_replication_role")
            for table, rows in self._seeds.items():
                if not self._as_made(conn, table):
                    (columns,) = conn.execute(_WRITTEN, [table]).fetchone() or ("",)
                    conn.execute(
                        f"insert into {table} ({columns}) overriding system value "
                        f"select {columns} from json_populate_recordset(null::{table}, %s)", [rows],
                    )  # fmt: skip
            conn.execute(_SEQUENCES)
            return True
        except psycopg.Error:  # a test took it away
            return False

    def _alone(self, name: str) -> psycopg.Connection:
        """A connection to a database that nobody else is connected to."""
        if (kept := self._open.get(name)) is not None:
            with suppress(psycopg.OperationalError):  # a test ended it
                kept.execute(_OTHERS)
                return kept
            kept.close()
        url = with_database(self._server, name)
        self._open[name] = conn = psycopg.connect(url, autocommit=True, application_name="orders tests")
        conn.execute(_OTHERS)
        return conn

    def _is_of_the_template(self, conn: psycopg.Connection) -> bool:
        """Whether the schema is the template's, once the functions and constraints are gone that a test added."""
        if conn.execute(_SHAPE).fetchone() == self._shape:
            return True
        for (function,) in conn.execute(_FUNCTIONS).fetchall():
            if function not in self._functions:
                conn.execute(f"drop function {function} cascade")
        for table, name in conn.execute(_CONSTRAINTS).fetchall():
            if (table, name) not in self._constraints:
                conn.execute(SQL("alter table {} drop constraint {}").format(SQL(table), Identifier(name)))
        return conn.execute(_SHAPE).fetchone() == self._shape

    def _as_made(self, conn: psycopg.Connection, table: str) -> bool:
        return table in self._seeds and _rows(conn, table) == self._seeds[table]


def make(server: str, template: str) -> str:
    """Copy a database that nobody is connected to; the name of the copy."""
    name = f"orders_test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(SQL("create database {} template {}").format(*map(Identifier, (name, template))))
    return name


def drop(server: str, name: str) -> None:
    """Drop a database, whoever is connected still."""
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(SQL("drop database if exists {} with (force)").format(Identifier(name)))


def with_database(server: str, name: str) -> str:
    """A server's URL with another database in it."""
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _filled(conn: psycopg.Connection, tables: list[str]) -> dict[str, int]:
    """Those that have a row, with their sizes in bytes, in one round trip."""
    asked = " union all ".join(
        f"select '{table}', pg_relation_size('{table}') where exists (select from {table})" for table in tables
    )
    return dict(conn.execute(asked).fetchall())


def _rows(conn: psycopg.Connection, table: str) -> str:
    row = conn.execute(f"select coalesce(json_agg(t order by t::text), '[]')::text from {table} t").fetchone()
    assert row is not None
    return str(row[0])
