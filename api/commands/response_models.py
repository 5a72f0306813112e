"""Bodies of the Server API's answers, for the OpenAPI document: a write answers documents as the queries do.

The documents are made by `queries.documents`; a test holds each of these beside one that was made.
"""
# ruff: noqa: N815  fields are named as on the wire
# No `from __future__ import annotations`: the models are made in a loop.

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from domain import fulfillment, order, returns, transaction
from events.catalogue import Reason

Number = Annotated[Decimal, WithJsonSchema({"type": "number"})]
Related = str | dict[str, Any]  # an id; the document at depth 1


class _Stamped(BaseModel):
    """What every document has."""

    id: str
    createdAt: datetime
    updatedAt: datetime


class Join(BaseModel):
    """The documents that hang on one: ids, or documents at depth 1."""

    docs: list[Related]
    hasNextPage: bool


class Order(_Stamped):
    """An order and its parts."""

    orderNumber: str
    status: order.Status
    customer: str | None
    customerSnapshot: dict[str, Any] | None
    shippingAddress: dict[str, Any] | None
    totalAmount: Number
    currency: str
    discountCode: str | None
    discountAmount: Number
    shippingAmount: Number
    notes: str | None
    flags: list[str]
    canceledAt: datetime | None
    confirmedAt: datetime | None
    products: Join
    transactions: Join
    fulfillments: Join
    returns: Join


class Transaction(_Stamped):
    """An order's payment record. `refundedAmount` is what the provider reported, in all."""

    order: Related
    paymentId: str
    status: transaction.Status
    amount: Number
    refundedAmount: Number
    currency: str
    paymentMethod: str | None
    receiptUrl: str | None
    provider: str | None
    paidAt: datetime | None


class Fulfillment(_Stamped):
    """Items that ship together."""

    order: Related
    reference: str | None
    status: fulfillment.Status
    carrier: str | None
    trackingNumber: str | None
    shippedAt: datetime | None
    deliveredAt: datetime | None
    items: Join


class Return(_Stamped):
    """Items that come back."""

    order: Related
    reference: str | None
    status: returns.Status
    reason: Reason
    note: str | None
    refundAmount: Number | None
    items: Join


class CartItem(_Stamped):
    """A line of a cart."""

    cart: Related
    product: Related
    variant: Related | None
    option: Related | None
    quantity: int
    unitPrice: Number


class CartItems(BaseModel):
    """All lines of a cart."""

    docs: list[CartItem]
    hasNextPage: bool


class Cart(_Stamped):
    """A cart; `order` once it became one."""

    customer: str | None
    currency: str
    order: Related | None
    items: CartItems


class CatalogueEntry(_Stamped):
    """A product, a variant (of `product`) or an option (of `variant`)."""

    title: str
    sku: str | None
    price: Number | None
    image: str | None
    product: str | None = None
    variant: str | None = None


class Changed(BaseModel):
    """The fields of every write's answer."""

    message: Annotated[str, Field(examples=["Updated successfully."])]


class OrderChanged(Changed):
    """The order as it is after the change."""

    doc: Order


class TransactionChanged(Changed):
    """The transaction as it is after the change."""

    doc: Transaction


class FulfillmentChanged(Changed):
    """The fulfillment as it is after the change."""

    doc: Fulfillment


class ReturnChanged(Changed):
    """The return as it is after the change."""

    doc: Return


class ReturnRefunded(Changed):
    """The return, and the payment that the refund goes back on; null where nothing is to go back."""

    model_config = ConfigDict(populate_by_name=True)
    return_: Annotated[Return, Field(alias="return")]
    transaction: Transaction | None


class CartChanged(Changed):
    """The cart as it is after the change."""

    doc: Cart


class EntryChanged(Changed):
    """The entry as it is after the change."""

    doc: CatalogueEntry


class BulkError(BaseModel):
    """A document that did not change, and why."""

    id: str
    message: str
    data: dict[str, Any] | None = None


class OrdersChanged(Changed):
    """The orders that changed, and those that did not."""

    docs: list[Order]
    errors: list[BulkError]


class EntriesChanged(Changed):
    """The entries, in the order that they were sent."""

    docs: list[CatalogueEntry]
    errors: list[BulkError]
