"""The table of fields: what a document of each collection shows, and which column of storage each field is.

To show a new field, add a line here. What follows from it without another: SQL, filters and sorting, documents of the
API and of outgoing webhooks, OpenAPI and AsyncAPI. The client's models are a distribution of their own and are
written by hand; a test holds them equal to this table.

An order that was named but not created yet has no `placed_at`: it is hidden, with everything that hangs on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from sqlalchemy import Table

from domain import fulfillment, returns, transaction
from domain.holds import STANDING
from domain.movements import DISPUTES, RefundStatus
from domain.order import Status
from domain.purposes import RefundReason
from events.field_types import PendingKind, Reason, TrackingStatus
from queries.fields import (
    ID,
    OWN_ID,
    STAMPED,
    Collection,
    Field,
    Join,
    Kind,
    group,
    key,
    names,
    number,
    objects,
    one_of,
    part,
    personal,
    record,
    text,
    time,
    to,
    truth,
)
from queries.objects import disputes_of, holds_of, reasons_of, side_of
from storage import tables
from storage.tables.reconciliation import FINDING_STATES
from storage.tables.refunds import ORIGINS, WAITS_FOR

_GOODS = {
    "product": key("product", "products"),
    "variant": key("variant", "product-variants"),
    "option": key("option", "product-options"),
    "quantity": number("quantity"),
    "unitPrice": number("unit_price"),
    "requiresShipping": truth("requires_shipping"),
}
_WARES = {"title": text("title"), "sku": text("sku"), "price": number("price"), "image": text("image")}

ORDERS = Collection(
    "orders",
    tables.orders,
    "An order: its status, its money, and whom it goes to.",
    {
        **ID,
        "orderNumber": text("order_number"),
        "status": one_of("status", (status for status in Status if status != Status.NEW)),
        "customer": key("customer"),
        **group("customerSnapshot", "name email phone"),
        **group("shippingAddress", "recipientName phone postalCode address1 address2 deliveryMessage"),
        "totalAmount": number("total_amount"),
        "currency": text("currency", always=True),
        "discountCode": text("discount_code"),
        "discountAmount": number("discount_amount"),
        "shippingAmount": number("shipping_amount"),
        "taxAmount": number("tax_amount"),
        **personal("notes"),
        "flags": names("flags"),
        "holds": objects(
            "facts",
            holds_of,
            under=STANDING,
            hold=part(Kind.TEXT),
            reason=part(Kind.TEXT, always=False),
            by=part(Kind.TEXT, always=False),
            since=part(Kind.TIME),
            until=part(Kind.TIME, always=False),
        ),
        "canceledAt": time("canceled_at"),
        "confirmedAt": time("confirmed_at"),
        "createdAt": time("placed_at", always=True),
        "updatedAt": time("updated_at"),
    },
    customer="customer",
    hidden_without="placed_at",
    joins={
        "products": Join("order-items", "order_id", ("position", "id"), parts=lambda order: order.items),
        "transactions": Join("transactions", "order_id", parts=lambda order: order.transactions),
        "fulfillments": Join("fulfillments", "order_id", parts=lambda order: order.fulfillments),
        "returns": Join("returns", "order_id", parts=lambda order: order.returns),
        "refunds": Join("refunds", "order_id"),
    },
    order=(("placed_at", True), ("id", True)),
)
_OF_ORDER = ("order_id", ORDERS)

ORDER_ITEMS = Collection(
    "order-items",
    tables.order_items,
    "A line of an order; its counted quantities follow from fulfillments and returns.",
    {
        **ID,
        "order": to("orders", "order_id"),
        "reference": text("reference"),
        **_GOODS,
        "totalPrice": number("total_price"),
        "taxAmount": number("tax_amount"),
        "shippedQuantity": number("shipped_quantity"),
        "deliveredQuantity": number("delivered_quantity"),
        "returnedQuantity": number("returned_quantity"),
        "canceledQuantity": number("canceled_quantity"),
        **STAMPED,
    },
    owner=_OF_ORDER,
    order=(("order_id", True), ("position", False), ("id", False)),
)

TRANSACTIONS = Collection(
    "transactions",
    tables.transactions,
    "A payment of an order, and what of it went back.",
    {
        **ID,
        "order": to("orders", "order_id"),
        "paymentId": text("payment_id"),
        "status": one_of("status", transaction.Status),
        "amount": number("amount"),
        "refundedAmount": number("refunded_amount"),
        "currency": text("currency"),
        "paymentMethod": text("payment_method"),
        "receiptUrl": text("receipt_url"),
        "provider": text("provider"),
        "paidAt": time("paid_at"),
        "pendingKind": one_of("pending_kind", get_args(PendingKind)),
        "pendingUntil": time("pending_until"),
        "disputes": objects(
            "facts",
            disputes_of,
            under=DISPUTES,
            dispute=part(Kind.TEXT),
            status=part(Kind.TEXT),
            amount=part(Kind.NUMBER, always=False),
            time=part(Kind.TIME),
        ),
        **STAMPED,
    },
    owner=_OF_ORDER,
)

FULFILLMENTS = Collection(
    "fulfillments",
    tables.fulfillments,
    "Items of an order that ship together, or are planned to.",
    {
        **ID,
        "order": to("orders", "order_id"),
        "reference": text("reference"),
        "status": one_of("status", fulfillment.Status),
        "carrier": text("carrier"),
        "trackingNumber": text("tracking_number"),
        "trackingStatus": one_of("tracking_status", get_args(TrackingStatus)),
        "trackingDetail": text("tracking_detail"),
        "estimatedDelivery": time("estimated_delivery"),
        **record(
            "lastScan",
            time=time("last_scan_at"),
            description=text("last_scan_description"),
            location=text("last_scan_location"),
        ),
        "shippedAt": time("shipped_at"),
        "deliveredAt": time("delivered_at"),
        "replaces": text("replaces"),
        **STAMPED,
    },
    owner=_OF_ORDER,
    joins={"items": Join("fulfillment-items", "fulfillment_id", parts=lambda parcel: parcel.shares.values())},
)

RETURNS = Collection(
    "returns",
    tables.returns_,
    "Items of an order that come back, why, and what is paid back for them.",
    {
        **ID,
        "order": to("orders", "order_id"),
        "reference": text("reference"),
        "status": one_of("status", returns.Status),
        "reason": one_of("reason", get_args(Reason)),
        **personal("note"),
        "refundAmount": number("refund_amount"),
        "carrier": text("carrier"),
        "trackingNumber": text("tracking_number"),
        "trackingStatus": text("tracking_status"),
        "receivedAt": time("received_at"),
        "rejectedBy": text("rejected_by"),
        **STAMPED,
    },
    owner=_OF_ORDER,
    joins={"items": Join("return-items", "return_id", parts=lambda back: back.shares)},
)

REFUNDS = Collection(
    "refunds",
    tables.refund_documents,
    "Money that goes back to the payer of one payment, or went back, or was to: ours, or made at the provider by hand.",
    {
        **ID,
        "order": to("orders", "order_id"),
        "transaction": to("transactions", "transaction_id"),
        "reference": text("reference"),
        "amount": number("amount"),
        "currency": text("currency"),
        "reasons": objects(
            "reasons", reasons_of, reason=part(Kind.TEXT, *map(str, RefundReason)), amount=part(Kind.NUMBER)
        ),
        "origin": one_of("origin", ORIGINS),
        "status": one_of("status", RefundStatus),
        "waitsFor": one_of("waits_for", WAITS_FOR),
        "return": to("returns", "return_id"),
        **personal("note"),
        "failure": text("failure"),
        "settledMethod": text("settled_method"),
        "dueSince": time("due_since"),
        "requestedAt": time("requested_at"),
        "endedAt": time("ended_at"),
        **STAMPED,
    },
    owner=_OF_ORDER,
    shop_only=frozenset(("note", "failure", "settledMethod")),
)

FINDINGS = Collection(
    "findings",
    tables.findings,
    "A thing that differs between a payment provider and us, what was done about it, or what a person is to do.",
    {
        **ID,
        "provider": text("provider"),
        "kind": text("kind"),
        "subject": text("subject"),
        "paymentId": text("payment_id"),
        "orderNumber": text("order_number"),
        "theirs": objects("theirs", side_of, name=part(Kind.TEXT), value=part(Kind.TEXT)),
        "ours": objects("ours", side_of, name=part(Kind.TEXT), value=part(Kind.TEXT)),
        "state": one_of("state", FINDING_STATES),
        "done": text("done"),
        "events": names("events"),
        "note": text("note"),
        "resolvedBy": text("resolved_by"),
        **STAMPED,
    },
    secret=True,
)

CARTS = Collection(
    "carts",
    tables.carts,
    "What a customer is about to order; `order` once it became one.",
    {**ID, "customer": key("customer"), "currency": text("currency"), "order": to("orders", "order_id"), **STAMPED},
    customer="customer",
    joins={"items": Join("cart-items", "cart_id")},
)

CART_ITEMS = Collection(
    "cart-items",
    tables.cart_items,
    "A line of a cart.",
    {**ID, "cart": to("carts", "cart_id"), **_GOODS, **STAMPED},
    owner=("cart_id", CARTS),
)


def _shares(name: str, table: Table, owner: str, about: str) -> Collection:
    """So many of an order item, in a fulfillment or a return (`owner`)."""
    fields = {
        **ID,
        owner: to(f"{owner}s", f"{owner}_id"),
        "orderItem": to("order-items", "order_item_id"),
        "quantity": number("quantity"),
        **STAMPED,
    }
    return Collection(name, table, about, fields, owner=_OF_ORDER)


def _catalogue(name: str, table: Table, about: str, owner: Mapping[str, Field]) -> Collection:
    """Entries of the shop's catalogue; `owner` is the entry that each belongs to."""
    fields = {**OWN_ID, **_WARES, **owner, **STAMPED}
    return Collection(name, table, about, fields, order=(("created_at", True), ("id", True)))


FULFILLMENT_ITEMS = _shares(
    "fulfillment-items", tables.fulfillment_items, "fulfillment", "So many of one order item in a fulfillment."
)
RETURN_ITEMS = _shares("return-items", tables.return_items, "return", "So many of one order item in a return.")
PRODUCTS = _catalogue("products", tables.products, "A product of the shop's catalogue, as far as we were told.", {})
VARIANTS = _catalogue(
    "product-variants", tables.product_variants, "A variant of a product.", {"product": key("product", "products")}
)
OPTIONS = _catalogue(
    "product-options",
    tables.product_options,
    "An option of a variant.",
    {"variant": key("variant", "product-variants")},
)

_ALL = (
    ORDERS,
    ORDER_ITEMS,
    TRANSACTIONS,
    FULFILLMENTS,
    FULFILLMENT_ITEMS,
    RETURNS,
    RETURN_ITEMS,
    REFUNDS,
    FINDINGS,
    CARTS,
    CART_ITEMS,
    PRODUCTS,
    VARIANTS,
    OPTIONS,
)
COLLECTIONS: Mapping[str, Collection] = {each.name: each for each in _ALL}
ALIASES: Mapping[str, str] = {"order-products": "order-items", "return-products": "return-items"}


def collection_of(name: str) -> Collection:
    """The collection of that name or alias. Errors: KeyError."""
    return COLLECTIONS[ALIASES.get(name, name)]
