"""One order as its page shows it: as it is now, or as it was known after one of its events.

All statements of a page see one instant. Personal fields stay out of what is read here but for a mask; they are shown
by an act of its own, which is recorded (`api/console/orders.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from api.console.drawings import Drawing, lifecycle
from api.console.sentences import sentence
from api.console.words import Teller, word
from domain.balance import balance
from domain.flags import Flag
from domain.holds import holds
from domain.order import Order, Status
from domain.permitted_transitions import held_back
from journal.verify import known_at
from operations.why import Why
from operations.why import why as waiting
from queries import timeline
from queries.documents import Document, of_order
from queries.filters import where_of
from queries.parser import JoinQuery, Query
from queries.repository import find, find_by_id
from storage.aggregates import peek

MOMENTS = 500  # that the slider has: the last ones
EVENTS = 50  # of the timeline on a page
PARTS = 50  # lines, payments, parcels, returns that are shown of each kind
MASK = "•••"
# What an order may wait for, by the codes of `operations.why`.
WAITS = {
    "person": word("a person: something of it was given up"),
    "release": word("its hold to be released"),
    "rest_of_money": word("the rest of its money"),
    "payment_under_way": word("a payment that is under way"),
    "another_payment": word("another payment, as every one failed"),
    "payment": word("its payment"),
    "parked_event": word("what makes an event applicable that came too early"),
    "shipment": word("items to ship"),
    "arrival": word("parcels to arrive"),
    "return_approval": word("a person to approve or reject its return"),
    "returned_goods": word("the goods of its return to come back"),
    "refund": word("its refund"),
    "confirmation": word("the customer to confirm it"),
}
_JOINS = ("products", "transactions", "fulfillments", "returns")
_TIMERS = text("""
    select t.kind, t.due, t.held from timers t join orders o on o.id = t.order_id where o.id = cast(:id as uuid)
    and case t.kind when 'unpaid' then o.status = any(cast(:unpaid as text[]))
        when 'hold' then o.status <> 'canceled' and 'held' = any(o.flags)
        else o.confirmed_at is null and o.status = any(cast(:delivered as text[])) end
    order by t.due
""")


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the timeline as the page tells it."""

    entry: Document
    said: str


@dataclass(frozen=True, slots=True)
class Part:
    """A payment, parcel or return with its lifecycle."""

    document: Document
    drawing: Drawing


@dataclass(frozen=True, slots=True)
class View:
    """All that the page shows; `at` is None for now, else the moment up to which it was known."""

    doc: Document
    order: Order
    at: datetime | None
    drawing: Drawing
    flags: list[tuple[str, str]]  # with what each means
    holds: list[str]
    held_back: str | None
    money: dict[str, Any]
    payments: list[Part]
    parcels: list[Part]
    returns: list[Part]
    items: Sequence[Document]
    left_out: int  # parts that are not shown, of the kind that has most
    refunds: Sequence[Document]
    timers: Sequence[Any]
    events: list[Event]  # the newest first
    earlier: int  # events before them
    brought: Event | None  # that brought its status
    waits: Why | None  # what it waits for now; None of the past, and of what waits for nothing


def view(conn: Connection, tell: Teller, order_id: str, at: datetime | None, skip: int) -> View | None:
    """The order of that id, now or as it was known `at` that moment; None where it is not there (yet)."""
    read = _now(conn, order_id) if at is None else _then(conn, order_id, at)
    if read is None:
        return None
    doc, order = read
    events, earlier = _events(conn, tell, doc, at, skip)
    steps = timeline.steps(conn, doc["id"], at)
    drawn = {name: [Part(each, lifecycle(kind, each["status"])) for each in doc[name]["docs"][:PARTS]]
             for name, kind in (("transactions", "transaction"), ("fulfillments", "fulfillment"), ("returns", "return"))}  # fmt: skip
    return View(
        doc, order, at, lifecycle("order", doc["status"], steps), _flags(doc["flags"]), holds(order), held_back(order),
        asdict(balance(order)), drawn["transactions"], drawn["fulfillments"], drawn["returns"],
        doc["products"]["docs"][:PARTS], max(len(doc[name]["docs"]) - PARTS for name in _JOINS),
        _refunds(conn, doc["id"]) if at is None else (), _timers(conn, order_id) if at is None else (), events, earlier,
        next((each for each in events if _brought(each, doc["status"])), None),
        next(iter(waiting(conn, [order_id])), None) if at is None else None,
    )  # fmt: skip


def masked(document: Document) -> dict[str, str]:
    """The personal fields that an order has, each as a mask that shows its first character alone."""
    return {name: f"{value[:1]}{MASK}" for name, value in personal(document).items()}


def personal(document: Document) -> dict[str, str]:
    """The personal fields of an order's document, flat: whom it is for, where it goes, its notes."""
    found: dict[str, str] = {}
    for group in ("customerSnapshot", "shippingAddress"):
        for name, value in (document.get(group) or {}).items():
            if value:
                found[f"{group}.{name}"] = str(value)
    if document.get("notes"):
        found["notes"] = str(document["notes"])
    return found


def _now(conn: Connection, order_id: str) -> tuple[Document, Order] | None:
    joins = {name: JoinQuery(limit=PARTS + 1) for name in _JOINS}
    doc = find_by_id(conn, "orders", order_id, Query(depth=1, joins=joins))
    order = next(iter(peek(conn, [order_id]).values()), None)
    return None if doc is None or order is None else (doc, order)


def _then(conn: Connection, order_id: str, at: datetime) -> tuple[Document, Order] | None:
    stored = next(iter(peek(conn, [order_id]).values()), None)
    order = None if stored is None else known_at(conn, stored, at)
    return None if order is None else (of_order(conn, order), order)


def _events(conn: Connection, tell: Teller, doc: Document, at: datetime | None, skip: int) -> tuple[list[Event], int]:
    """A page of the timeline, the newest first, and how many lie before it."""
    if at is None:
        total = timeline.length(conn, doc["id"])
        found = timeline.newest(conn, doc["id"], EVENTS, skip)
    else:
        known = timeline.known_at(conn, doc["id"], at)
        total, end = len(known), max(len(known) - skip, 0)
        found = known[max(end - EVENTS, 0) : end]
    told = [Event(each, sentence(tell, each["type"], each["data"], doc["currency"])) for each in reversed(found)]
    return told, max(total - skip - len(found), 0)


def _brought(event: Event, status: str) -> bool:
    """True of an event that moved the order into that status."""
    return bool(event.entry["stepTo"] == status != event.entry["stepFrom"])


def _flags(flags: Sequence[str]) -> list[tuple[str, str]]:
    known = {str(flag): flag.words for flag in Flag}
    return [(flag, known.get(flag, "")) for flag in flags]


def _refunds(conn: Connection, order_id: str) -> Sequence[Document]:
    query = Query(where=where_of({"order": {"equals": order_id}}), limit=PARTS, counted=False, joined=False)
    found: Sequence[Document] = find(conn, "refunds", query, most=None)["docs"]
    return found


def _timers(conn: Connection, order_id: str) -> Sequence[Any]:
    values = {
        "id": order_id,
        "unpaid": [str(Status.PENDING), str(Status.FAILED)],
        "delivered": [str(Status.DELIVERED)],  # beside a return a confirmation is noted, and moves nothing
    }
    return conn.execute(_TIMERS, values).all()
