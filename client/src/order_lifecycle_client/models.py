"""Documents as the API answers them: attributes in snake_case, money as exact Decimals, times aware and in UTC.

A relationship (`Transaction.order`) is an id, or at depth 1 the document itself; so is what a join holds. Fields
that are newer than this client are kept under their own names, and statuses stay texts, so that a new one breaks
nobody.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar, Union

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

T = TypeVar("T")
Related = Union[str, T]  # noqa: UP007  the id, or at depth 1 the document; `str | T` cannot be subscripted


class Model(BaseModel):
    """The base of the API's answers: read-only, fields that we do not know kept."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(alias=to_camel), populate_by_name=True, extra="allow", frozen=True
    )


class Page(Model, Generic[T]):
    """A page of documents. `total_docs` counts those of all pages."""

    docs: list[T]
    total_docs: int
    limit: int
    total_pages: int
    page: int
    paging_counter: int  # the number of the page's first document
    has_prev_page: bool
    has_next_page: bool
    prev_page: int | None
    next_page: int | None


class Join(Model, Generic[T]):
    """The documents that hang on one: the first ten unless the query says otherwise."""

    docs: list[Related[T]]
    has_next_page: bool
    total_docs: int | None = None  # where the query asked for it

    @property
    def documents(self) -> list[T]:
        """The documents. Errors: ValueError where only their ids were asked for."""
        found = [each for each in self.docs if not isinstance(each, str)]
        if len(found) != len(self.docs):
            raise ValueError("these are ids; ask with depth=1 for the documents")
        return found


class Document(Model):
    """The fields of every document."""

    id: str
    created_at: datetime
    updated_at: datetime


class CustomerSnapshot(Model):
    """The customer as of the order's creation."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None


class ShippingAddress(Model):
    """The address that the order goes to."""

    recipient_name: str | None = None
    phone: str | None = None
    postal_code: str | None = None
    address1: str | None = None
    address2: str | None = None
    delivery_message: str | None = None


class Product(Document):
    """A product that the shop sells, as far as it told us. Ids of the catalogue are the shop's own."""

    title: str
    sku: str | None
    price: Decimal | None
    image: str | None


class ProductVariant(Product):
    """A variant of a product."""

    product: Related[Product]


class ProductOption(Product):
    """An option of a variant."""

    variant: Related[ProductVariant]


class Order(Document):
    """An order and its parts.

    `status`: pending, paid, failed, preparing, shipped, delivered, confirmed, canceled, return_requested,
    return_processing or returned.
    """

    order_number: str
    status: str
    customer: str | None
    customer_snapshot: CustomerSnapshot | None
    shipping_address: ShippingAddress | None
    total_amount: Decimal
    currency: str
    discount_code: str | None
    discount_amount: Decimal
    shipping_amount: Decimal
    tax_amount: Decimal
    notes: str | None
    flags: list[str]  # what somebody should look at: underpaid, shipped_after_cancel, payment_reversed, …
    holds: list[Hold]
    canceled_at: datetime | None
    confirmed_at: datetime | None
    products: Join[OrderItem]
    transactions: Join[Transaction]
    fulfillments: Join[Fulfillment]
    returns: Join[Return]
    refunds: Join[Refund]


class Hold(Model):
    """A hold of an order that stands; those that nobody made have neither `by` nor a reason."""

    hold: str  # its name: staff, refunded, disputed, payment_reversed, …
    reason: str | None
    by: str | None
    since: datetime
    until: datetime | None


class OrderItem(Document):
    """A line of an order. `reference` is the name that the outside gave it, if any."""

    order: Related[Order]
    reference: str | None
    product: Related[Product]
    variant: Related[ProductVariant] | None
    option: Related[ProductOption] | None
    quantity: int
    unit_price: Decimal
    requires_shipping: bool  # else it is delivered once the order is paid
    total_price: Decimal
    tax_amount: Decimal | None
    shipped_quantity: int
    delivered_quantity: int
    returned_quantity: int
    canceled_quantity: int


class Transaction(Document):
    """A payment of an order. `status`: pending, paid, failed or canceled. `refunded_amount` is what went back so far.

    `pending_kind` says what one under way waits for: authorized, processing or awaiting_deposit; its order does not
    expire before `pending_until`.
    """

    order: Related[Order]
    payment_id: str
    status: str
    amount: Decimal
    refunded_amount: Decimal
    currency: str
    payment_method: str | None
    receipt_url: str | None
    provider: str | None
    paid_at: datetime | None
    pending_kind: str | None
    pending_until: datetime | None
    disputes: list[Dispute]


class Dispute(Model):
    """A bank's question about a payment. `status`: open, lost or won; an `amount` of None is all that was captured."""

    dispute: str
    status: str
    amount: Decimal | None
    time: datetime  # of its present status


class RefundReason(Model):
    """The part of a refund that is for one reason: goodwill, shipping, other, return, canceled or overpaid."""

    reason: str
    amount: Decimal


class Refund(Document):
    """Money that goes back to the payer of one payment, or went back, or was to.

    `status`: pending, requires_action, succeeded, failed or canceled. `origin`: ours, or provider where somebody made
    it there. `waits_for`: turn (it goes out next), provider, person, nobody, or None at its end. A customer sees no
    `note`, `failure` and `settled_method`.
    """

    order: Related[Order]
    transaction: Related[Transaction]
    reference: str | None  # the provider's id of it
    amount: Decimal
    currency: str
    reasons: list[RefundReason]
    origin: str
    status: str
    waits_for: str | None
    return_: Related[Return] | None = Field(alias="return")
    note: str | None
    failure: str | None
    settled_method: str | None  # how a person paid it back past the provider
    due_since: datetime | None  # of what has yet to go back
    requested_at: datetime | None
    ended_at: datetime | None


class Balance(Model):
    """The money of one order, added up over its payments, in its currency.

    `due` is due back in all; `refunded`, `refunding` and `settled` count toward it, whoever made them. `owed` has yet to
    go back, and `failed` of it was tried in vain.
    """

    currency: str
    captured: Decimal
    reversed: Decimal
    lost: Decimal
    contested: Decimal
    payable: Decimal
    due: Decimal
    refunded: Decimal
    refunding: Decimal
    settled: Decimal
    failed: Decimal
    owed: Decimal


class RefundAccount(Model):
    """The bank account that an order's refunds go to, masked; `order` is the order's id."""

    order: str
    bank: str
    number: str
    holder_name: str
    holder_phone_number: str | None = None


class LastScan(Model):
    """The latest that a carrier told of a parcel; `time` is when it happened."""

    time: datetime | None = None
    description: str | None = None
    location: str | None = None


class Fulfillment(Document):
    """Items that ship together. `status`: pending, packed, shipped, delivered or failed; it may go back.

    `tracking_status` is the carrier's: pending, picked_up, in_transit, out_for_delivery, ready_for_pickup, delivery_delayed,
    on_hold, delivery_failed, return_to_sender, cancelled, delivered or unknown; `tracking_detail` its own word for it.
    """

    order: Related[Order]
    reference: str | None
    status: str
    carrier: str | None
    tracking_number: str | None
    tracking_status: str | None
    tracking_detail: str | None
    estimated_delivery: datetime | None
    last_scan: LastScan | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    replaces: str | None  # the name of the fulfillment that it is sent in place of
    items: Join[FulfillmentItem]


class FulfillmentItem(Document):
    """So many of one order item in a fulfillment."""

    fulfillment: Related[Fulfillment]
    order_item: Related[OrderItem]
    quantity: int


class Return(Document):
    """Items that come back.

    `status`: requested, approved, rejected, processing or completed. `reason`: change_of_mind, defective,
    wrong_delivery, damaged or other.
    """

    order: Related[Order]
    reference: str | None
    status: str
    reason: str
    note: str | None
    refund_amount: Decimal | None
    carrier: str | None  # who brings it back
    tracking_number: str | None
    tracking_status: str | None
    received_at: datetime | None
    rejected_by: str | None  # "customer": it was withdrawn
    items: Join[ReturnItem]


class ReturnItem(Document):
    """So many of one order item in a return."""

    return_: Related[Return] = Field(alias="return")
    order_item: Related[OrderItem]
    quantity: int


class Cart(Document):
    """A customer's cart; `order` once it became one."""

    customer: str | None
    currency: str
    order: Related[Order] | None
    items: Join[CartItem]


class FindingValue(Model):
    """A value on one side of a finding, by its name: status, amount, currency, time …"""

    name: str
    value: str


class Finding(Document):
    """A thing that differs between a payment provider and the shop; `state`: open (waits for a person), healed, resolved or gone."""

    provider: str
    kind: str  # payment_there, amount_differs, refund_here, …
    subject: str  # the payment, refund or dispute, by the provider's id
    payment_id: str
    order_number: str | None
    theirs: list[FindingValue]
    ours: list[FindingValue]
    state: str
    done: str  # what was done, or is to be done
    events: list[str]  # that heal it: SOURCE/ID
    note: str | None
    resolved_by: str | None


class CartItem(Document):
    """A line of a cart."""

    cart: Related[Cart]
    product: Related[Product]
    variant: Related[ProductVariant] | None
    option: Related[ProductOption] | None
    quantity: int
    unit_price: Decimal
    requires_shipping: bool


class ReturnRefunded(Model):
    """A return that is done, and the payment that its refund goes back on; None where nothing is to go back."""

    return_: Return = Field(alias="return")
    transaction: Transaction | None


class RefundCreated(Model):
    """A refund that goes out, with all that its payment has to give back; None where what was given back before covers it.

    `also_of` has those of other payments, where one is not enough. `given_back_before` is the sum that went back before,
    whoever made it.
    """

    doc: Refund | None
    also_of: list[Refund]
    given_back_before: Decimal


class CustomerToken(Model):
    """With it and the publishable key a page reads this customer's orders, until it expires."""

    token: str = Field(repr=False)
    expires_at: datetime


class TimelineEntry(Model):
    """An event of an order, and what became of it. `data` and `detail` for a secret key alone."""

    seq: int  # its place in the journal
    id: str
    source: str
    type: str
    time: datetime  # when it happened
    accepted_at: datetime
    decided_at: datetime | None
    outcome: str  # applied, ignored, parked, dead or waiting
    reason: str | None
    text: str | None  # the reason in words
    number: int | None  # among the order's applied events
    step_from: str | None
    step_to: str | None
    implied: str | None  # the step that followed from it though nobody told it
    until: datetime | None  # how long a parked event waits
    deliveries: int  # how often it came
    corrected: bool  # whether an operator changed its data
    scan: (
        dict[str, Any] | None
    )  # status, detail, description, location and estimatedDelivery, where it is a carrier's scan
    data: dict[str, Any] | None = None
    detail: str | None = None


COLLECTIONS: dict[str, type[Document]] = {
    "orders": Order,
    "order-items": OrderItem,
    "order-products": OrderItem,
    "transactions": Transaction,
    "fulfillments": Fulfillment,
    "fulfillment-items": FulfillmentItem,
    "returns": Return,
    "return-items": ReturnItem,
    "return-products": ReturnItem,
    "refunds": Refund,
    "findings": Finding,
    "carts": Cart,
    "cart-items": CartItem,
    "products": Product,
    "product-variants": ProductVariant,
    "product-options": ProductOption,
}
_FORWARD: tuple[type[Model], ...] = (*COLLECTIONS.values(), ReturnRefunded, RefundCreated)  # they name one another
for _model in _FORWARD:
    _model.model_rebuild()
