"""Documents as they are after a write, read in its transaction; and the orders that a `where` selects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from api.commands.request_models import LINES
from api.commands.write_endpoint import Document
from api.errors import validation_error
from journal.commands import Request
from queries import parser, repository
from queries.filters import ANYTHING, Condition
from queries.parser import Query, Select
from queries.querystring import tree


def document(request: Request, collection: str, uuid: str, depth: int) -> Document:
    """The document of that id, which is there: the request wrote or locked it."""
    found = repository.document(request.conn, collection, uuid, depth)
    if found is None:
        raise LookupError(f"{collection} {uuid} is gone within its own transaction")
    return found


def documents(request: Request, collection: str, uuids: Sequence[str], depth: int) -> list[Document]:
    """The documents of those ids; no more statements than for one."""
    wanted = Query(where=Condition("id", "in", list(uuids)), limit=0, counted=False, depth=depth)
    found: list[Document] = repository.find(request.conn, collection, wanted)["docs"]
    return found


def selection(query_string: str) -> Callable[[Request], list[str]]:
    """The statement that finds the ids of the orders that a query string's `where` selects, LINES at most.

    With `limit`, as Payload's bulk update has it, the first so many of them in the order of `sort`.
    Errors: ApiError 400 where it selects without a condition, or is none; from what it returns, where it selects more.
    """
    asked = parser.parse(query_string)
    if asked.where == ANYTHING:
        raise validation_error([("where", "is missing: say which, such as ?where[orderNumber][equals]=261101000001")])
    limit = asked.limit if tree(query_string, ("limit",)).get("limit") else 0  # unlike a page's, it is none by default
    ids = replace(
        asked,
        limit=limit,
        page=1,
        counted=False,
        depth=0,
        joined=False,
        joins={},
        select=Select(frozenset(("id",)), False),
    )

    def select(request: Request) -> list[str]:
        return [str(doc["id"]) for doc in repository.find(request.conn, "orders", ids, most=LINES)["docs"]]

    return select
