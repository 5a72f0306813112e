"""Bodies of the Server API's requests. A field that none of them knows is an error that names it."""
# ruff: noqa: N815  fields are named as on the wire

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from events import field_types as f
from events.corrections import EDITABLE
from events.field_types import Allocation, Amount, Currency, GrantReason, Moment, Name, Quantity, Reason, Text, Url
from operations.acts import MOST_REASON
from providers.movements import RefundAccount as Account

MIN_DIGITS, MAX_DIGITS = 4, 20  # of an account's number
LINES = 1000  # of an order, a cart, a bulk

SNAPSHOT = {"name": "John Doe", "email": "john@example.com", "phone": "010-1234-5678"}
ADDRESS = {"recipientName": "John Doe", "phone": "010-1234-5678", "postalCode": "06123", "address1": "123 Main St"}
PAUSE = {"kind": "provider", "name": "toss", "reason": "maintenance until noon"}
NUMBER, ITEM = "261101000001", "itm_019a3c1e8f7b7c1d9e2f3a4b5c6d7e8f"


def _order_number(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("must hold printable characters only, and no blanks around them")
    return text


OrderNumber = Annotated[Name, AfterValidator(_order_number)]
# A person's own words for an act; `operations.acts` makes one line of them.
_IN_WORDS = Field(max_length=MOST_REASON, description="why, for those who look later")
Why = Annotated[Text, Field(min_length=1), _IN_WORDS]
WhyIfSaid = Annotated[Text | None, _IN_WORDS]  # blanks say nothing


def like(**example: Any) -> ConfigDict:
    """The configuration of a body that takes no unknown field, with an example for the documentation."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class CustomerSnapshot(BaseModel):
    """The customer as of the order's creation."""

    model_config = like(**SNAPSHOT)
    name: Text | None = None
    email: Text | None = None
    phone: Text | None = None


class ShippingAddress(BaseModel):
    """The address that the order goes to."""

    model_config = like(**ADDRESS)
    recipientName: Text | None = None
    phone: Text | None = None
    postalCode: Text | None = None
    address1: Text | None = None
    address2: Text | None = None
    deliveryMessage: Text | None = None


class OrderProduct(BaseModel):
    """A line of a new order, or of a cart. `product`, `variant` and `option` are ids of the shop's catalogue."""

    model_config = like(product="mug", variant="mug-blue", quantity=2, unitPrice=10000)
    product: Name
    variant: Name | None = None
    option: Name | None = None
    quantity: Quantity
    unitPrice: Amount
    requiresShipping: Annotated[bool | None, Field(description="false: delivered as soon as the order is paid")] = None


class OrderedProduct(OrderProduct):
    """A line of a new order, with the tax on top of its price, where it has one."""

    model_config = like(product="mug", variant="mug-blue", quantity=2, unitPrice=10000)
    taxAmount: Annotated[Amount | None, Field(description="on top, for all of the line; else spread by price")] = None
    taxFree: bool | None = None


class Terms(BaseModel):
    """The fields that createOrder and checkout share."""

    orderNumber: OrderNumber
    customerSnapshot: CustomerSnapshot
    paymentId: Annotated[Name | None, Field(description="of the payment to come; none for a free order")] = None
    provider: Annotated[
        Name | None, Field(description="who takes that payment, such as stripe: it is asked before the order expires")
    ] = None
    customer: Name | None = None
    discountCode: Name | None = None
    discountAmount: Amount = Decimal(0)
    shippingAmount: Amount = Decimal(0)
    taxAmount: Annotated[Amount | None, Field(description="on top of the prices, with the lines' and shipping's")] = (
        None
    )
    notes: Text | None = None


ADDRESS_NEEDED: Final = "Field required: some lines are to ship; those that are not say requiresShipping: false"


class CreateOrder(Terms):
    """A new order. Σ quantity × unitPrice + shippingAmount + taxAmount − discountAmount must be `totalAmount`."""

    model_config = like(
        orderNumber=NUMBER,
        customerSnapshot=SNAPSHOT,
        shippingAddress=ADDRESS,
        orderProducts=[{"product": "mug", "variant": "mug-blue", "quantity": 2, "unitPrice": 10000}],
        totalAmount=20000,
        paymentId="pay_123456",
    )
    orderProducts: Annotated[list[OrderedProduct], Field(min_length=1, max_length=LINES)]
    shippingAddress: Annotated[
        ShippingAddress | None, Field(validate_default=True, description="needed unless no line requires shipping")
    ] = None
    totalAmount: Amount
    currency: Annotated[Currency | None, Field(description="ISO 4217; the shop's, where none is given")] = None

    @field_validator("shippingAddress")
    @classmethod
    def _is_told_where_something_ships(
        cls, told: ShippingAddress | None, others: ValidationInfo
    ) -> ShippingAddress | None:
        """Named beside the other faults, of lines that are wrong too."""
        lines = others.data.get("orderProducts")
        if told is None and (lines is None or any(line.requiresShipping is not False for line in lines)):
            raise PydanticCustomError("missing", ADDRESS_NEEDED)
        return told


class Checkout(Terms):
    """A cart becomes an order, once. `totalAmount`, where it is given, must be what the cart comes to."""

    model_config = like(
        cartId="crt_019a3c1e8f7b7c1d9e2f3a4b5c6d7e8f",
        orderNumber=NUMBER,
        customerSnapshot=SNAPSHOT,
        paymentId="pay_123456",
    )
    cartId: Name
    shippingAddress: ShippingAddress | None = None
    totalAmount: Amount | None = None


def _digits(text: str) -> str:
    digits = text.replace("-", "").replace(" ", "")
    if not (digits.isascii() and digits.isdigit() and MIN_DIGITS <= len(digits) <= MAX_DIGITS):
        raise ValueError(f"must be {MIN_DIGITS} to {MAX_DIGITS} digits; hyphens and blanks may stand between them")
    return digits


Digits = Annotated[Name, AfterValidator(_digits)]


class RefundAccount(BaseModel):
    """The bank account that a refund goes to, where the way the money came takes none back; `bank` is the provider's code."""

    model_config = like(bank="SHINHAN", number="110-123-456789", holderName="John Doe")
    bank: Annotated[Name, Field(description="PortOne's name of it, or Toss Payments' code: by who took the payment")]
    number: Digits = Field(repr=False)
    holderName: Name = Field(repr=False)
    holderPhoneNumber: Digits | None = Field(None, repr=False)

    def as_told(self) -> Account:
        """The account as providers are told it."""
        return Account(self.bank, self.number, self.holderName, self.holderPhoneNumber)


class UpdateOrder(BaseModel):
    """A change of an order: the status that it is to take, edits of what it says of its customer and address, or both.

    A shipping step moves the order's only open fulfillment. Of a group, such as `shippingAddress`, what is left out stays as
    it is, and null empties it.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"status": "canceled"}, {"shippingAddress": {"address1": "2 Side St"}}],
            "minProperties": 1,
        },
    )
    status: Literal[
        "pending", "paid", "failed", "preparing", "shipped", "delivered", "confirmed", "canceled",
        "return_requested", "return_processing", "returned",
    ] | None = None  # fmt: skip
    refundAccount: Annotated[RefundAccount | None, Field(description="with `canceled`, of one order")] = None
    customerSnapshot: CustomerSnapshot | None = None
    shippingAddress: Annotated[ShippingAddress | None, Field(description="until a parcel leaves; after that, 409")] = (
        None
    )
    customer: Name | None = None
    notes: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.status is None and not self.edits():
            raise ValueError(f"says nothing; give `status`, or what is to be edited: {', '.join(EDITABLE)}")
        return self

    def edits(self) -> dict[str, Any]:
        """Field → what it is to say; of a group only what was sent."""
        sent = {name: value for name in EDITABLE if (value := getattr(self, name)) is not None}
        return {
            name: value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value
            for name, value in sent.items()
        }


class AcceptOrder(BaseModel):
    """The amount that is taken as enough; without it, what was captured."""

    model_config = like(reason="a cent short")
    amount: Amount | None = None
    reason: WhyIfSaid = None


class Line(BaseModel):
    """So many of one order item, by its `reference` or its id."""

    model_config = like(orderItem=ITEM, quantity=1)
    orderItem: Name
    quantity: Quantity


Lines = Annotated[list[Line], Field(min_length=1, max_length=LINES)]


class CancelItems(BaseModel):
    """Items that are taken out of an order: all of them or none. Without `refundAmount` it follows from the lines' prices."""

    model_config = like(items=[{"orderItem": ITEM, "quantity": 1}], reason="sold out")
    items: Lines
    refundAmount: Annotated[Amount | None, Field(description="no more than the price and tax of these items")] = None
    reason: WhyIfSaid = None
    refundAccount: RefundAccount | None = None


class HoldOrder(BaseModel):
    """A hold: nothing more of the order ships until it is released, or by itself at `until`."""

    model_config = like(hold="fraud", reason="asks about the card", until="2026-12-01T09:00:00Z")
    hold: Annotated[Name, Field(description="its name; the same name again holds anew")] = "staff"
    reason: WhyIfSaid = None
    until: Annotated[Moment | None, Field(description="it is released by itself then")] = None


class ReleaseOrder(BaseModel):
    """The hold that is released: by its name, or the only one."""

    model_config = like(hold="fraud", reason="the card is the customer's own")
    hold: Annotated[
        Name | None, Field(description="one of its holds; also `refunded`, `disputed`, `payment_reversed`")
    ] = None
    reason: WhyIfSaid = None


class UpdateTransaction(BaseModel):
    """The outcome of a payment. `paid` pays what is still owed on the order; of one that is paid, as `manual:PAYMENT`."""

    model_config = like(paymentId="pay_123456", status="paid", paymentMethod="card")
    paymentId: Name
    status: Literal["pending", "paid", "failed", "canceled"]
    paymentMethod: Name | None = None
    receiptUrl: Url | None = None


class OfOrder(BaseModel):
    """Names an order, by its id or by its number."""

    order: Annotated[Name | None, Field(description="its id; or give `orderNumber`")] = None
    orderNumber: Annotated[Name | None, Field(description="or give `order`")] = None


class CreateFulfillment(OfOrder):
    """Items that ship together; without `items`, all that is open."""

    model_config = like(
        orderNumber=NUMBER,
        items=[{"orderItem": ITEM, "quantity": 1}],
        carrier="CJ Logistics",
        trackingNumber="123456789012",
    )
    items: Lines | None = None
    carrier: Name | None = None
    trackingNumber: Name | None = None
    reference: Annotated[Name | None, Field(description="your own name for it, unique in the order")] = None
    replaces: Annotated[
        Name | None, Field(description="a fulfillment that has left, by id or `reference`: its items are sent again")
    ] = None


class UpdateFulfillment(BaseModel):
    """The step that the fulfillment took, or who carries it, or both."""

    model_config = like(status="shipped", carrier="CJ Logistics", trackingNumber="123456789012")
    status: Annotated[f.FulfillmentStatus | None, Field(description="without it, only who carries it is changed")] = (
        None
    )
    carrier: Name | None = None
    trackingNumber: Name | None = None


class EraseCustomer(BaseModel):
    """The reason of an erasure."""

    model_config = like(reason="request 17")
    reason: Why


class CreatePause(BaseModel):
    """The thing that is to rest, and why."""

    model_config = like(**PAUSE)
    kind: Literal["order", "event_type", "provider", "carrier", "effect", "subscription", "outward"]
    name: Annotated[
        Name | None,
        Field(
            description="which: an order's number, a type of event, a provider, a carrier, refunds, lookups, tracking or "
            "deliveries, a subscription's id; none for outward"
        ),
    ] = None
    reason: Why
    until: Annotated[Moment | None, Field(description="it resumes by itself then")] = None


class CreateReturn(OfOrder):
    """Items that are to come back; without `items`, all that can."""

    model_config = like(orderNumber=NUMBER, reason="defective", items=[{"orderItem": ITEM, "quantity": 1}])
    reason: Reason
    items: Lines | None = None
    note: Text | None = None
    carrier: Annotated[Name | None, Field(description="who brings it back")] = None
    trackingNumber: Name | None = None
    refundAccount: RefundAccount | None = None


class UpdateReturn(BaseModel):
    """The step that the return takes, or that it was received; with `completed`, what came back and what is given back."""

    model_config = like(status="completed", items=[{"orderItem": ITEM, "quantity": 1}], restockingFee=500)
    status: Literal["requested", "approved", "rejected", "processing", "completed"] | None = None
    received: Annotated[Literal[True] | None, Field(description="the warehouse has it, as of now")] = None
    carrier: Annotated[Name | None, Field(description="who brings it back; the other half stays as it is")] = None
    trackingNumber: Name | None = None
    items: Annotated[Lines | None, Field(description="what really came back; else all that were asked for")] = None
    refundAmount: Annotated[
        Amount | None, Field(description="what is given back; else it follows from the lines' prices")
    ] = None
    restockingFee: Annotated[Amount | None, Field(description="kept of what the lines' prices give back")] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(each is None for each in (self.status, self.received, self.carrier, self.trackingNumber)):
            raise ValueError("says nothing; give `status`, `received`, or `carrier` and `trackingNumber`")
        return self


class WithdrawReturn(BaseModel):
    """The customer's word why the return is withdrawn, if there is one."""

    model_config = like(note="it fits after all")
    note: Text | None = None


class ReturnWithRefund(CreateReturn):
    """A return that is done at once, and its refund. Without `refundAmount` it follows from the lines' prices."""

    model_config = like(orderNumber=NUMBER, reason="damaged", refundAmount=10000)
    refundAmount: Amount | None = None


class CreateRefund(OfOrder):
    """Money that goes back without a return. Without `transaction`, of the payment that was captured last."""

    model_config = like(orderNumber=NUMBER, amount=500, reason="goodwill", note="a scratch on the box")
    amount: Amount
    reason: Annotated[GrantReason, Field(description="what it is for")]
    transaction: Annotated[Name | None, Field(description="its id, or the provider's `paymentId`")] = None
    note: Text | None = None
    refundAccount: RefundAccount | None = None


class SettleRefund(BaseModel):
    """The way in which a person paid a refund back past the provider."""

    model_config = like(method="bank transfer", note="asked for by phone")
    method: Name
    note: Text | None = None


class ResolveFinding(BaseModel):
    """The note on what a finding came to, for those who read it later."""

    model_config = like(note="test payment of ours, refunded in the dashboard")
    note: Annotated[Text, Field(min_length=1, max_length=2_000)]


class AllocateRefund(BaseModel):
    """The purpose of a refund that was made at the provider; `due` counts it toward what is due, as before."""

    model_config = like(reason="goodwill")
    reason: Allocation


class CreateCart(BaseModel):
    """A new cart, empty."""

    model_config = like(customer="cus_1", currency="KRW")
    customer: Name | None = None
    currency: Annotated[Currency | None, Field(description="ISO 4217; the shop's, where none is given")] = None


class UpdateCartItem(BaseModel):
    """The new quantity of a line."""

    model_config = like(quantity=3)
    quantity: Quantity
