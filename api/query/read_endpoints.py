"""GET /api/{collection}, /{collection}/count and /{collection}/{id}, and what only orders have.

An answer is of one instant: all its statements see one snapshot. A document that is not there and one that the
caller may not see are the same 404. Everything refused is a 400 that names the field (`queries/parser.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy import Connection, text

from api.auth import Caller, reader, secret
from api.errors import ApiError
from api.path_converters import own_name
from api.query import openapi_parameters, openapi_schemas
from api.query.budget import CUSTOMER_S, Budgets, check
from api.query.overdue import with_overdue
from api.resources import doors_of
from api.responses import Json
from domain.balance import balance
from queries import timeline
from queries.documents import list_answer
from queries.fields import Collection, Kind
from queries.filters import ANYTHING
from queries.parser import Query, parse
from queries.repository import MOST_ALL, count, find, find_by_id, find_order, visible_id
from queries.schema import ALIASES, COLLECTIONS, REFUNDS
from storage.aggregates import peek
from storage.clock import clock

SECRET_ONLY = ("data", "detail")  # of a timeline: bodies and messages are for the shop
Reader = Annotated[Caller, Depends(reader)]
Secret = Annotated[Caller, Depends(secret)]
Id = Annotated[str, Path(description="Its id, as answered.")]
_HURRY = text(f"set local statement_timeout = {int(CUSTOMER_S * 1000)}")
_ABSENT: dict[int | str, dict[str, Any]] = {404: {"description": "There is none, for this caller"}}

router = APIRouter(tags=["Queries"])


@contextmanager
def snapshot(request: Request, caller: Caller) -> Iterator[Connection]:
    """A connection whose statements all see one instant, for what the caller's budget allows."""
    budgets: Budgets = request.app.state.budgets
    with budgets.spent(caller.customer), doors_of(request).reader.connect() as conn:
        conn = conn.execution_options(isolation_level="REPEATABLE READ")
        if caller.customer is not None:
            conn.execute(_HURRY)
        yield conn


def query_of(request: Request, caller: Caller) -> Query:
    """The query of a query string. Errors: ApiError 400, also where it costs more than the caller may ask for."""
    budgets: Budgets = request.app.state.budgets
    with budgets.read(caller.customer):
        query = parse(request.scope["query_string"].decode("utf-8", "replace"))
        check(query, caller.customer)
        return query


def _query_of(name: str, request: Request, caller: Caller) -> Query:
    """`query_of`, for a collection: of refunds, `overdue` may be asked."""
    query = query_of(request, caller)
    if name != REFUNDS.name or query.where == ANYTHING:
        return query
    return with_overdue(query, doors_of(request).settings.legal_clock, clock())


def _found(document: Any) -> Json:
    if document is None:
        raise ApiError(404, "Not Found")
    return Json(document)


# -- orders have more --------------------------------------------------------------------------------------


def find_order_by_number(
    request: Request,
    caller: Reader,
    orderNumber: Annotated[str, Path(description="The shop's number of the order.")],  # noqa: N803
) -> Json:
    """The order of that number."""
    query = query_of(request, caller)
    with snapshot(request, caller) as conn:
        return _found(find_order(conn, orderNumber, query, caller.customer))


def find_order_timeline(request: Request, caller: Reader, id: Id) -> Json:
    """Every event of the order with what became of it, newest last."""
    query = query_of(request, caller)
    with snapshot(request, caller) as conn:
        order = visible_id(conn, "orders", id, caller.customer)
        if order is None:
            raise ApiError(404, "Not Found")
        total = timeline.length(conn, order)
        if not query.limit and total > MOST_ALL:
            raise ApiError(400, f"More than {MOST_ALL} events; go through them with limit=1000 and page=1, page=2, …")
        page = query.page if query.limit else 1
        entries = timeline.timeline(conn, order, query.limit or None, (page - 1) * query.limit)
    if caller.kind != "secret":
        entries = [{name: each for name, each in entry.items() if name not in SECRET_ONLY} for entry in entries]
    return Json(list_answer(entries, total, query.limit, page))


def find_order_balance(request: Request, caller: Secret, id: Id) -> Json:
    """The money of the order, added up: what came, what is due back, what of that went back, and what is still owed."""
    with snapshot(request, caller) as conn:
        order_id = visible_id(conn, "orders", id, None)
        for order in peek(conn, [order_id] if order_id is not None else ()).values():
            return Json({"currency": order.currency, **asdict(balance(order))})
    raise ApiError(404, "Not Found")


# -- every collection --------------------------------------------------------------------------------------


def _only_for(of: Collection, endpoint: Callable[..., Json]) -> Callable[..., Json]:
    """The endpoint, for those who may see the collection at all: FastAPI reads who may call from the annotation."""
    if of.secret:
        endpoint.__annotations__["caller"] = Secret
    return endpoint


def _finder(name: str) -> Callable[..., Json]:
    def endpoint(request: Request, caller: Reader) -> Json:
        query = _query_of(name, request, caller)
        with snapshot(request, caller) as conn:
            return Json(find(conn, name, query, caller.customer))

    return endpoint


def _counter(name: str) -> Callable[..., Json]:
    def endpoint(request: Request, caller: Reader) -> Json:
        query = _query_of(name, request, caller)
        with snapshot(request, caller) as conn:
            return Json(count(conn, name, query, caller.customer))

    return endpoint


def _finder_by_id(name: str) -> Callable[..., Json]:
    def endpoint(request: Request, caller: Reader, id: Id) -> Json:
        query = query_of(request, caller)
        with snapshot(request, caller) as conn:
            return _found(find_by_id(conn, name, id, query, caller.customer))

    return endpoint


def _add(
    path: str,
    endpoint: Callable[..., Json],
    name: str,
    summary: str,
    schema: dict[str, Any],
    asked: list[dict[str, Any]],
    *,
    absent: bool = False,
    alias: bool = False,
) -> None:
    responses = {
        200: {"description": summary, "content": {"application/json": {"schema": schema}}},
        **(_ABSENT if absent else {}),
    }
    router.add_api_route(
        f"/api/{path}",
        endpoint,
        methods=["GET"],
        name=name,
        summary=summary,
        description=endpoint.__doc__ or summary,
        response_class=Json,
        response_model=None,
        responses=responses,
        openapi_extra={"parameters": asked},
        include_in_schema=not alias,
    )


def _add_collection(path: str, of: Collection, *, alias: bool) -> None:
    """Its three routes; what is fixed comes before the id."""
    name = path.replace("-", "_")
    document = openapi_schemas.reference(of)
    _add(
        path,
        _only_for(of, _finder(of.name)),
        f"find_{name}",
        f"Find {path}",
        openapi_schemas.list_schema(document),
        openapi_parameters.parameters(of, many=True),
        alias=alias,
    )
    _add(
        f"{path}/count",
        _only_for(of, _counter(of.name)),
        f"count_{name}",
        f"Count {path}",
        openapi_schemas.COUNT,
        openapi_parameters.parameters(of, many=True, counting=True),
        alias=alias,
    )
    _add(
        f"{path}/{own_name('id') if of.key.kind is Kind.KEY else '{id}'}",
        _only_for(of, _finder_by_id(of.name)),
        f"find_{name}_by_id",
        f"One of {path} by its id",
        document,
        openapi_parameters.parameters(of, many=False),
        absent=True,
        alias=alias,
    )


_ORDERS = COLLECTIONS["orders"]
_add(
    f"orders/by-number/{own_name('orderNumber')}",
    find_order_by_number,
    "find_order_by_number",
    "An order by its number",
    openapi_schemas.reference(_ORDERS),
    openapi_parameters.parameters(_ORDERS, many=False),
    absent=True,
)
_add(
    "orders/{id}/timeline",
    find_order_timeline,
    "find_order_timeline",
    "What happened to an order",
    openapi_schemas.list_schema(openapi_schemas.TIMELINE_ENTRY),
    openapi_parameters.pages(),
    absent=True,
)
_add(
    "orders/{id}/balance",
    find_order_balance,
    "find_order_balance",
    "The money of an order, added up",
    openapi_schemas.BALANCE,
    [],
    absent=True,
)
for _collection in COLLECTIONS.values():
    _add_collection(_collection.name, _collection, alias=False)
for _alias, _name in ALIASES.items():
    _add_collection(_alias, COLLECTIONS[_name], alias=True)
