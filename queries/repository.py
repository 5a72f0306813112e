"""Documents by query: a page, one by id, how many. A constant number of statements, whatever the page's size.

    a page            one statement; its count another, unless the page itself tells
    depth 0           none for a join's first ids, unless pages are skipped; one for each other join
    depth 1           one per join and one more for its items; one per collection that relationships point at
    depth 2           the same again for what depth 1 embeds

`customer` narrows each of them, in SQL, to what that customer may see; None is the shop itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from domain.ids import format_id
from queries import sql
from queries.coercion import NOTHING, single
from queries.compiler import condition, ordering
from queries.documents import Document, join, list_answer, row_maker
from queries.errors import QueryError, wrong
from queries.fields import Collection, Join
from queries.parser import JoinQuery, Query
from queries.parser import Select as Selected
from queries.schema import COLLECTIONS, collection_of
from queries.sql import FIRST, PLAIN, WHOLE, brought
from storage.raw_sql import RawSelect

MOST_ALL = 10_000  # documents that one answer without pages holds
AT_ONCE = 500  # documents in memory where all are gone through


def find(
    conn: Connection, collection: str, query: Query, customer: str | None = None, most: int | None = MOST_ALL
) -> Document:
    """A list answer: the page of `collection` that `query` asks for.

    Shape:  at most two statements, and those of depth (above).
    Errors: KeyError for no collection; QueryError naming the field, or where all that match are over `most`.
    """
    of = collection_of(collection)
    matching = _matching(of, query, customer)
    statement = sql.rows(of.name, brought(of, query, query.depth), customer is not None).where(matching)
    statement = statement.order_by(*ordering(of, of.table, query.sort, customer))
    if query.limit:
        statement = statement.limit(query.limit).offset((query.page - 1) * query.limit)
    elif most is not None:
        statement = statement.limit(most + 1)
    rows = conn.execute(statement, {"customer": customer}).all()
    if not query.limit and most is not None and len(rows) > most:
        raise QueryError(f"More than {most} documents match; go through them with limit=1000 and page=1, page=2, …")
    total = _total(conn, of, matching, query, len(rows), customer)
    docs = _Documents(conn, customer).of(of, rows, query.depth, query)
    return list_answer(docs, total, query.limit, query.page if query.limit else 1)


def each(
    conn: Connection, collection: str, query: Query, customer: str | None = None, at_once: int = AT_ONCE
) -> Iterator[Document]:
    """All documents of `collection` that `query` asks for, without pages, few of them in memory at a time.

    Shape:  one statement behind a cursor of the server; and those of depth for every `at_once` documents.
    Errors: as `find`.
    """
    of = collection_of(collection)
    statement = sql.rows(of.name, brought(of, query, query.depth), customer is not None)
    statement = statement.where(_matching(of, query, customer))
    statement = statement.order_by(*ordering(of, of.table, query.sort, customer))
    reader = _Documents(conn, customer)
    with conn.execute(statement, {"customer": customer}, execution_options={"yield_per": at_once}) as found:
        for rows in found.partitions():
            yield from reader.of(of, rows, query.depth, query)


def find_by_id(
    conn: Connection, collection: str, id: str, query: Query, customer: str | None = None
) -> Document | None:
    """The document of that id (`ord_…`, a bare UUID, or the shop's own), or None where the caller sees none.

    Errors: KeyError for no collection; QueryError for a join of the query's that is none.
    """
    of = collection_of(collection)
    wanted = _key(of, id)
    if wanted is None:
        return None
    return _one(conn, of, "id", wanted, query, customer)


def find_order(conn: Connection, number: str, query: Query, customer: str | None = None) -> Document | None:
    """The order of that number, or None where the caller sees none."""
    if "\x00" in number:
        return None
    return _one(conn, COLLECTIONS["orders"], "order_number", number, query, customer)


def count(conn: Connection, collection: str, query: Query, customer: str | None = None) -> Document:
    """`{"totalDocs": …}` of all that match. Errors: KeyError for no collection; QueryError naming the field."""
    of = collection_of(collection)
    return {"totalDocs": _count(conn, of, _matching(of, query, customer), customer)}


def document(conn: Connection, collection: str, uuid: str, depth: int = 0) -> Document | None:
    """The document of that id as it stands in this transaction: what a write answers with."""
    return find_by_id(conn, collection, uuid, Query(depth=depth))


def visible_id(conn: Connection, collection: str, id: str, customer: str | None = None) -> str | None:
    """The id as stored, if the caller sees a document of that id."""
    of = collection_of(collection)
    wanted = _key(of, id)
    if wanted is None:
        return None
    statement = select(of.table.c.id).where(of.table.c.id == wanted, sql.visible(of.name, customer is not None))
    found: str | None = conn.execute(statement, {"customer": customer}).scalar_one_or_none()
    return found


# -- statements --------------------------------------------------------------------------------------------


def _key(of: Collection, id: str) -> str | None:
    """An id as stored, or None where no row can have it."""
    if "\x00" in id:
        return None
    value = single(id, of.key.kind, "id")
    return None if value is None or value is NOTHING else str(value)


def _matching(of: Collection, query: Query, customer: str | None) -> ColumnElement[bool]:
    return and_(sql.visible(of.name, customer is not None), condition(of, of.table, query.where, customer))


def _one(
    conn: Connection, of: Collection, column: str, value: str, query: Query, customer: str | None
) -> Document | None:
    statement = sql.one(of.name, column, brought(of, query, query.depth), customer is not None)
    rows = statement.run(conn, {"value": value, "customer": customer})
    return _Documents(conn, customer).of(of, rows, query.depth, query)[0] if rows else None


def _total(
    conn: Connection, of: Collection, matching: ColumnElement[bool], query: Query, found: int, customer: str | None
) -> int:
    """How many match; counted only where the page does not tell."""
    if not query.counted or not query.limit:
        return found
    skipped = (query.page - 1) * query.limit
    if found < query.limit and (found or not skipped):
        return skipped + found
    return _count(conn, of, matching, customer)


def _count(conn: Connection, of: Collection, matching: ColumnElement[bool], customer: str | None) -> int:
    statement = select(func.count()).select_from(of.table).where(matching)
    return int(conn.execute(statement, {"customer": customer}).scalar_one())


# -- documents ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Documents:
    """Rows as documents, with what hangs on them and what they point at."""

    conn: Connection
    customer: str | None

    def of(
        self, of: Collection, rows: Sequence[Any], depth: int, query: Query = PLAIN, *, inside: bool = False
    ) -> list[Document]:
        """The documents of `rows`; `inside` a join their own joins come whole with them, whatever the depth.

        Outside of one, `rows` bring the joins that are `brought`.
        """
        for name in query.joins:
            if name not in of.joins:
                raise wrong(f"joins.{name}", f"{of.name} has no such join; it has {', '.join(of.joins) or 'none'}")
        if not rows:
            return []
        ids = [row.id for row in rows]
        in_rows = frozenset() if inside else brought(of, query, depth)
        joined = {
            name: _first_ids(each, rows)
            if name in in_rows
            else self._joined(each, ids, asked, depth, whole=inside or depth > 0)
            for name, each in of.joins.items()
            if (asked := query.joins.get(name, WHOLE if inside else FIRST)) and query.joined and query.wants(name)
        }
        make = row_maker(of)
        docs = [make(row, {name: found[row.id] for name, found in joined.items()}) for row in rows]
        if self.customer is not None and of.shop_only:
            docs = [doc | dict.fromkeys(of.shop_only) for doc in docs]
        if query.select is not None:
            docs = [_selected(doc, query.select) for doc in docs]
        if depth > 0:
            self._populate(of, rows, docs, depth - 1)
        return docs

    def _joined(
        self, each: Join, owners: Sequence[str], asked: JoinQuery, depth: int, *, whole: bool
    ) -> dict[str, Document]:
        """owner id → its join: ids, or `whole` documents."""
        of = COLLECTIONS[each.collection]
        first = (asked.page - 1) * asked.limit
        told = {"owners": list(owners), "first": first, "last": first + asked.limit, "customer": self.customer}
        rows = self._run(sql.joined(each, asked, self.customer, whole), told)
        page = [row for row in rows if row.n > first]
        docs = (
            self.of(of, page, max(depth - 1, 0), inside=True) if whole else [format_id(of.name, row.id) for row in page]
        )
        held: dict[str, list[Any]] = {owner: [] for owner in owners}
        for row, doc in zip(page, docs, strict=True):
            held[row.owner].append(doc)
        totals = {row.owner: row.total for row in rows}
        return {owner: _page(held[owner], totals.get(owner, 0), first, asked) for owner in owners}

    def _run(self, statement: RawSelect | Select[Any], told: dict[str, Any]) -> Sequence[Any]:
        if isinstance(statement, RawSelect):
            return statement.run(self.conn, told)
        return self.conn.execute(statement, told).all()

    def _populate(self, of: Collection, rows: Sequence[Any], docs: Sequence[Document], depth: int) -> None:
        """Put the document in the place of each id that points at one which the caller sees."""
        fields = {name: field for name, field in of.fields.items() if field.to is not None and name in docs[0]}
        for target in dict.fromkeys(field.to for field in fields.values()):
            pointing = {name: field.column for name, field in fields.items() if field.to == target}
            ids = {getattr(row, column) for row in rows for column in pointing.values()} - {None}
            found = self._by_id(COLLECTIONS[str(target)], sorted(ids), depth) if ids else {}
            for row, doc in zip(rows, docs, strict=True):
                for name, column in pointing.items():
                    doc[name] = found.get(getattr(row, column), doc[name])

    def _by_id(self, of: Collection, ids: Sequence[str], depth: int) -> dict[str, Document]:
        told = {"ids": list(ids), "customer": self.customer}
        rows = self._run(sql.by_ids(of.name, self.customer is not None, depth), told)
        return dict(zip([row.id for row in rows], self.of(of, rows, depth), strict=True))


def _first_ids(each: Join, rows: Sequence[Any]) -> dict[str, Document]:
    """owner id → its join, out of the column that its row has for it."""
    found = {}
    for row in rows:
        ids = getattr(row, each.held)
        docs = [format_id(each.collection, id) for id in ids[: FIRST.limit]]
        found[row.id] = join(docs, has_next=len(ids) > FIRST.limit)
    return found


def _page(docs: Sequence[Any], total: int, first: int, asked: JoinQuery) -> Document:
    page = join(docs, has_next=bool(asked.limit) and total > first + asked.limit)
    return {**page, "totalDocs": total} if asked.count else page


def _selected(doc: Document, selected: Selected) -> Document:
    """The fields that are selected, of a group those of its own; the id is always there."""
    found: Document = {}
    for name, value in doc.items():
        if name != "id" and not selected.wants(name):
            continue
        if isinstance(value, dict) and "docs" not in value and name not in selected.names:
            value = {part: each for part, each in value.items() if selected.wants(f"{name}.{part}")}
        found[name] = value
    return found
