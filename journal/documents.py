"""Orders and their parts as the contract's documents: camelCase, prefixed ids, a query a table for any number.

Money stays Decimal and times stay datetimes in UTC: who writes the JSON makes numbers and texts of them. A
row of the database and an object of the domain have the same fields, so both become documents here. An order
that some event named but OrderCreated did not yet create appears nowhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, text

from domain.ids import bare, shown
from domain.order import Order, Status
from domain.outcome import REASONS
from storage.literals import array

Document = dict[str, Any]
WAITING = "waiting"  # accepted, and not decided yet

# What a list of orders may be sorted by; other fields are ignored.
_SORTS = {
    "createdAt": "o.placed_at",
    "updatedAt": "o.updated_at",
    "orderNumber": "o.order_number",
    "status": "o.status",
    "customer": "o.customer",
    "totalAmount": "o.total_amount",
    "currency": "o.currency",
    "id": "o.id",
}
_SHOWN = f"o.status <> '{Status.NEW}' and (cast(:status as text) is null or o.status = :status)"
_COUNT = text(f"select count(*) from orders o where {_SHOWN}")
_PAGE = f"select o.* from orders o where {_SHOWN} order by {{order}} limit :most offset :skip"
_ONE = text(f"select * from orders where order_number = :number and status <> '{Status.NEW}'")
_NUMBER = text(
    "select order_number from orders where order_number = :name or id = cast(:id as uuid) "
    "order by order_number = :name desc"
)
_BESIDE = text(
    f"(select order_number from orders where order_number >= :name and status <> '{Status.NEW}' "
    "order by order_number limit :most) union all "
    f"(select order_number from orders where order_number < :name and status <> '{Status.NEW}' "
    "order by order_number desc limit :most)"
)
_PERSONAL = text("select id, fields from personal where id = any(cast(:ids as uuid[]))")

# An order's joins: the name in its document, the collection of the ids, the table, the order of its rows.
_JOINS = (
    ("products", "order-items", "order_items", "position"),
    ("transactions", "transactions", "transactions", "id"),
    ("fulfillments", "fulfillments", "fulfillments", "id"),
    ("returns", "returns", "returns", "id"),
)


def list_orders(
    conn: Connection,
    status: str | None = None,
    limit: int = 10,
    page: int = 1,
    depth: int = 0,
    sort: str = "-createdAt",
) -> Document:
    """Orders as a list answer; `limit` 0 is all of them. At depth 0 the joins hold ids, at depth 1 documents.

    Shape:  two statements and at most seven for what hangs on the orders, whatever their number.
    """
    wanted = {"status": status}
    total = int(conn.execute(_COUNT, wanted).scalar_one())
    page = page if limit else 1
    statement = text(_PAGE.format(order=_order_by(sort)))
    rows = conn.execute(statement, {**wanted, "most": limit or None, "skip": (page - 1) * limit}).all()
    return answer(_orders(conn, rows, depth), total, limit, page)


def order_document(conn: Connection, number: str) -> Document | None:
    """The order of that number with everything that hangs on it, or None."""
    rows = conn.execute(_ONE, {"number": number}).all()
    return _orders(conn, rows, depth=1)[0] if rows else None


def document_of(conn: Connection, order: Order) -> Document:
    """An order as folded, such as `as_known_at` gives it: like `order_document`, without times of writing."""
    names = _personal(conn, [order, *order.returns])
    joins = {
        "products": [_item(i) for i in sorted(order.items, key=lambda item: item.position)],
        "transactions": [_transaction(t) for t in order.transactions],
        "fulfillments": _with_fulfillment_items(order.fulfillments, order.fulfillment_items),
        "returns": _with_return_items(order.returns, order.return_items, names),
    }
    return _order(order, names, joins)


def answer(docs: Sequence[Document], total: int, limit: int, page: int) -> Document:
    """A list answer as Payload gives it."""
    pages = max(1, -(-total // limit)) if limit else 1
    has_next, has_previous = page < pages, page > 1
    return {
        "docs": list(docs),
        "totalDocs": total,
        "limit": limit,
        "totalPages": pages,
        "page": page,
        "pagingCounter": (page - 1) * limit + 1,
        "hasPrevPage": has_previous,
        "hasNextPage": has_next,
        "prevPage": page - 1 if has_previous else None,
        "nextPage": page + 1 if has_next else None,
    }


def number_of(conn: Connection, name: str) -> str | None:
    """The number of the order of that name, a number or an id (`ord_…`), hidden orders too; or None."""
    return conn.execute(_NUMBER, {"name": name, "id": bare(name)}).scalars().first()


def alike(conn: Connection, name: str, most: int = 5) -> list[str]:
    """Numbers of orders that begin as `name` does, as far as any do: they stand beside it in the index."""
    beside = conn.execute(_BESIDE, {"name": name, "most": most}).scalars()
    shared = {number: _shared(name, number) for number in beside}
    longest = max(shared.values(), default=0)
    return sorted(number for number, length in shared.items() if length == longest)[:most] if longest else []


def _shared(one: str, other: str) -> int:
    """How many characters two names begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


# -- timeline ----------------------------------------------------------------------------------------------

# The events of an order: those with a result that names it; those that name it themselves and died before they
# reached it; and those that name it and are undecided (looked for above the relay's mark, so among what is open).
_TIMELINE = text("""
    with own as (select id, order_number, shard from orders where id = cast(:id as uuid)),
    seqs as (
        select t.seq from timeline t where t.order_id = cast(:id as uuid)
        union
        select d.seq from dead_letters d join journal j on j.seq = d.seq left join corrections c on c.seq = d.seq
            join own on own.order_number = case when c.seq is null then j.subject else c.subject end
        union
        select j.seq from own join relay_marks m on m.shard = own.shard join journal j on j.shard = m.shard
            and j.seq > m.seq and j.subject = own.order_number
        where not exists (select from results r where r.seq = j.seq)
    )
    select j.seq, j.source, j.event_id, j.type, j.time, j.accepted_at, r.decided_at, r.outcome, r.reason, r.detail,
           r.apply_number, r.parked_number, r.step_from, r.step_to, r.implied, p.until,
           coalesce(c.data, j.data) as data, c.seq is not null as corrected, d.deliveries
    from seqs join journal j using (seq) left join results r using (seq) left join parked p using (seq)
    left join corrections c using (seq)
    cross join lateral (select 1 + count(*) as deliveries from duplicates where duplicates.seq = j.seq) d
    where (cast(:at as timestamptz) is null or j.accepted_at <= :at)
      and (r.order_id is null or r.order_id = cast(:id as uuid))
    order by r.decided_at nulls last, coalesce(r.apply_number, r.parked_number) nulls last,
             r.apply_number nulls last, j.seq
""")


def timeline(conn: Connection, order_id: str, at: datetime | None = None) -> list[Document]:
    """Every event of the order with what became of it, in the order of the decisions, newest last.

    With `at`, the events that were accepted by then; what was decided later counts as undecided.
    """
    rows = conn.execute(_TIMELINE, {"id": bare(order_id), "at": at}).all()
    found = [_happening(row, at) for row in rows]
    return sorted(found, key=lambda entry: entry["outcome"] == WAITING)  # stable: the others stay as they are


def _happening(row: Any, at: datetime | None) -> Document:
    decided = row.outcome is not None and (at is None or row.decided_at <= at)
    return {
        "seq": row.seq,
        "source": row.source,
        "id": row.event_id,
        "type": row.type,
        "time": row.time,
        "acceptedAt": row.accepted_at,
        "decidedAt": row.decided_at if decided else None,
        "outcome": row.outcome if decided else WAITING,
        "reason": row.reason if decided else None,
        "text": REASONS.get(row.reason, row.reason) if decided and row.reason else None,
        "detail": row.detail if decided else None,
        "number": row.apply_number if decided else None,
        "stepFrom": row.step_from if decided else None,
        "stepTo": row.step_to if decided else None,
        "implied": row.implied if decided else None,
        "until": row.until if decided else None,
        "deliveries": row.deliveries,
        "corrected": row.corrected,
        "data": row.data,
    }


# -- documents ---------------------------------------------------------------------------------------------


def _order_by(sort: str) -> str:
    """SQL of `-createdAt,orderNumber`; the id comes last, so that pages never overlap."""
    found: list[str] = []
    for name in filter(None, (part.strip() for part in sort.split(","))):
        column = _SORTS.get(name.removeprefix("-"))
        if column:
            found.append(f"{column} desc nulls last" if name.startswith("-") else column)
    newest_first = not found or found[0].endswith("desc nulls last")
    return ", ".join([*found, "o.id desc" if newest_first else "o.id"])


def _orders(conn: Connection, rows: Sequence[Any], depth: int) -> list[Document]:
    if not rows:
        return []
    ids = [row.id for row in rows]
    if depth < 1:
        names = _personal(conn, rows)
        joined = {join: _ids(conn, collection, table, order, ids) for join, collection, table, order in _JOINS}
    else:
        joined, names = _parts(conn, rows, ids)
    return [_order(row, names, {join: found.get(row.id, []) for join, found in joined.items()}) for row in rows]


def _ids(conn: Connection, collection: str, table: str, order: str, ids: Sequence[str]) -> dict[str, list[Any]]:
    """order id → the ids of its parts, as they are shown."""
    found: dict[str, list[Any]] = defaultdict(list)
    for row in _rows(conn, table, order, ids, "order_id, id"):
        found[row.order_id].append(shown(collection, row.id))
    return found


def _parts(
    conn: Connection, rows: Sequence[Any], ids: Sequence[str]
) -> tuple[dict[str, dict[str, list[Document]]], dict[str, Document]]:
    """(join → order id → its parts' documents, the personal fields)."""
    parts = {join: _rows(conn, table, order, ids) for join, _, table, order in _JOINS}
    names = _personal(conn, [*rows, *parts["returns"]])
    parcel_items = _rows(conn, "fulfillment_items", "id", ids)
    returned = _rows(conn, "return_items", "id", ids)
    documents = {
        "products": [_item(row) for row in parts["products"]],
        "transactions": [_transaction(row) for row in parts["transactions"]],
        "fulfillments": _with_fulfillment_items(parts["fulfillments"], parcel_items),
        "returns": _with_return_items(parts["returns"], returned, names),
    }
    joined: dict[str, dict[str, list[Document]]] = {}
    for join, made in documents.items():
        by_order = joined[join] = defaultdict(list)
        for row, document in zip(parts[join], made, strict=True):
            by_order[row.order_id].append(document)
    return joined, names


def _rows(conn: Connection, table: str, order: str, ids: Sequence[str], columns: str = "*") -> Sequence[Any]:
    statement = text(f"select {columns} from {table} where order_id = any(cast(:ids as uuid[])) order by {order}")
    return conn.execute(statement, {"ids": array(ids, "uuid")}).all()


def _personal(conn: Connection, owners: Iterable[Any]) -> dict[str, Document]:
    """personal id → its fields; those of the forgotten are absent."""
    ids: Collection[str] = {owner.personal_id for owner in owners if owner.personal_id is not None}
    if not ids:
        return {}
    return {row.id: row.fields for row in conn.execute(_PERSONAL, {"ids": array(sorted(ids), "uuid")})}


def _with_fulfillment_items(owners: Sequence[Any], items: Sequence[Any]) -> list[Document]:
    shares: dict[str, list[Document]] = defaultdict(list)
    for item in items:
        shares[item.fulfillment_id].append(_fulfillment_item(item))
    return [{**_fulfillment(owner), "items": _join(shares[owner.id])} for owner in owners]


def _with_return_items(owners: Sequence[Any], items: Sequence[Any], names: dict[str, Document]) -> list[Document]:
    shares: dict[str, list[Document]] = defaultdict(list)
    for item in items:
        shares[item.return_id].append(_return_item(item))
    return [{**_return(owner, names), "items": _join(shares[owner.id])} for owner in owners]


def _join(docs: list[Any]) -> Document:
    return {"docs": docs, "hasNextPage": False}


def _order(row: Any, names: dict[str, Document], joins: dict[str, list[Any]]) -> Document:
    personal = names.get(row.personal_id, {})
    return {
        "id": shown("orders", row.id),
        "orderNumber": row.order_number,
        "status": str(row.status),
        "customer": row.customer,
        "customerSnapshot": personal.get("customerSnapshot"),
        "shippingAddress": personal.get("shippingAddress"),
        "totalAmount": row.total_amount,
        "currency": row.currency,
        "discountCode": row.discount_code,
        "discountAmount": row.discount_amount,
        "shippingAmount": row.shipping_amount,
        "notes": personal.get("notes"),
        "flags": list(row.flags),
        "canceledAt": row.canceled_at,
        "confirmedAt": row.confirmed_at,
        **{name: _join(docs) for name, docs in joins.items()},
        "createdAt": row.placed_at,
        "updatedAt": getattr(row, "updated_at", None),
    }


def _item(row: Any) -> Document:
    return {
        "id": shown("order-items", row.id),
        "order": shown("orders", row.order_id),
        "reference": row.reference,
        "product": row.product,
        "variant": row.variant,
        "option": row.option,
        "quantity": row.quantity,
        "unitPrice": row.unit_price,
        "totalPrice": row.total_price,
        "shippedQuantity": row.shipped_quantity,
        "deliveredQuantity": row.delivered_quantity,
        "returnedQuantity": row.returned_quantity,
        **_stamps(row),
    }


def _transaction(row: Any) -> Document:
    return {
        "id": shown("transactions", row.id),
        "order": shown("orders", row.order_id),
        "paymentId": row.payment_id,
        "status": str(row.status),
        "amount": row.amount,
        "refundedAmount": row.refunded_amount,
        "currency": row.currency,
        "paymentMethod": row.payment_method,
        "receiptUrl": row.receipt_url,
        "provider": row.provider,
        "paidAt": row.paid_at,
        **_stamps(row),
    }


def _fulfillment(row: Any) -> Document:
    """A plan is a fulfillment like any other: pending, and without a name from outside."""
    return {
        "id": shown("fulfillments", row.id),
        "order": shown("orders", row.order_id),
        "reference": row.reference,
        "status": str(row.status),
        "carrier": row.carrier,
        "trackingNumber": row.tracking_number,
        "shippedAt": row.shipped_at,
        "deliveredAt": row.delivered_at,
        **_stamps(row),
    }


def _fulfillment_item(row: Any) -> Document:
    return {
        "id": shown("fulfillment-items", row.id),
        "fulfillment": shown("fulfillments", row.fulfillment_id),
        "orderItem": shown("order-items", row.order_item_id),
        "quantity": row.quantity,
        **_stamps(row),
    }


def _return(row: Any, names: dict[str, Document]) -> Document:
    return {
        "id": shown("returns", row.id),
        "order": shown("orders", row.order_id),
        "reference": row.reference,
        "status": str(row.status),
        "reason": row.reason,
        "note": names.get(row.personal_id, {}).get("note"),
        "refundAmount": row.refund_amount,
        **_stamps(row),
    }


def _return_item(row: Any) -> Document:
    return {
        "id": shown("return-items", row.id),
        "return": shown("returns", row.return_id),
        "orderItem": shown("order-items", row.order_item_id),
        "quantity": row.quantity,
        **_stamps(row),
    }


def _stamps(row: Any) -> Document:
    return {"createdAt": getattr(row, "created_at", None), "updatedAt": getattr(row, "updated_at", None)}
