"""Changes recorded for those who subscribed to them: one delivery per changed document and subscription.

They are recorded with the change itself, and are what a batch wrote: each order and part whose `updatedAt` moved, or
whose joins name other parts than before; once, as it is at the end of the batch. A scan that changes neither the status nor the estimate
of a parcel is saved, and not told (`QUIET`). An order appears with everything that hangs on it, each as `create`. An order
that is still hidden, and history, which acts on nobody, are not told. What goes away (a plan that parcels took over)
has no operation of its own: its order's `update` no longer names it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from domain.dirty_tracking import CLEAN, DIRTY, FILLED, NEW, QUIET
from domain.fold import Fold
from domain.fulfillment import FulfillmentItem
from domain.ids import format_id
from domain.order import Order, Status
from domain.returns import ReturnItem
from queries import schema
from queries.documents import NONE, join, part_maker
from queries.fields import STAMPS
from queries.json_encoder import encode
from storage.pg_arrays import array, columns, unnest

CREATE, UPDATE = OPERATIONS = ("create", "update")

# What hangs on an order, in the order it is told: the collection, and the attribute that holds it.
_PARTS = (
    ("order-items", "items"),
    ("transactions", "transactions"),
    ("fulfillments", "fulfillments"),
    ("fulfillment-items", "fulfillment_items"),
    ("returns", "returns"),
    ("return-items", "return_items"),
)
REFUNDS = "refunds"  # is no part of a folded order, and told by `outbound.webhooks.refund_changes`
_CAPTURED = ("orders", *(collection for collection, _ in _PARTS))
COLLECTIONS = (*_CAPTURED, REFUNDS)
_TABLES = {collection: schema.COLLECTIONS[collection].table.name for collection in _CAPTURED}

_STAMPS = text(
    " union all ".join(
        f"select id, {', '.join(STAMPS)} from {table} where id = any(cast(:{table} as uuid[]))"
        for table in _TABLES.values()
    )
)

_REFUNDS_OF = text("select order_id, id from refund_documents where order_id = any(cast(:ids as uuid[])) order by id")

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

    Shape:  nothing where nobody subscribed to what changed; else three statements at most, whatever the batch's size.
    """
    changes = [change for fold in folds for change in _changed(fold.order, subscribed)] if subscribed else []
    if not changes:
        return
    ids: dict[str, list[str]] = {table: [] for table in _TABLES.values()}
    for change in changes:
        ids[_TABLES[change.collection]].append(change.part.id)
    found = conn.execute(_STAMPS, {table: array(each, "uuid") for table, each in ids.items()})
    stamps = {row.id: row for row in found}
    make = {collection: part_maker(schema.COLLECTIONS[collection]) for collection in _CAPTURED}
    refunds = _refunds_of(conn, [change.order.id for change in changes if change.collection == "orders"])
    rows = [
        (
            change.order.id,
            change.collection,
            change.operation,
            encode(
                make[change.collection](change.part, stamps[change.part.id], NONE, refunds.get(change.part.id, NONE))
            ).decode(),
            getattr(change.part, "personal_id", None),
        )
        for change in changes
    ]
    deliver(conn, rows, now)


def deliver(conn: Connection, changes: Sequence[tuple[Any, ...]], now: datetime) -> None:
    """Record deliveries of changes to all who subscribed to them: (order id, collection, operation, document, personal id) each."""
    if changes:
        stamp = int(now.timestamp() * 1000).to_bytes(6, "big")
        conn.execute(_RECORD, {**columns(_NAMES, _KINDS, changes), "stamp": stamp, "now": now})


def _refunds_of(conn: Connection, order_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """order id → the join of its refunds, which its fold does not hold."""
    if not order_ids:
        return {}
    found: dict[str, list[str]] = {each: [] for each in order_ids}
    for row in conn.execute(_REFUNDS_OF, {"ids": array(order_ids, "uuid")}):
        found[row.order_id].append(format_id(REFUNDS, row.id))
    return {each: {REFUNDS: join(ids)} for each, ids in found.items()}


def _changed(order: Order, subscribed: Collection[str]) -> Iterator[_Change]:
    """What of one order is to be told, the order first."""
    if order.effects_suppressed or order.status == Status.NEW:
        return
    appears = order.change_state in (NEW, FILLED)
    if "orders" in subscribed and (appears or order.change_state not in (CLEAN, QUIET)):
        yield _Change("orders", CREATE if appears else UPDATE, order, order)
    holds_others = _holds_others(order)
    for collection, attribute in _PARTS:
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
