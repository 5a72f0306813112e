"""Small makers of events, orders and stories, so that a test reads as a sentence.

An order is of two mugs of 5,000 won, paid by the payment `pay`, unless a test says otherwise. A
`Story` is one order and the events that were told to it, in order of arrival; the journal has let
each in once and led it to its order.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.fold import EventResult, Fold
from domain.fulfillment import Fulfillment
from domain.order import Order, OrderItem
from domain.policy import Context, Policy
from domain.returns import Return
from domain.transaction import Transaction
from events.envelope import Envelope
from tests.fold_helpers import NOW, an_event

ORDER = "261101000001"
CARRIER, NUMBER = "CJ Logistics", "TRK-1"
_ids = itertools.count(1)


def won(amount: int) -> Decimal:
    """An amount of money without decimals."""
    return Decimal(amount)


def later(**period: float) -> datetime:
    """A time after the one at which everything happens that names none."""
    return NOW + timedelta(**period)


def told(
    kind: str,
    *,
    at: datetime = NOW,
    subject: str | None = ORDER,
    source: str = "shop",
    version: int = 1,
    **data: Any,
) -> Envelope:
    """Any event; fields that are None are left out."""
    body = {name: value for name, value in data.items() if value is not None}
    return Envelope(f"evt-{next(_ids)}", source, kind, at, subject, body, version)


def any_order_of(*things: Any) -> list[tuple]:
    """All orders in which these may arrive."""
    return list(itertools.permutations(things))


# -- orders ------------------------------------------------------------------------------------------


def line(item: str, quantity: int = 1, price: str | int = 5_000) -> dict[str, Any]:
    return {"item": item, "product": f"product of {item}", "quantity": quantity, "unitPrice": str(price)}


def created(*lines: dict[str, Any], total: Any = None, payments: tuple = ("pay",), **data: Any) -> Envelope:
    """An order of `lines`; its total adds up unless it is given."""
    lines = lines or (line("mug", 2),)
    goods = sum((Decimal(one["unitPrice"]) * one["quantity"] for one in lines), Decimal(0))
    on_top = Decimal(data.get("shippingAmount", 0)) + Decimal(data.get("taxAmount", 0))
    adds_up = goods + on_top - Decimal(data.get("discountAmount", 0))
    total = adds_up if total is None else total
    return told("OrderCreated", items=list(lines), totalAmount=str(total), paymentIds=list(payments), **data)


def canceled(**data: Any) -> Envelope:
    return told("OrderCanceled", **data)


def items_canceled(items: dict[str, int], name: str = "cnl", refund: str | int | None = None, **data: Any) -> Envelope:
    """An ItemsCanceled of some items."""
    amount = None if refund is None else str(refund)
    return told("ItemsCanceled", cancellation=name, items=listed(items), refundAmount=amount, **data)


def expired(**data: Any) -> Envelope:
    return told("OrderExpired", **data)


def confirmed(**data: Any) -> Envelope:
    return told("OrderConfirmed", **data)


# -- payments ----------------------------------------------------------------------------------------


def paid(amount: str | int = 10_000, payment: str = "pay", **data: Any) -> Envelope:
    return told("PaymentSucceeded", paymentId=payment, amount=str(amount), **data)


def pending(way: str = "awaiting_deposit", payment: str = "pay", at: datetime = NOW, **data: Any) -> Envelope:
    """A PaymentPending of an order's payment; `way` is its kind."""
    body = {"paymentId": payment, "kind": way, **data}
    return Envelope(f"evt-{next(_ids)}", "shop", "PaymentPending", at, ORDER, body)


def failed(payment: str = "pay", **data: Any) -> Envelope:
    return told("PaymentFailed", paymentId=payment, **data)


def given_up(payment: str = "pay", **data: Any) -> Envelope:
    return told("PaymentCanceled", paymentId=payment, **data)


def taken_back(payment: str = "pay", **data: Any) -> Envelope:
    """A PaymentReversed of an order's payment."""
    return told("PaymentReversed", paymentId=payment, **data)


def refunded(amount: str | int, payment: str = "pay", **data: Any) -> Envelope:
    """`amount` is all that went back so far."""
    return told("PaymentRefunded", paymentId=payment, refundedAmount=str(amount), **data)


def a_refund(status: str = "succeeded", amount: str | int = 500, payment: str = "pay", **data: Any) -> Envelope:
    """One refund as its provider tells it, by its id."""
    known = {"refund": "re_1", "requestedAt": NOW.isoformat(), **data}
    return told("PaymentRefunded", paymentId=payment, amount=str(amount), status=status, version=2, **known)


def disputed(outcome: str | None = None, payment: str = "pay", **data: Any) -> Envelope:
    return told("PaymentDisputed", paymentId=payment, outcome=outcome, **data)


# -- parcels -----------------------------------------------------------------------------------------


def listed(items: dict[str, int] | None) -> list[dict[str, Any]] | None:
    return None if items is None else [{"item": item, "quantity": number} for item, number in items.items()]


def _parcel(step: str, parcel: str, items: dict[str, int] | None, data: dict[str, Any]) -> Envelope:
    return told(f"Fulfillment{step}", fulfillment=parcel, items=listed(items), **data)


def boxed(parcel: str = "box", items: dict[str, int] | None = None, **data: Any) -> Envelope:
    """A FulfillmentCreated with some items."""
    return _parcel("Created", parcel, items, data)


def packed(parcel: str = "box", items: dict[str, int] | None = None, **data: Any) -> Envelope:
    return _parcel("Packed", parcel, items, data)


def shipped(parcel: str = "box", items: dict[str, int] | None = None, **data: Any) -> Envelope:
    return _parcel("Shipped", parcel, items, data)


def delivered(parcel: str = "box", items: dict[str, int] | None = None, **data: Any) -> Envelope:
    return _parcel("Delivered", parcel, items, data)


def lost(parcel: str = "box", **data: Any) -> Envelope:
    """A FulfillmentFailed of a parcel."""
    return told("FulfillmentFailed", fulfillment=parcel, **data)


def corrected(status: str, parcel: str = "box", at: datetime = NOW, **data: Any) -> Envelope:
    """Staff says where a parcel stands."""
    return told("FulfillmentCorrected", fulfillment=parcel, status=status, at=at, **data)


def renumbered(number: str, parcel: str = "box", carrier: str = "CJ Logistics", at: datetime = NOW) -> Envelope:
    """Staff says who carries a parcel."""
    return told("FulfillmentTrackingChanged", fulfillment=parcel, carrier=carrier, trackingNumber=number, at=at)


def tracked(**data: Any) -> dict[str, Any]:
    """The carrier's fields of an event: `shipped(**tracked())`."""
    return {"carrier": CARRIER, "trackingNumber": NUMBER, **data}


def scan(status: str, number: str = NUMBER, **data: Any) -> Envelope:
    """A carrier's scan; it names a parcel, and no order."""
    data = {"carrier": CARRIER, "source": "tracker", "subject": None, **data}
    return told("TrackingUpdated", trackingNumber=number, status=status, **data)


# -- returns -----------------------------------------------------------------------------------------


def asked_back(back: str = "ret", items: dict[str, int] | None = None, **data: Any) -> Envelope:
    """A ReturnRequested of some items."""
    return told("ReturnRequested", items=listed(items), **{"return": back, "reason": "other", **data})


def approved(back: str = "ret", **data: Any) -> Envelope:
    return told("ReturnApproved", **{"return": back, **data})


def processing(back: str = "ret", **data: Any) -> Envelope:
    return told("ReturnProcessingStarted", **{"return": back, **data})


def rejected(back: str = "ret", **data: Any) -> Envelope:
    return told("ReturnRejected", **{"return": back, **data})


def came_back(back: str = "ret", refund: str | int | None = None, **data: Any) -> Envelope:
    """A ReturnCompleted of a return."""
    return told("ReturnCompleted", refundAmount=None if refund is None else str(refund), **{"return": back, **data})


# -- orders and what happens to them -----------------------------------------------------------------


def an_order(**fields: Any) -> Order:
    """An order of which nothing is known but these fields."""
    return Order("00000000-0000-7000-8000-000000000001", ORDER, 0, **fields)


class Story:
    """One order, and what the events that were told to it led to."""

    def __init__(self, *events: Envelope, now: datetime = NOW, held: bool = False, **policy: Any) -> None:
        self.fold = Fold(an_order(effects_suppressed=held), Context(now, Policy(**policy)))
        self._told = 0
        self.tell(*events)

    def tell(self, *events: Envelope) -> Story:
        for envelope in events:
            self._told += 1
            self.fold.take(an_event(envelope, self._told))
        return self

    def outcome(self, event: Envelope) -> str:
        """The last outcome of an event: "applied", "parked: not_paid"."""
        last = self.settled(event)[-1].outcome
        return last.kind if last.reason is None else f"{last.kind}: {last.reason}"

    def settled(self, event: Envelope) -> list[EventResult]:
        return [one for one in self.fold.settled if one.event.id == event.id]

    @property
    def order(self) -> Order:
        return self.fold.order

    @property
    def status(self) -> str:
        return str(self.order.status)

    @property
    def flags(self) -> list[str]:
        return self.order.flags

    @property
    def waiting(self) -> list[str]:
        return [event.type for event in self.fold.waiting]

    @property
    def follow_ups(self) -> list[str]:
        return [one.event.type for one in self.fold.follow_ups]

    def item(self, name: str = "mug") -> OrderItem:
        return next(one for one in self.order.items if one.reference == name)

    def payment(self, name: str = "pay") -> Transaction:
        return next(one for one in self.order.transactions if one.payment_id == name)

    def parcel(self, name: str = "box") -> Fulfillment:
        return next(one for one in self.order.fulfillments if one.reference == name)

    def back(self, name: str = "ret") -> Return:
        return next(one for one in self.order.returns if one.reference == name)

    def inside(self, name: str = "box") -> dict[str, int]:
        """item → quantity in a parcel."""
        return self._shares(self.parcel(name))

    @property
    def plan(self) -> dict[str, int]:
        """item → quantity of what the order starts by itself; {} where there is no plan."""
        return next((self._shares(one) for one in self.order.fulfillments if one.planned), {})

    @property
    def due(self) -> dict[str, Decimal]:
        """paymentId → what goes back of it in all, where anything does."""
        return {one.payment_id: one.refund_target for one in self.order.transactions if one.refund_target}

    def everything(self) -> dict[str, Any]:
        """The order to its last field, for comparing before and after."""
        found = asdict(self.order)
        del found["goods_kept"], found["payments_kept"]  # they follow from the rest
        return found

    def _shares(self, parcel: Fulfillment) -> dict[str, int]:
        names = {item.id: item.reference or item.id for item in self.order.items}
        held = (one for one in self.order.fulfillment_items if one.fulfillment_id == parcel.id)
        return {names[one.order_item_id]: one.quantity for one in held}
