"""Orders and their parts as the contract's documents: camelCase, prefixed ids, the same for a row and an object.

Money stays Decimal and times stay datetimes in UTC: who writes the JSON makes numbers and texts of them. A
row of the database and an object of the domain have the same fields, so both become documents here; how rows
are found is the query API's (`api/query`). An order that some event named but OrderCreated did not yet create
appears nowhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import takewhile
from typing import Any

import orjson
from sqlalchemy import Connection, text

from domain.ids import format_id, uuid_of
from domain.order import Order, Status
from storage.pg_arrays import array

Document = dict[str, Any]

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


# -- documents ---------------------------------------------------------------------------------------------


def document_of(conn: Connection, order: Order) -> Document:
    """An order as folded, such as `as_known_at` gives it, with all that hangs on it; it has no times of writing."""
    names = _personal(conn, [order, *order.returns])
    joins = {
        "products": join([of_order_item(i) for i in sorted(order.items, key=lambda item: item.position)]),
        "transactions": join([of_transaction(t) for t in order.transactions]),
        "fulfillments": join(
            [
                {**of_fulfillment(f), "items": join([of_fulfillment_item(s) for s in f.shares.values()])}
                for f in order.fulfillments
            ]
        ),
        "returns": join(
            [
                {**of_return(r, names.get(r.personal_id, {})), "items": join([of_return_item(s) for s in r.shares])}
                for r in order.returns
            ]
        ),
    }
    return of_order(order, names.get(order.personal_id, {}), joins)


def join(docs: Sequence[Any], has_next: bool = False) -> Document:
    """A join's value in a document: documents, or ids at depth 0."""
    return {"docs": list(docs), "hasNextPage": has_next}


def of_order(row: Any, personal: Document, joins: Document) -> Document:
    """An order; `personal` is its row of personal fields ({} for the forgotten), `joins` what hangs on it by name."""
    return {
        "id": format_id("orders", row.id),
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
        **joins,
        "createdAt": row.placed_at,
        "updatedAt": getattr(row, "updated_at", None),
    }


def of_order_item(row: Any) -> Document:
    """A line of an order."""
    return {
        "id": format_id("order-items", row.id),
        "order": format_id("orders", row.order_id),
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


def of_transaction(row: Any) -> Document:
    """A payment of an order."""
    return {
        "id": format_id("transactions", row.id),
        "order": format_id("orders", row.order_id),
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


def of_fulfillment(row: Any) -> Document:
    """A parcel. A plan is a fulfillment like any other: pending, and without a name from outside."""
    return {
        "id": format_id("fulfillments", row.id),
        "order": format_id("orders", row.order_id),
        "reference": row.reference,
        "status": str(row.status),
        "carrier": row.carrier,
        "trackingNumber": row.tracking_number,
        "shippedAt": row.shipped_at,
        "deliveredAt": row.delivered_at,
        **_stamps(row),
    }


def of_fulfillment_item(row: Any) -> Document:
    """So many of one item in a parcel."""
    return {
        "id": format_id("fulfillment-items", row.id),
        "fulfillment": format_id("fulfillments", row.fulfillment_id),
        "orderItem": format_id("order-items", row.order_item_id),
        "quantity": row.quantity,
        **_stamps(row),
    }


def of_return(row: Any, personal: Document) -> Document:
    """A return; `personal` is its row of personal fields, {} for the forgotten."""
    return {
        "id": format_id("returns", row.id),
        "order": format_id("orders", row.order_id),
        "reference": row.reference,
        "status": str(row.status),
        "reason": row.reason,
        "note": personal.get("note"),
        "refundAmount": row.refund_amount,
        **_stamps(row),
    }


def of_return_item(row: Any) -> Document:
    """So many of one item in a return."""
    return {
        "id": format_id("return-items", row.id),
        "return": format_id("returns", row.return_id),
        "orderItem": format_id("order-items", row.order_item_id),
        "quantity": row.quantity,
        **_stamps(row),
    }


def of_cart(row: Any) -> Document:
    """A cart, and the order that it became."""
    return {
        "id": format_id("carts", row.id),
        "customer": row.customer,
        "currency": row.currency,
        "order": format_id("orders", row.order_id) if row.order_id is not None else None,
        **_stamps(row),
    }


def of_cart_item(row: Any) -> Document:
    """A line of a cart."""
    return {
        "id": format_id("cart-items", row.id),
        "cart": format_id("carts", row.cart_id),
        "product": row.product,
        "variant": row.variant,
        "option": row.option,
        "quantity": row.quantity,
        "unitPrice": row.unit_price,
        **_stamps(row),
    }


def of_product(row: Any) -> Document:
    """A product, a variant (of its `product`) or an option (of its `variant`); ids are the shop's own."""
    document = {"id": row.id, "title": row.title, "sku": row.sku, "price": row.price, "image": row.image}
    for owner in ("product", "variant"):
        if hasattr(row, owner):
            document[owner] = getattr(row, owner)
    return {**document, **_stamps(row)}


def _stamps(row: Any) -> Document:
    return {"createdAt": getattr(row, "created_at", None), "updatedAt": getattr(row, "updated_at", None)}


def _personal(conn: Connection, owners: Iterable[Any]) -> dict[str | None, Document]:
    """personal id → its fields; those of the forgotten are absent."""
    ids: Collection[str] = {owner.personal_id for owner in owners if owner.personal_id is not None}
    if not ids:
        return {}
    return {row.id: row.fields for row in conn.execute(_PERSONAL, {"ids": array(sorted(ids), "uuid")})}


# -- as JSON ------------------------------------------------------------------------------------------------

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS


def encode(document: Any) -> bytes:
    """`document` as JSON: a Decimal as a number with its own digits, a datetime in UTC with milliseconds and Z.

    Errors: TypeError for a datetime without a zone, a Decimal that is no number, and what has no JSON form.
    """
    return orjson.dumps(document, default=_plain, option=_OPTIONS)


def written(moment: datetime) -> str:
    """A time as documents show it: in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError(f"{value} is no JSON number")
        return orjson.Fragment(format(value, "f").encode())
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError(f"{value} has no time zone")
        return written(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


# -- answers, and names of orders ---------------------------------------------------------------------------


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
    return conn.execute(_NUMBER, {"name": name, "id": uuid_of(name)}).scalars().first()


def alike(conn: Connection, name: str, most: int = 5) -> list[str]:
    """Numbers of orders that begin as `name` does, as far as any do: they stand beside it in the index."""
    beside = conn.execute(_BESIDE, {"name": name, "most": most}).scalars()
    shared = {number: _shared(name, number) for number in beside}
    longest = max(shared.values(), default=0)
    return sorted(number for number, length in shared.items() if length == longest)[:most] if longest else []


def _shared(one: str, other: str) -> int:
    """How many characters two names begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
