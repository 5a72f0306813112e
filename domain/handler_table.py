"""One event through the machines: `apply(order, event, context)` changes the order and says what became of it.

The one path that changes an order. A fact (a payment, a parcel) is recorded on its own part and
never refused, at most flagged. A decision (cancel, confirm, a return's steps) has a precondition:
it is parked until that is true, and settled once it cannot become true. Parked and dead change
nothing; applied and ignored take the order's next apply number.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

from domain import correction_handlers as corrections
from domain import fulfillment_handlers as parcels
from domain import order_handlers as orders
from domain import payment_handlers as payments
from domain import refund_handlers as refunds
from domain import return_handlers as returns
from domain.digital import deliver, has_digital
from domain.dirty_tracking import touch, touch_quietly
from domain.flags import Flag, flags_after
from domain.goods_row import settle_amounts
from domain.order import STEPS, Order, Status
from domain.outcome import DEAD, PARKED, Outcome, Reason, parked
from domain.policy import Context
from domain.refunds import move_targets, weigh_anew
from domain.state_machine import advance
from events import catalogue as e
from events import corrections as c
from events import refunds as r
from events import returns as b
from events.catalogue import AnyEvent, B, Event

# The last are the names of returns whose rejections wait for their requests.
Handler = Callable[[Order, Event[B], Context, Container[str]], Outcome]
_NEW = str(Status.NEW)
_ORDER_UNKNOWN = parked(Reason.ORDER_UNKNOWN)
_PRICED = frozenset(("ReturnCompleted", "ItemsCanceled"))  # what changes the row of domain/goods_row.py
_HOLD_REFUNDS = (Flag.DISPUTED, Flag.INQUIRY)  # whose coming and going lets refunds be weighed anew


@dataclass(frozen=True, slots=True)
class Row:
    """The handling of one type of event: its handler, and what of the order it may move."""

    handle: Handler[Any]
    items: bool  # quantities of parcels and returns: they are counted anew
    money: bool  # payments: the flags about money are weighed anew
    refunds: bool  # what is due back: targets may rise
    creates: bool
    quiet: bool  # subscribers are told of it only where the order's status or flags move, or its handler says so


def row(
    body: type[B],
    handle: Handler[B],
    *,
    items: bool = False,
    money: bool = False,
    refunds: bool = False,
    creates: bool = False,
    quiet: bool = False,
) -> tuple[str, Row]:
    """A type of event with the handler that reads its body: mypy holds the two together."""
    return body.__name__, Row(handle, items, money, refunds, creates, quiet)


HANDLERS = dict(
    (
        row(e.OrderCreated, orders.order_created, creates=True),
        row(e.OrderCanceled, orders.order_canceled, items=True, money=True, refunds=True),
        row(e.OrderExpired, orders.order_expired, items=True, money=True),
        row(e.OrderConfirmed, orders.order_confirmed),
        row(c.ItemsCanceled, corrections.items_canceled, items=True, money=True, refunds=True),
        row(c.OrderEdited, corrections.order_edited),
        row(c.OrderHeld, corrections.order_held),
        row(c.OrderReleased, corrections.order_released),
        row(r.OrderAccepted, refunds.order_accepted, money=True, refunds=True),
        row(r.RefundRequested, refunds.refund_requested, money=True, refunds=True),
        row(r.RefundSettled, refunds.refund_settled, money=True, refunds=True),
        row(r.RefundAllocated, refunds.refund_allocated, money=True, refunds=True),
        row(r.PaymentPending, payments.payment_pending, money=True),
        row(e.PaymentSucceeded, payments.payment_succeeded, money=True, refunds=True),
        row(e.PaymentFailed, payments.payment_ended, money=True),
        row(e.PaymentCanceled, payments.payment_ended, money=True),
        row(e.PaymentReversed, payments.payment_reversed, money=True, refunds=True),
        row(e.PaymentRefunded, payments.payment_refunded, money=True, refunds=True),
        row(r.RefundFailed, payments.refund_failed, money=True, refunds=True),
        row(e.PaymentDisputed, payments.payment_disputed, money=True, refunds=True),
        row(e.FulfillmentCreated, parcels.parcel_step, items=True),
        row(e.FulfillmentPacked, parcels.parcel_step, items=True),
        row(e.FulfillmentShipped, parcels.parcel_step, items=True),
        row(e.FulfillmentDelivered, parcels.parcel_step, items=True),
        row(e.FulfillmentFailed, parcels.fulfillment_failed, items=True),
        row(e.FulfillmentTrackingChanged, parcels.tracking_changed, items=True),
        row(e.FulfillmentCorrected, parcels.fulfillment_corrected, items=True),
        row(e.TrackingUpdated, parcels.tracking_updated, items=True, quiet=True),
        row(e.ReturnRequested, returns.return_requested, items=True),
        row(e.ReturnApproved, returns.return_step),
        row(e.ReturnRejected, returns.return_step, items=True),
        row(e.ReturnProcessingStarted, returns.return_step),
        row(b.ReturnTrackingChanged, returns.return_tracking_changed, items=True),
        row(b.ReturnReceived, returns.return_received, items=True),
        row(e.ReturnCompleted, returns.return_completed, items=True, money=True, refunds=True),
    )
)


def apply(order: Order, event: AnyEvent, context: Context, rejected: Container[str] = ()) -> Outcome:
    """Apply one event to one order; `rejected` are the returns whose rejections wait for their requests.

    An outcome of applied or ignored has changed the order (at least its `version`); parked and dead
    leave it as it was. An exception is a bug of ours: the order may be half changed, throw it away.
    """
    entry, status = HANDLERS[event.type], order.status
    if status == _NEW and not entry.creates:
        return _ORDER_UNKNOWN
    outcome = entry.handle(order, event, context, rejected)
    if outcome.kind is PARKED or outcome.kind is DEAD:
        return outcome
    if entry.money and order.payments_kept is not None:
        order.payments_kept.close()
    if entry.items:
        parcels.recount(order, event, context)
    if entry.refunds:
        if event.type in _PRICED:
            settle_amounts(order)
        move_targets(order)
    moved_items = entry.items
    if order.facts is not None and has_digital(order):
        deliver(order)
        parcels.recount(order, event, context)
        moved_items = True
    advance(STEPS, order)
    before, flags = order.flags, flags_after(order, entry.money, moved_items)
    if flags != before:
        if entry.money and any((flag in flags) is not (flag in before) for flag in _HOLD_REFUNDS):
            weigh_anew(order)
        order.flags = flags
        touch(order)
    elif entry.quiet and status == order.status:
        touch_quietly(order)
    else:
        touch(order)
    order.version += 1
    return outcome
