"""Every event there is: one class a type, a version each, and upcasters from older versions.

A body is read with `decode`, which raises `UnknownType` (the event is kept and ignored),
`UnknownVersion` or `Malformed` (both end in the dead letters with the reason).
Money is in major units; texts are bounded so that one hostile field cannot fill an index.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeGuard, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from events.body import Body as Body
from events.body import Decision, PaymentBody, Shares
from events.body import Share as Share
from events.body import payment_key as payment_key
from events.body import tracking_key as tracking_key
from events.corrections import ItemsCanceled, OrderEdited, OrderHeld, OrderReleased
from events.errors import OrdersError
from events.field_types import (
    Amount,
    Currency,
    FulfillmentStatus,
    Moment,
    Name,
    Quantity,
    Reason,
    RefundStatus,
    Text,
    TrackingStatus,
    Url,
    clickable,
    said,
)
from events.refunds import (
    OrderAccepted,
    PaymentPending,
    RefundAllocated,
    RefundFailed,
    RefundRequested,
    RefundSettled,
)
from events.returns import ReturnReceived, ReturnTrackingChanged
from events.returns import ReturnStep as ReturnStep


class OrderLine(Body):
    """A line of a new order; `item` is the outside's name for it, unique in the order."""

    item: Name | None = None
    product: Name
    variant: Name | None = None
    option: Name | None = None
    quantity: Quantity
    unitPrice: Amount
    taxAmount: Annotated[Amount | None, Field(description="on top of the price, for all of the line")] = None
    taxFree: bool | None = None
    requiresShipping: Annotated[bool | None, Field(description="false: delivered as soon as the order is paid")] = None


def _names_once(lines: list[OrderLine]) -> list[OrderLine]:
    names = [line.item for line in lines if line.item is not None]
    if len(names) != len(set(names)):
        raise ValueError("two lines have the same item; name each once")
    return lines


class OrderCreated(Body):
    """An order was placed. `personal` names the side row that holds its personal fields."""

    items: Annotated[list[OrderLine], Field(max_length=1000), AfterValidator(_names_once)]
    totalAmount: Amount
    currency: Currency | None = None
    discountCode: Name | None = None
    discountAmount: Amount = Decimal(0)
    shippingAmount: Amount = Decimal(0)
    taxAmount: Annotated[Amount | None, Field(description="on top of prices alone, of goods and shipping")] = None
    customer: Name | None = None
    paymentIds: Annotated[list[Name], Field(max_length=100)] = []  # noqa: RUF012  pydantic copies it
    provider: Annotated[Name | None, Field(description="who takes these payments, such as stripe")] = None
    personal: Name | None = None

    def correlation_keys(self) -> set[str]:
        """The keys of its payments."""
        return {payment_key(payment_id) for payment_id in self.paymentIds}


class PaymentSucceeded(PaymentBody):
    """Money was captured for an order."""

    amount: Amount
    currency: Currency | None = None
    provider: Name | None = None
    paymentMethod: Name | None = None
    receiptUrl: Annotated[Url | None, BeforeValidator(clickable)] = None


class PaymentEnded(PaymentBody):
    """A payment that came to nothing, with the provider's reason."""

    code: Text | None = None
    message: Text | None = None


class PaymentFailed(PaymentEnded):
    """An attempt to pay failed; of what is told before a success the latest counts, and a success beats it."""


class PaymentCanceled(PaymentEnded):
    """A payment was given up before any capture."""


class PaymentReversed(PaymentBody):
    """A bank took a deposit back: no money came after all, until it is captured anew at a later time."""

    reason: Text | None = None


class PaymentRefunded(PaymentBody):
    """Money went back, or is on its way: `refund` is one refund by the provider's id, `refundedAmount` its cumulative figure."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["refund"]}, {"required": ["refundedAmount"]}]})

    refund: Name | None = None
    amount: Amount | None = None
    refundedAmount: Annotated[Amount | None, Field(validate_default=True)] = None
    status: RefundStatus | None = None
    requestedAt: Moment | None = None

    @field_validator("refundedAmount")
    @classmethod
    def _says_something(cls, total: Decimal | None, info: ValidationInfo) -> Decimal | None:
        if total is None and info.data.get("refund") is None:
            raise PydanticCustomError("missing", "Field required, unless `refund` names one of its refunds")
        return total


class PaymentDisputed(PaymentBody):
    """The payer's bank asks, about `amount` or all of it; `outcome` (won, lost) once it is decided.

    The outcome `inquiry` says that the bank only asks, and disputes nothing yet: nothing is contested, but refunds wait.
    Any other leaves the dispute open until a person says won or lost.

    `dispute` is the provider's id of it, the payment's where there is none.
    """

    dispute: Name | None = None
    amount: Amount | None = None
    reason: Text | None = None
    outcome: Name | None = None


class OrderCanceled(Decision):
    """Somebody wants the order canceled; possible while nothing is out or delivered."""


class OrderConfirmed(Decision):
    """The customer, or the timer, confirms what was delivered."""


class OrderExpired(Decision):
    """The unpaid timer ran out."""


class ParcelStep(Body):
    """A step of a fulfillment, with what it holds and who carries it."""

    fulfillment: Name
    items: Shares | None = None
    carrier: Name | None = None
    trackingNumber: Name | None = None

    def correlation_keys(self) -> set[str]:
        """The key of its parcel, once both its carrier and its number are said."""
        if (carrier := self.carrier) and (number := self.trackingNumber):
            return {tracking_key(carrier, number)}
        return set()


class FulfillmentCreated(ParcelStep):
    """Items that will ship together; without `items`, all of the order's."""

    replaces: Annotated[Name | None, Field(description="the fulfillment that it is sent in place of")] = None


class FulfillmentPacked(ParcelStep):
    """The parcel is packed."""


class FulfillmentShipped(ParcelStep):
    """The parcel left; creates the fulfillment where nobody did."""


class FulfillmentDelivered(ParcelStep):
    """The parcel has arrived."""


class FulfillmentTrackingChanged(Body):
    """A parcel has another carrier and number, which needs no step and may come at any; its others move nothing any more."""

    fulfillment: Name
    carrier: Name
    trackingNumber: Name

    def correlation_keys(self) -> set[str]:
        """The key of its parcel."""
        return {tracking_key(self.carrier, self.trackingNumber)}


class FulfillmentCorrected(Decision):
    """A person says where a parcel stands: what was told of it until then counts no more."""

    fulfillment: Name
    status: FulfillmentStatus


class FulfillmentFailed(Body):
    """The parcel will not arrive; its items are open again."""

    fulfillment: Name
    reason: Text | None = None


class TrackingUpdated(Body):
    """A carrier's scan, in the unified statuses."""

    carrier: Name
    trackingNumber: Name
    status: TrackingStatus
    description: Text | None = None
    location: Text | None = None
    detail: Annotated[Name | None, Field(description="the carrier's own word for the status")] = None
    estimatedDelivery: Moment | None = None

    def correlation_keys(self) -> set[str]:
        """The key of its parcel."""
        return {tracking_key(self.carrier, self.trackingNumber)}


class ReturnRequested(Body):
    """The customer wants to send items back; without `items`, all of the order's."""

    return_: Annotated[Name, Field(alias="return")]
    reason: Reason
    items: Shares | None = None
    carrier: Name | None = None
    trackingNumber: Name | None = None
    personal: Name | None = None

    def correlation_keys(self) -> set[str]:
        """The key of the parcel that brings it back, once both its carrier and its number are said."""
        if (carrier := self.carrier) and (number := self.trackingNumber):
            return {tracking_key(carrier, number)}
        return set()


class ReturnApproved(ReturnStep):
    """Staff, or the policy, accepts the return."""


class ReturnRejected(ReturnStep):
    """Staff refuses the return, or the customer withdraws it (`by`: customer); its items are free again."""


class ReturnProcessingStarted(ReturnStep):
    """The return is being worked on."""


class ReturnCompleted(Body):
    """The items came back; without `items` all that were asked for, without `refundAmount` it follows from the lines' prices."""

    return_: Annotated[Name, Field(alias="return")]
    refundAmount: Amount | None = None
    items: Annotated[Shares | None, Field(description="what really came back")] = None


_BODIES: tuple[type[Body], ...] = (
    OrderCreated,
    PaymentPending,
    PaymentSucceeded,
    PaymentFailed,
    PaymentCanceled,
    PaymentReversed,
    PaymentRefunded,
    RefundFailed,
    PaymentDisputed,
    OrderCanceled,
    OrderConfirmed,
    OrderExpired,
    FulfillmentCreated,
    FulfillmentPacked,
    FulfillmentShipped,
    FulfillmentDelivered,
    FulfillmentFailed,
    FulfillmentTrackingChanged,
    FulfillmentCorrected,
    TrackingUpdated,
    ReturnRequested,
    ReturnApproved,
    ReturnRejected,
    ReturnProcessingStarted,
    ReturnTrackingChanged,
    ReturnReceived,
    ReturnCompleted,
    OrderAccepted,
    RefundRequested,
    RefundSettled,
    RefundAllocated,
    ItemsCanceled,
    OrderHeld,
    OrderReleased,
    OrderEdited,
)
CATALOGUE: dict[str, type[Body]] = {body.__name__: body for body in _BODIES}
_READERS: dict[str, Callable[[Any], Body]] = {
    name: TypeAdapter(body).validator.validate_python for name, body in CATALOGUE.items()
}

# The newest version of each type's data; 1 where nothing else is said.
NEWEST: dict[str, int] = {"PaymentRefunded": 2, "PaymentDisputed": 2}
# (type, version) → how that version's data becomes the next one's. Never removed: old events stay readable.
UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {
    # What the first version did not know was kept unread, whatever its name meant then.
    ("PaymentRefunded", 1): lambda data: _only(data, "paymentId", "refundedAmount"),
    ("PaymentDisputed", 1): lambda data: _only(data, "paymentId", "reason", "outcome"),
}

# Types that name no order of their own accord: a payment or a parcel leads to it.
WITHOUT_SUBJECT = {
    "PaymentPending", "PaymentSucceeded", "PaymentFailed", "PaymentCanceled", "PaymentReversed", "PaymentRefunded",
    "RefundFailed", "PaymentDisputed", "TrackingUpdated",
}  # fmt: skip
# Fields that tell who a customer is. They live in a side table, never in the journal's bodies.
PERSONAL_FIELDS = ("customerSnapshot", "shippingAddress", "notes", "note")
# Those, and what tells the same in requests: values of these names stand neither in the audit nor in the log.
PERSONAL_NAMES = frozenset((*PERSONAL_FIELDS, "refundAccount", "email", "phone"))
# Types of which the fold must know which personal fields they hold: the journal writes their names into `personalFields`.
NAMES_PERSONAL = frozenset(("OrderEdited",))


class BodyError(OrdersError, ValueError):
    """A kept event that cannot be applied as it stands."""

    code = "event_unreadable"
    remedy = "See `orders given-up list`: mend the event there, then replay it."


class UnknownType(BodyError):
    """No such event in the catalogue: kept, and ignored."""

    code = "event_type_unknown"
    remedy = "Nothing, where the sender means others with it; else correct the type, and send it under a new id."


class UnknownVersion(BodyError):
    """The event has a version that this catalogue does not know."""

    code = "event_version_unknown"
    remedy = "Upgrade to the release that knows the version, then `orders given-up replay`."


class Malformed(BodyError):
    """The body does not fit its type; the message names each field at fault."""

    code = "event_malformed"
    remedy = "Correct the fields with `orders given-up edit`, then `orders given-up replay`."


B = TypeVar("B", bound=Body)
BodyT = TypeVar("BodyT", bound=Body, covariant=True)


@dataclass(slots=True)
class Event(Generic[BodyT]):
    """A decoded event, ready for the state machines. `seq` is its place in the journal."""

    seq: int
    source: str
    id: str
    type: str
    time: datetime
    subject: str | None
    data: BodyT


AnyEvent = Event[Body]


def is_a(event: AnyEvent, body: type[B]) -> TypeGuard[Event[B]]:
    """True where an event is of exactly this type. (`isinstance` on a pydantic class costs twice as much where it is not.)"""
    return type(event.data) is body


def decode(kind: str, version: int, subject: str | None, data: dict[str, Any]) -> Body:
    """The body of one event as its class; see the module for what it raises."""
    if kind not in CATALOGUE:
        raise UnknownType(f"{kind} is not in the catalogue")
    newest = NEWEST.get(kind, 1)
    if version != newest and not 1 <= version <= newest:
        raise UnknownVersion(f"{kind} has versions 1 to {newest}, not {version}")
    if subject is None and kind not in WITHOUT_SUBJECT:
        raise Malformed("subject: is missing; it must be the order's number")
    if version != newest:
        for step in range(version, newest):
            data = UPCASTERS[kind, step](data)
    try:
        return _READERS[kind](data)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'data'}: {said(fault)}"
            for fault in error.errors(include_url=False, include_input=False)[:5]
        ]
        raise Malformed("; ".join(faults)) from None


def _only(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: data[name] for name in names if name in data}


def route_of(envelope_id: str, kind: str, subject: str | None, data: dict[str, Any]) -> str:
    """The text that an event's shard follows from: the order's number, else its payment or parcel, else its id.

    Works on any body, also one that `decode` would refuse.
    """
    if kind in CATALOGUE and subject is not None:
        return subject
    payment, carrier, number = (data.get(n) for n in ("paymentId", "carrier", "trackingNumber"))
    if isinstance(payment, str):
        return payment_key(payment)
    if isinstance(carrier, str) and isinstance(number, str):
        return tracking_key(carrier, number)
    return envelope_id
