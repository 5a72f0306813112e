"""The collections as a table: which field is which column, what it points at, and who may see a row.

To show a new field, add a line here (and in `queries.documents`, which makes the document). An order that was
named but not created yet has no `placed_at`: it is hidden here, with everything that hangs on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, exists, true

from queries import documents
from queries.documents import Document
from storage import tables


class Kind(Enum):
    """What a field holds, and so which values it is compared with."""

    TEXT = auto()
    NUMBER = auto()  # compared as Decimal
    TIME = auto()  # in UTC, shown and compared to the millisecond
    ID = auto()  # a UUID of ours, shown with its collection's prefix
    KEY = auto()  # an id of the shop's own: a customer, a product
    NAMES = auto()  # a list of texts
    GROUP = auto()  # several texts under one name: only whether it is there can be asked


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a document."""

    kind: Kind
    column: str
    to: str | None = None  # a relationship: the collection that it points at
    inside: tuple[str, ...] = ()  # a personal field: where in the JSON of the row that `column` points at
    always: bool = False  # never null in a visible row, whatever the column allows

    def nullable(self, table: FromClause) -> bool:
        """Whether a visible row may have none."""
        return not self.always and (bool(self.inside) or bool(table.c[self.column].nullable))


@dataclass(frozen=True, slots=True)
class Join:
    """Documents of another collection that point at this one."""

    collection: str
    column: str
    order: tuple[str, ...] = ("id",)  # columns, unless the query sorts

    @property
    def held(self) -> str:
        """The name of the column that holds the first ids of it, in a row that brings them along."""
        return f"first_{self.collection}"


Order = tuple[str, bool]  # a column, and whether it descends
Who = str | ColumnElement[str] | None  # a customer, by name or as a bound parameter; None is the shop itself


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection of the contract."""

    name: str
    table: Table
    about: str
    render: Callable[[Any, Document], Document]  # a row and its joins → the document
    fields: Mapping[str, Field]
    owner: tuple[str, str] | None = None  # (column, collection): seen by whoever sees that row
    customer: str | None = None  # the column that names the only customer who sees it
    joins: Mapping[str, Join] = field(default_factory=dict)
    order: tuple[Order, ...] = (("id", True),)  # newest first: UUIDv7

    @property
    def key(self) -> Field:
        """Its id."""
        return self.fields["id"]

    def visible(self, table: FromClause, customer: Who) -> ColumnElement[bool]:
        """Which rows of `table` exist for `customer`; the shop itself sees all orders that were created."""
        if self.owner is not None:
            column, name = self.owner
            owner = COLLECTIONS[name]
            above = owner.table.alias()
            return exists().where(above.c.id == table.c[column], owner.visible(above, customer))
        found = table.c.placed_at.is_not(None) if self.table is tables.orders else true()
        return found & (table.c[self.customer] == customer) if self.customer and customer is not None else found


def _text(column: str) -> Field:
    return Field(Kind.TEXT, column)


def _number(column: str) -> Field:
    return Field(Kind.NUMBER, column)


def _time(column: str) -> Field:
    return Field(Kind.TIME, column)


def _to(collection: str, column: str) -> Field:
    return Field(Kind.ID, column, to=collection)


def _key_to(collection: str, column: str) -> Field:
    return Field(Kind.KEY, column, to=collection)


def _personal(*path: str, kind: Kind = Kind.TEXT) -> dict[str, Field]:
    return {".".join(path): Field(kind, "personal_id", inside=path)}


def _group(name: str, parts: str) -> dict[str, Field]:
    found = _personal(name, kind=Kind.GROUP)
    for part in parts.split():
        found |= _personal(name, part)
    return found


_ID = {"id": Field(Kind.ID, "id")}
_OWN_ID = {"id": Field(Kind.KEY, "id")}
_STAMPS = {"createdAt": _time("created_at"), "updatedAt": _time("updated_at")}
_GOODS = {
    "product": _key_to("products", "product"),
    "variant": _key_to("product-variants", "variant"),
    "option": _key_to("product-options", "option"),
    "quantity": _number("quantity"),
    "unitPrice": _number("unit_price"),
}
_WARES = {"title": _text("title"), "sku": _text("sku"), "price": _number("price"), "image": _text("image")}
_OF_ORDER = ("order_id", "orders")


def _plain(make: Callable[[Any], Document]) -> Callable[[Any, Document], Document]:
    """Joins stand at the end of what `make` makes."""
    return lambda row, joins: {**make(row), **joins}


def _shares(name: str, owner: str, column: str, about: str, make: Callable[[Any], Document]) -> Collection:
    """So many of an order item, in a fulfillment or a return (`owner`)."""
    return Collection(
        name,
        tables.METADATA.tables[name.replace("-", "_")],
        about,
        _plain(make),
        {
            **_ID,
            owner: _to(f"{owner}s", column),
            "orderItem": _to("order-items", "order_item_id"),
            "quantity": _number("quantity"),
            **_STAMPS,
        },
        owner=_OF_ORDER,
    )


def _catalogue(name: str, table: Table, about: str, owner: dict[str, Field]) -> Collection:
    return Collection(
        name,
        table,
        about,
        _plain(documents.of_product),
        {**_OWN_ID, **_WARES, **owner, **_STAMPS},
        order=(("created_at", True), ("id", True)),
    )


_ALL = (
    Collection(
        "orders",
        tables.orders,
        "An order: its status, its money, and whom it goes to.",
        lambda row, joins: documents.of_order(row, row.personal or {}, joins),
        {
            **_ID,
            "orderNumber": _text("order_number"),
            "status": _text("status"),
            "customer": Field(Kind.KEY, "customer"),
            **_group("customerSnapshot", "name email phone"),
            **_group("shippingAddress", "recipientName phone postalCode address1 address2 deliveryMessage"),
            "totalAmount": _number("total_amount"),
            "currency": _text("currency"),
            "discountCode": _text("discount_code"),
            "discountAmount": _number("discount_amount"),
            "shippingAmount": _number("shipping_amount"),
            **_personal("notes"),
            "flags": Field(Kind.NAMES, "flags"),
            "canceledAt": _time("canceled_at"),
            "confirmedAt": _time("confirmed_at"),
            "createdAt": Field(Kind.TIME, "placed_at", always=True),
            "updatedAt": _time("updated_at"),
        },
        customer="customer",
        joins={
            "products": Join("order-items", "order_id", ("position", "id")),
            "transactions": Join("transactions", "order_id"),
            "fulfillments": Join("fulfillments", "order_id"),
            "returns": Join("returns", "order_id"),
        },
        order=(("placed_at", True), ("id", True)),
    ),
    Collection(
        "order-items",
        tables.order_items,
        "A line of an order; its counted quantities follow from fulfillments and returns.",
        _plain(documents.of_order_item),
        {
            **_ID,
            "order": _to("orders", "order_id"),
            "reference": _text("reference"),
            **_GOODS,
            "totalPrice": _number("total_price"),
            "shippedQuantity": _number("shipped_quantity"),
            "deliveredQuantity": _number("delivered_quantity"),
            "returnedQuantity": _number("returned_quantity"),
            **_STAMPS,
        },
        owner=_OF_ORDER,
        order=(("order_id", True), ("position", False), ("id", False)),
    ),
    Collection(
        "transactions",
        tables.transactions,
        "A payment of an order, and what of it went back.",
        _plain(documents.of_transaction),
        {
            **_ID,
            "order": _to("orders", "order_id"),
            "paymentId": _text("payment_id"),
            "status": _text("status"),
            "amount": _number("amount"),
            "refundedAmount": _number("refunded_amount"),
            "currency": _text("currency"),
            "paymentMethod": _text("payment_method"),
            "receiptUrl": _text("receipt_url"),
            "provider": _text("provider"),
            "paidAt": _time("paid_at"),
            **_STAMPS,
        },
        owner=_OF_ORDER,
    ),
    Collection(
        "fulfillments",
        tables.fulfillments,
        "Items of an order that ship together, or are planned to.",
        _plain(documents.of_fulfillment),
        {
            **_ID,
            "order": _to("orders", "order_id"),
            "reference": _text("reference"),
            "status": _text("status"),
            "carrier": _text("carrier"),
            "trackingNumber": _text("tracking_number"),
            "shippedAt": _time("shipped_at"),
            "deliveredAt": _time("delivered_at"),
            **_STAMPS,
        },
        owner=_OF_ORDER,
        joins={"items": Join("fulfillment-items", "fulfillment_id")},
    ),
    _shares(
        "fulfillment-items",
        "fulfillment",
        "fulfillment_id",
        "So many of one order item in a fulfillment.",
        documents.of_fulfillment_item,
    ),
    Collection(
        "returns",
        tables.returns_,
        "Items of an order that come back, why, and what is paid back for them.",
        lambda row, joins: {**documents.of_return(row, row.personal or {}), **joins},
        {
            **_ID,
            "order": _to("orders", "order_id"),
            "reference": _text("reference"),
            "status": _text("status"),
            "reason": _text("reason"),
            **_personal("note"),
            "refundAmount": _number("refund_amount"),
            **_STAMPS,
        },
        owner=_OF_ORDER,
        joins={"items": Join("return-items", "return_id")},
    ),
    _shares("return-items", "return", "return_id", "So many of one order item in a return.", documents.of_return_item),
    Collection(
        "carts",
        tables.carts,
        "What a customer is about to order; `order` once it became one.",
        _plain(documents.of_cart),
        {
            **_ID,
            "customer": Field(Kind.KEY, "customer"),
            "currency": _text("currency"),
            "order": _to("orders", "order_id"),
            **_STAMPS,
        },
        customer="customer",
        joins={"items": Join("cart-items", "cart_id")},
    ),
    Collection(
        "cart-items",
        tables.cart_items,
        "A line of a cart.",
        _plain(documents.of_cart_item),
        {**_ID, "cart": _to("carts", "cart_id"), **_GOODS, **_STAMPS},
        owner=("cart_id", "carts"),
    ),
    _catalogue("products", tables.products, "A product of the shop's catalogue, as far as we were told.", {}),
    _catalogue(
        "product-variants",
        tables.product_variants,
        "A variant of a product.",
        {"product": _key_to("products", "product")},
    ),
    _catalogue(
        "product-options",
        tables.product_options,
        "An option of a variant.",
        {"variant": _key_to("product-variants", "variant")},
    ),
)
COLLECTIONS: Mapping[str, Collection] = {each.name: each for each in _ALL}
ALIASES: Mapping[str, str] = {"order-products": "order-items", "return-products": "return-items"}


def collection_of(name: str) -> Collection:
    """The collection of that name or alias. Errors: KeyError."""
    return COLLECTIONS[ALIASES.get(name, name)]
