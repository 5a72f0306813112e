"""Orders in the console: found by any name, listed by filters, one of them shown. What is done to it: `previews`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.responses import Response

from api.console.order_acts import ACTS, BY_NAME, Act
from api.console.order_page import WAITS, masked, personal, view
from api.console.render import ConsoleRoute, go, language_of, page
from api.console.session import PATH, Acting, Viewer
from api.console.times import moment_if_told
from api.console.words import teller
from api.resources import doors_of
from domain.flags import Flag
from domain.ids import format_id, uuid_of
from domain.order import Status
from operations import audit
from operations.order_acts import OrderAbsent
from queries import order_search, timeline
from queries.order_search import Filter, Key
from queries.repository import visible_id

router = APIRouter(prefix=PATH, route_class=ConsoleRoute, include_in_schema=False)
STATUSES = [str(status) for status in Status if status != Status.NEW]
FLAGS = [str(flag) for flag in Flag]
MOST_SKIP = 1_000_000


@contextmanager
def snapshot(request: Request) -> Iterator[Connection]:
    """A read-only connection whose statements all see one instant."""
    with doors_of(request).reader.connect() as conn:
        yield conn.execution_options(isolation_level="REPEATABLE READ")


# -- lists -------------------------------------------------------------------------------------------------------


@router.get("/orders")
def list_orders(request: Request, who: Viewer) -> Response:
    """Orders by a name, else a page of those that fit the filters."""
    asked = request.query_params
    name = asked.get("q", "").strip()
    with snapshot(request) as conn:
        if name:
            rows = order_search.named(conn, name)
            if len(rows) == 1:
                return go(f"{PATH}/orders/{format_id('orders', rows[0].id)}")
            found = order_search.Page(rows, None)
        else:
            found = order_search.listed(conn, _filter(asked), _key(asked))
    return page(request, "orders.html", found=found, name=name, statuses=STATUSES, flags=FLAGS, flagged=False, id_of=_id_of,
                key_of=_key_text)  # fmt: skip


@router.get("/flagged")
def list_flagged(request: Request, who: Viewer) -> Response:
    """Orders that have flags, each with what it asks of a person."""
    asked = request.query_params
    flag = asked.get("flag") if asked.get("flag") in FLAGS else None
    with snapshot(request) as conn:
        found = order_search.listed(conn, Filter(flag=flag, flagged=True), _key(asked))
    return page(request, "flagged.html", found=found, flags=FLAGS, words={str(f): f.words for f in Flag}, id_of=_id_of,
                key_of=_key_text)  # fmt: skip


def _filter(asked: Any) -> Filter:
    status, flag = asked.get("status"), asked.get("flag")
    return Filter(
        status=status if status in STATUSES else None,
        flag=flag if flag in FLAGS else None,
        since=moment_if_told(asked.get("since")),
    )


def _key(asked: Any) -> Key | None:
    """The place that a page begins at, as `_key_text` wrote it; what cannot be read is the beginning."""
    at, _, id = asked.get("after", "").partition("~")
    moment, uuid = moment_if_told(at), uuid_of(id)
    return None if moment is None or uuid is None else Key(moment, uuid)


def _key_text(key: Key) -> str:
    return f"{key.placed_at.isoformat()}~{key.id}"


def _id_of(id: str) -> str:
    return format_id("orders", id)


# -- one order ---------------------------------------------------------------------------------------------------


@router.get("/orders/{name}")
def show_order(request: Request, who: Viewer, name: str) -> Response:
    """The page of one order; for the slider only what it changes."""
    values = shown(request, name)
    if request.headers.get("hx-request"):
        return page(request, "order_known.html", **values)
    return page(request, "order.html", **values, acts=fitting(values) if who.acts else (), revealed=None)


@router.post("/orders/{name}/personal")
def show_personal(request: Request, who: Acting, name: str) -> Response:
    """The page with the personal fields of the order; that they were looked at is recorded before."""
    values = shown(request, name)
    doc = values["view"].doc
    with doors_of(request).engine.begin() as conn:
        audit.looked(conn, who.actor, f"orders/{doc['orderNumber']}", order=doc["orderNumber"])
    return page(request, "order.html", **values, acts=fitting(values), revealed=personal(doc))


def shown(request: Request, name: str) -> dict[str, Any]:
    """The values of the page of one order. Errors: OrderAbsent."""
    asked = request.query_params
    tell = teller(language_of(request))
    with snapshot(request) as conn:
        order_id = known(conn, name)
        moments = timeline.moments(conn, order_id, 500)
        chosen = min(max(number_of(asked.get("event"), len(moments)), 1), len(moments)) if moments else 0
        at = moments[chosen - 1] if 0 < chosen < len(moments) else None
        skip = min(number_of(asked.get("skip"), 0), MOST_SKIP)
        found = view(conn, tell, order_id, at, skip)
    if found is None:
        raise OrderAbsent(name)
    return {
        "view": found, "moments": moments, "chosen": chosen, "skip": skip, "masked": masked(found.doc), "waits_for": WAITS,
        "done": BY_NAME[asked["done"]].title if asked.get("done") in BY_NAME else None, "error": None, "failed": None,
    }  # fmt: skip


def fitting(values: dict[str, Any]) -> list[Act]:
    """The acts that the order as it is now may take; none upon the past."""
    shown = values["view"]
    return [act for act in ACTS if act.fits(shown.order)] if shown.at is None else []


def known(conn: Connection, name: str) -> str:
    """The id of the order that is named by its id or number, as stored. Errors: OrderAbsent."""
    if (found := visible_id(conn, "orders", name)) is not None:
        return found
    for row in order_search.named(conn, name):
        if row.order_number == name:
            return row.id
    raise OrderAbsent(name)


def number_of(told: str | None, otherwise: int) -> int:
    """The number that a query or form says."""
    return int(told) if told and told.isascii() and told.isdigit() and len(told) < 10 else otherwise
