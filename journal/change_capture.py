"""What a batch changed, for those who subscribed: a delivery per changed document and subscription, with the change.

Told is what a batch wrote: each order and part whose `updatedAt` moved, or whose joins name other parts than before;
once, as it is at the end of the batch. An order appears with everything that hangs on it, each as `create`. An order
that is still hidden, and history, which acts on nobody, are not told. What goes away (a plan that parcels took over)
has no operation of its own: its order's `update` no longer names it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from domain.dirty_tracking import DIRTY, FILLED, NEW
from domain.fold import Fold
from domain.fulfillment import FulfillmentItem
from domain.ids import format_id
from domain.order import Order, Status
from domain.returns import ReturnItem
from queries import documents
from queries.documents import Document, encode, join
from storage.pg_arrays import array, columns, unnest

CREATE, UPDATE = OPERATIONS = ("create", "update")

# What hangs on an order, in the order it is told: the collection, and the attribute that holds it (and its table).
_PARTS = (
    ("order-items", "items", "order_items"),
    ("transactions", "transactions", "transactions"),
    ("fulfillments", "fulfillments", "fulfillments"),
    ("fulfillment-items", "fulfillment_items", "fulfillment_items"),
    ("returns", "returns", "returns"),
    ("return-items", "return_items", "return_items"),
)
COLLECTIONS = ("orders", *(collection for collection, *_ in _PARTS))

# An order was created when it was placed, as its document says itself.
_STAMPS = text(
    "select id, null as created_at, updated_at from orders where id = any(cast(:orders as uuid[]))"
    + "".join(
        f" union all select id, created_at, updated_at from {table} where id = any(cast(:{table} as uuid[]))"
        for *_, table in _PARTS
    )
)
_TABLES = {"orders": "orders", **{collection: table for collection, _, table in _PARTS}}

_NAMES = ("order_id", "collection", "operation", "document", "personal_id")
_KINDS = ("uuid", "text", "text", "jsonb", "uuid")
# The id is a UUIDv7 made of a v4: the time takes its first six bytes, and two bits make the version 7. The row of the
# subscription is locked as its foreign key would lock it anyway, so that one that is removed just now is left out.
_RECORD = text(f"""
    insert into deliveries (id, subscription_id, order_id, collection, operation, document, personal_id, at, next_at)
    select cast(encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing cast(:stamp as bytea)
               from 1 for 6), 52, 1), 53, 1), 'hex') as uuid),
           s.id, v.order_id, v.collection, v.operation, cast(v.document as jsonb), v.personal_id,
           cast(:now as timestamptz), cast(:now as timestamptz)
    from {unnest(_NAMES, _KINDS)} join subscriptions s on s.state = 'active'
        and v.collection = any(s.collections) and v.operation = any(s.operations)
    order by v.ordinal
    for key share of s
""")


@dataclass(frozen=True, slots=True)
class _Change:
    collection: str
    operation: str
    order: Order
    part: Any  # the order itself, or what hangs on it


def record(conn: Connection, folds: Sequence[Fold], subscribed: Collection[str], now: datetime) -> None:
    """Record what a batch changed, as deliveries that are due from `now` (UTC) on, in the order of the changes.

    In the batch's transaction, after its state is saved. Documents are as the query API answers them at depth 0, with
    every id in their joins. They are kept without personal fields, which are laid over them when they are sent.

    Shape:  nothing where nobody subscribed to what changed; else two statements, whatever the batch's size.
    """
    changes = [change for fold in folds for change in _changed(fold.order, subscribed)] if subscribed else []
    if not changes:
        return
    ids: dict[str, list[str]] = {table: [] for table in _TABLES.values()}
    for change in changes:
        ids[_TABLES[change.collection]].append(change.part.id)
    found = conn.execute(_STAMPS, {table: array(each, "uuid") for table, each in ids.items()})
    stamps = {row.id: row for row in found}
    rows = [
        (
            change.order.id,
            change.collection,
            change.operation,
            encode(_document(change, stamps[change.part.id])).decode(),
            getattr(change.part, "personal_id", None),
        )
        for change in changes
    ]
    stamp = int(now.timestamp() * 1000).to_bytes(6, "big")
    conn.execute(_RECORD, {**columns(_NAMES, _KINDS, rows), "stamp": stamp, "now": now})


def _changed(order: Order, subscribed: Collection[str]) -> Iterator[_Change]:
    """What of one order is to be told, the order first."""
    if order.effects_suppressed or order.status == Status.NEW:
        return
    appears = order.change_state in (NEW, FILLED)
    if "orders" in subscribed and (appears or order.change_state == DIRTY):
        yield _Change("orders", CREATE if appears else UPDATE, order, order)
    holds_others = _holds_others(order)
    for collection, attribute, _ in _PARTS:
        if collection in subscribed:
            for part in getattr(order, attribute):
                if appears or part.change_state == NEW:
                    yield _Change(collection, CREATE, order, part)
                elif part.change_state == DIRTY or part.id in holds_others:
                    yield _Change(collection, UPDATE, order, part)


def _holds_others(order: Order) -> set[str]:
    """Fulfillments and returns whose documents name other items than before."""
    found = {share.fulfillment_id for share in order.fulfillment_items if share.change_state == NEW}
    found |= {share.return_id for share in order.return_items if share.change_state == NEW}
    for part in order.deleted:
        if isinstance(part, FulfillmentItem):
            found.add(part.fulfillment_id)
        elif isinstance(part, ReturnItem):
            found.add(part.return_id)
    return found


# -- documents ---------------------------------------------------------------------------------------------


def _document(change: _Change, stamps: Any) -> Document:
    order, part = change.order, change.part
    match change.collection:
        case "orders":
            made = documents.of_order(order, {}, _joins(order))
        case "order-items":
            made = documents.of_order_item(part)
        case "transactions":
            made = documents.of_transaction(part)
        case "fulfillments":
            inside = [share.id for share in part.shares.values()]
            made = {**documents.of_fulfillment(part), "items": _named("fulfillment-items", inside)}
        case "fulfillment-items":
            made = documents.of_fulfillment_item(part)
        case "returns":
            inside = [share.id for share in part.shares]
            made = {**documents.of_return(part, {}), "items": _named("return-items", inside)}
        case _:
            made = documents.of_return_item(part)
    made["createdAt"] = stamps.created_at or made["createdAt"]
    made["updatedAt"] = stamps.updated_at
    return made


def _joins(order: Order) -> Document:
    lines = sorted(order.items, key=lambda item: item.position)
    return {
        "products": join([format_id("order-items", item.id) for item in lines]),
        "transactions": _named("transactions", [each.id for each in order.transactions]),
        "fulfillments": _named("fulfillments", [each.id for each in order.fulfillments]),
        "returns": _named("returns", [each.id for each in order.returns]),
    }


def _named(collection: str, ids: Sequence[str]) -> Document:
    return join([format_id(collection, each) for each in sorted(ids)])
