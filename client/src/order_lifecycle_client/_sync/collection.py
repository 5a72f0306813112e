# Written by client/write_sync.py from _async; change that.
"""A collection: found, counted, one by its id, all of them page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from order_lifecycle_client._sync.connection import Connection
from order_lifecycle_client.codec import query_string, segment
from order_lifecycle_client.models import Document, Page
from order_lifecycle_client.request_types import Joins, Select, Where
from order_lifecycle_client.retry_policy import after, ask, page_of, partial, total

D = TypeVar("D", bound=Document)


class Collection(Generic[D]):
    """The documents of one collection that the caller may see.

    `where`    {"status": {"equals": "paid"}, "or": […]}: fields in snake_case or as on the wire, also over
               relationships ("order.order_number")
    `sort`     "-created_at", or several: "-created_at,order_number"
    `depth`    0: relationships are ids; 1: documents
    `select`   {"order_number": True}: these fields alone; {"notes": False}: all others. What is left out is None
    `joins`    {"products": {"limit": 5}, "returns": False}, or False for none; what is left out is None
    Errors: ValidationFailed for a query that is wrong, and what every call raises (`errors`).
    """

    def __init__(self, connection: Connection, name: str, model: type[D]) -> None:
        self._connection, self._model = connection, model
        self._path = f"/api/{segment(name)}"

    def find(
        self,
        *,
        where: Where | None = None,
        sort: str | Sequence[str] | None = None,
        limit: int = 10,
        page: int = 1,
        depth: int = 0,
        select: Select | None = None,
        joins: Joins | None = None,
    ) -> Page[D]:
        """One page of the documents that match; `limit` 0 is all of them, up to the API's maximum."""
        query = query_string(where=where, sort=sort, limit=limit, page=page, depth=depth, select=select, joins=joins)
        return self._connection.send(ask(self._path, page_of(self._shape(select, joins)), query))

    def find_by_id(self, id: str, *, depth: int = 0, select: Select | None = None, joins: Joins | None = None) -> D:
        """The document of that id. Errors: NotFound."""
        query = query_string(depth=depth, select=select, joins=joins)
        read = self._shape(select, joins).model_validate
        return self._connection.send(ask(f"{self._path}/{segment(id)}", read, query))

    def count(self, *, where: Where | None = None) -> int:
        """The number of documents that match."""
        return self._connection.send(ask(f"{self._path}/count", total, query_string(where=where)))

    def iterate(
        self,
        *,
        where: Where | None = None,
        sort: str | Sequence[str] = "id",
        page_size: int = 100,
        depth: int = 0,
        select: Select | None = None,
        joins: Joins | None = None,
    ) -> Iterator[D]:
        """Every document that matches, `page_size` a request.

        By id each comes once, also where you change documents on the way so that they match no more. Ids of the API's own
        ascend with time, so what is created meanwhile comes last; the catalogue's are yours. With another `sort` pages are
        counted, so that documents are skipped or repeated where some come or go meanwhile.
        """
        asked, number = where, 1
        by_id = sort in ("id", ["id"], ("id",))
        while True:
            page = self.find(
                where=asked, sort=sort, limit=page_size, page=number, depth=depth, select=select, joins=joins
            )
            for document in page.docs:
                yield document
            if not page.has_next_page:
                return
            if by_id:
                asked = after(where, page.docs[-1].id)
            else:
                number += 1

    def _shape(self, select: Select | None, joins: Joins | None) -> type[D]:
        return self._model if select is None and joins is None else partial(self._model)
