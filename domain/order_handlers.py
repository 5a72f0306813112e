"""One event through the machines: `apply(order, event, context)` changes the order and says what became of it.

The one path that changes an order. A fact (a payment, a parcel) is recorded on its own part and
never refused, at most flagged. A decision (cancel, confirm, a return's steps) has a precondition:
it is parked until that is true, and settled once it cannot become true. Parked and dead change
nothing; applied and ignored take the order's next apply number.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from datetime import datetime
from decimal import Decimal

from domain import fulfillment, returns, transaction
from domain.dirty_tracking import FILLED, NEW, drop, touch
from domain.fulfillment_handlers import drop_plan, match_items, parcel_step, recount, tracking_updated
from domain.ids import derived
from domain.order import BEFORE_PAYMENT, STEPS, Order, OrderItem, Status
from domain.outcome import APPLIED, DEAD, DONE, PARKED, Outcome, dead, ignored, parked
from domain.permitted_transitions import return_window_closed
from domain.policy import Context
from domain.refunds import lacks_reversed_money, raise_targets, settle_return_amounts
from domain.returns import Return, ReturnItem
from domain.state_machine import advance, fire
from domain.transaction import Transaction
from events.catalogue import Event
from events.money import MoneyError, check

Handler = Callable[[Order, Event, Context, Container[str]], Outcome]

# Set once and kept: what the parts do not tell. All other flags follow from the parts.
_STICKY = frozenset(("cancel_too_late", "return_contradicted", "expired", "amounts_differ"))
_OF_MONEY = frozenset(("disputed", "payment_reversed"))  # follow from what moves money
_OF_ITEMS = frozenset(("shipped_after_cancel", "over_fulfilled"))  # follow from what moves items
_NO_FLAGS: list[str] = []


def apply(order: Order, event: Event, context: Context, rejected: Container[str] = ()) -> Outcome:
    """Apply one event to one order; `rejected` are the returns whose rejections wait for their requests.

    An outcome of applied or ignored has changed the order (at least its `version`); parked and dead
    leave it as it was. An exception is a bug of ours: the order may be half changed, throw it away.
    """
    if order.status == Status.NEW and event.type != "OrderCreated":
        return parked("order_unknown")
    outcome = _HANDLERS[event.type](order, event, context, rejected)
    if outcome.kind == PARKED or outcome.kind == DEAD:
        return outcome
    if order.payments_kept is not None:
        order.payments_kept.close()
    if event.type in _MOVES_ITEMS:
        recount(order, event, context)
    if event.type in _RAISES_TARGETS:
        if event.type == "ReturnCompleted":
            settle_return_amounts(order)
        raise_targets(order)
    advance(STEPS, order)
    flags = _flags(order, event.type)
    if flags != order.flags:
        order.flags = flags
    order.version += 1
    touch(order)
    return outcome


def _flags(order: Order, kind: str) -> list[str]:
    """What a person should know about the order, sorted, after an event of that type."""
    money, items = kind in _MOVES_MONEY, kind in _MOVES_ITEMS and order.goods_kept is not None
    flags: set[str] = set()
    for flag in order.flags:
        if flag in _STICKY or (flag in _OF_MONEY and not money) or (flag in _OF_ITEMS and not items):
            flags.add(flag)
    if order.status in BEFORE_PAYMENT and 0 < order.captured() < order.total_amount:
        flags.add("underpaid")
    if money and order.transactions:
        payments = order.payments()
        if payments.disputed:
            flags.add("disputed")
        if payments.reversed and lacks_reversed_money(order):
            flags.add("payment_reversed")
    if items and order.fulfillments:
        goods = order.goods()
        if goods.sent and order.canceled_at is not None:
            flags.add("shipped_after_cancel")
        if goods.over:
            flags.add("over_fulfilled")
    return sorted(flags) if flags else _NO_FLAGS


def earliest(known: datetime | None, told: datetime) -> datetime:
    """The earlier of what we knew and what we are told."""
    return told if known is None or told < known else known


def agreed(known: str | None, told: str | None) -> str | None:
    """One of two texts, the same one in either order of arrival: nothing says which is better."""
    return known if told is None or (known is not None and known >= told) else told


# -- orders -----------------------------------------------------------------------------------------


def _order_created(order: Order, event: Event, context: Context, rejected: Container[str]) -> Outcome:
    data = event.data
    if order.status != Status.NEW:
        return dead("order_number_taken", f"order {order.order_number} was created before, by another event")
    currency = data.currency or context.policy.currency
    try:
        for name in ("totalAmount", "discountAmount", "shippingAmount"):
            check(getattr(data, name), currency)
        for line in data.items:
            check(line.unitPrice, currency)
    except MoneyError as error:
        return dead("malformed", str(error))
    if order.mark != NEW:
        order.mark = FILLED
    order.placed_at, order.currency, order.customer = event.time, currency, data.customer
    order.total_amount, order.personal_id = data.totalAmount, data.personal
    order.discount_code, order.discount_amount = data.discountCode, data.discountAmount
    order.shipping_amount = data.shippingAmount
    for position, line in enumerate(data.items):
        item = OrderItem(
            derived(context.now, event.source, event.id, f"item{position}"),
            order.id,
            position,
            line.item,
            line.product,
            line.variant,
            line.option,
            line.quantity,
            line.unitPrice,
            line.unitPrice * line.quantity,
            mark=NEW,
        )
        order.items.append(item)
        if order.goods_kept is not None:
            order.goods_kept.add_line(item)
    goods = sum((item.total_price for item in order.items), Decimal(0))
    if goods + order.shipping_amount - order.discount_amount != order.total_amount:
        order.flags = ["amounts_differ"]
    for payment_id in dict.fromkeys(data.paymentIds):
        expected = data.totalAmount if len(data.paymentIds) == 1 else Decimal(0)
        _add_transaction(order, event, context, payment_id, expected)
    return DONE


def _order_canceled(order: Order, event: Event, context: Context, rejected: Container[str]) -> Outcome:
    if order.canceled_at is not None:
        order.canceled_at = earliest(order.canceled_at, event.time)
        return ignored("repeated")
    goods = order.goods()
    if goods.arrived:
        _flag(order, "cancel_too_late")
        return ignored("already_delivered")
    if goods.out:
        return parked("parcel_out")
    _cancel(order, event)
    return DONE


def _order_expired(order: Order, event: Event, context: Context, rejected: Container[str]) -> Outcome:
    if order.canceled_at is not None:
        return ignored("repeated")
    if order.captured() > 0 or order.was_covered():
        return ignored("already_paid")
    _cancel(order, event)
    _flag(order, "expired")
    return DONE


def _cancel(order: Order, event: Event) -> None:
    order.canceled_at = event.time
    goods = order.goods()
    if goods.plan is not None:
        for share in goods.plan.shares.values():
            drop(share, order.gone)
        drop_plan(order)
    for parcel in order.fulfillments:
        if fire(fulfillment.STEPS, parcel, "OrderCanceled"):
            touch(parcel)
            goods.count_parcel(parcel)


def _order_confirmed(order: Order, event: Event, context: Context, rejected: Container[str]) -> Outcome:
    if order.canceled_at is not None:
        return ignored("order_canceled")
    if order.confirmed_at is not None:
        order.confirmed_at = earliest(order.confirmed_at, event.time)
        return ignored("repeated")
    if not order.is_delivered():
        return parked("not_delivered")
    order.confirmed_at = event.time
    return DONE


def _flag(order: Order, flag: str) -> None:
    order.flags = sorted({*order.flags, flag})


# -- payments ---------------------------------------------------------------------------------------


def _add_transaction(
    order: Order, event: Event, context: Context, payment_id: str, amount: Decimal = Decimal(0)
) -> Transaction:
    made = Transaction(
        derived(context.now, event.source, event.id, "transaction", payment_id),
        order.id,
        payment_id,
        order.currency or context.policy.currency,
        amount=amount,
        created_at=context.now,
        mark=NEW,
    )
    payments = order.payments()
    order.transactions.append(made)
    payments.add(made)
    return made


def _transaction(order: Order, event: Event, context: Context) -> Transaction:
    """The transaction that an event names, to be changed."""
    payments = order.payments()
    found = payments.find(event.data.paymentId)
    if found is None:
        found = _add_transaction(order, event, context, event.data.paymentId)
    touch(found)
    payments.open(found)
    return found


def _payment_succeeded(order: Order, event: Event, context: Context, rejected: Container[str]) -> Outcome:
    data = event.data
    currency = data.currency or context.policy.currency
    if currency != order.currency:
        return dead(
            "currency_mismatch",
            f"received {data.amount} {currency}, "
            f"order {order.order_number} expects {order.total_amount} {order.currency}",
        )
    try:
        check(data.amount, currency)
    except MoneyError as error:
        return dead("malformed", f"amount: {error}")
    paid = _transaction(order, event, context)
    paid.capture(data.amount, event.time)
    paid.provider = agreed(paid.provider, data.provider)
    paid.payment_method = agreed(paid.payment_method, data.paymentMethod)
    paid.receipt_url = agreed(paid.receipt_url, data.receiptUrl)
    fire(transaction.STEPS, paid, "PaymentSucceeded")
    fire(transaction.STEPS, paid, "PaymentRefunded")  # a refund may have been reported before
    if paid.paid_at is None:
        return Outcome(APPLIED, "reversed_since")
    return ignored("paid_after_expiry") if "expired" in order.flags else DONE


def _payment_ended(order: Order, event: Event, context: Context, rejected: Container[str]) -> Outcome:
    """PaymentFailed and PaymentCanceled."""
    ended = _transaction(order, event, context)
    captured = ended.paid_at is not None or ended.reversed_at is not None
    if captured or not fire(transaction.STEPS, ended, event.type):
        return ignored("overtaken")
    return DONE


def _payment_reversed(order: Order, event: Event, context: Context, rejected: Container[str]) -> Outcome:
    taken = _transaction(order, event, context)
    if taken.reversed_at is not None and event.time <= taken.reversed_at:
        return ignored("repeated" if event.time == taken.reversed_at else "overtaken")
    before = taken.paid_at
    taken.reverse(event.time)
    fire(transaction.STEPS, taken, "PaymentReversed")
    fire(transaction.STEPS, taken, "PaymentRefunded")  # what is left may be less, and have gone back
    return ignored("overtaken") if before is not None and taken.paid_at == before else DONE


def _payment_refunded(order: Order, event: Event, context: Context, rejected: Container[str]) -> Outcome:
    try:
        check(event.data.refundedAmount, order.currency or context.policy.currency)
    except MoneyError as error:
        return dead("malformed", f"refundedAmount: {error}")
    back = _transaction(order, event, context)
    if event.data.refundedAmount <= back.refunded_amount:
        return ignored("overtaken")
    back.refunded_amount = event.data.refundedAmount
    fire(transaction.STEPS, back, "PaymentRefunded")
    return DONE


def _payment_disputed(order: Order, event: Event, context: Context, rejected: Container[str]) -> Outcome:
    disputed = _transaction(order, event, context)
    told = event.data.outcome or "open"
    if disputed.dispute not in (None, "open") and told == "open":
        return ignored("overtaken")
    disputed.dispute = told if disputed.dispute in (None, "open") else agreed(disputed.dispute, told)
    return DONE


# -- returns ----------------------------------------------------------------------------------------


def _return_requested(order: Order, event: Event, context: Context, rejected: Container[str]) -> Outcome:
    data = event.data
    if order.goods().back(data.return_) is not None:
        return ignored("repeated")
    shares = match_items(order, data.items)
    if isinstance(shares, Outcome):
        return shares
    for item, quantity in shares:
        if quantity > item.quantity:
            return dead(
                "too_many_items",
                f"{quantity} of {item.reference or item.id}, ordered {item.quantity}",
            )
    status, outcome = returns.Status.REQUESTED, DONE
    if hindrance := not_returnable(shares):
        if data.return_ not in rejected:
            return parked(hindrance[0])
        status, outcome = returns.Status.REJECTED, Outcome(APPLIED, "rejected_already")
    made = Return(
        derived(context.now, event.source, event.id, "return"),
        order.id,
        data.return_,
        data.reason,
        status,
        for_staff=context.policy.returns != "auto"
        or return_window_closed(order, [item for item, _ in shares], event.time, context.policy) is not None,
        personal_id=data.personal,
        requested_at=event.time,
        created_at=context.now,
        mark=NEW,
    )
    order.returns.append(made)
    for item, quantity in shares:
        share_id = derived(context.now, event.source, event.id, "return", item.id)
        made.shares.append(ReturnItem(share_id, order.id, made.id, item.id, quantity, NEW))
    order.goods().add_return(made)
    order.goods().count_return(made)
    return outcome


def not_returnable(shares: list[tuple[OrderItem, int]]) -> tuple[str, OrderItem] | None:
    """Why these items cannot be returned yet, and the first that cannot; or None."""
    for item, quantity in shares:
        if quantity > item.delivered_quantity:
            return "not_delivered", item
        if quantity > item.delivered_quantity - item.claimed:
            return "items_held", item
    return None


def _return_step(order: Order, event: Event, context: Context, rejected: Container[str]) -> Outcome:
    """ReturnApproved, ReturnProcessingStarted and ReturnRejected."""
    found = order.goods().back(event.data.return_)
    if found is None:
        return parked("return_unknown")
    if fire(returns.STEPS, found, event.type):
        touch(found)
        order.goods().count_return(found)
        return DONE
    if event.type == "ReturnRejected" and found.status == returns.Status.COMPLETED:
        _flag(order, "return_contradicted")
        return ignored("return_completed")
    return ignored("overtaken")


def _return_completed(order: Order, event: Event, context: Context, rejected: Container[str]) -> Outcome:
    found = order.goods().back(event.data.return_)
    if found is None:
        return parked("return_unknown")
    stated = event.data.refundAmount
    if stated is not None:
        try:
            check(stated, order.currency or context.policy.currency)
        except MoneyError as error:
            return dead("malformed", f"refundAmount: {error}")
    if found.status == returns.Status.REJECTED:
        _flag(order, "return_contradicted")
        return ignored("return_rejected")
    if found.status in (returns.Status.REQUESTED, returns.Status.APPROVED):
        return parked("return_not_processing")
    if not fire(returns.STEPS, found, event.type):
        return ignored("repeated")
    found.completed_at, found.refund_amount, found.refund_stated = (
        event.time,
        stated,
        stated is not None,
    )
    touch(found)
    order.goods().count_return(found)
    return DONE


_HANDLERS: dict[str, Handler] = {
    "OrderCreated": _order_created,
    "OrderCanceled": _order_canceled,
    "OrderExpired": _order_expired,
    "OrderConfirmed": _order_confirmed,
    "PaymentSucceeded": _payment_succeeded,
    "PaymentFailed": _payment_ended,
    "PaymentCanceled": _payment_ended,
    "PaymentReversed": _payment_reversed,
    "PaymentRefunded": _payment_refunded,
    "PaymentDisputed": _payment_disputed,
    "FulfillmentCreated": parcel_step,
    "FulfillmentPacked": parcel_step,
    "FulfillmentShipped": parcel_step,
    "FulfillmentDelivered": parcel_step,
    "FulfillmentFailed": parcel_step,
    "TrackingUpdated": tracking_updated,
    "ReturnRequested": _return_requested,
    "ReturnApproved": _return_step,
    "ReturnRejected": _return_step,
    "ReturnProcessingStarted": _return_step,
    "ReturnCompleted": _return_completed,
}
_MOVES_ITEMS = frozenset(
    ("FulfillmentCreated", "FulfillmentPacked", "FulfillmentShipped", "FulfillmentDelivered", "FulfillmentFailed",
     "TrackingUpdated", "ReturnCompleted", "OrderCanceled", "OrderExpired")
)  # fmt: skip
_RAISES_TARGETS = frozenset(("PaymentSucceeded", "PaymentReversed", "ReturnCompleted", "OrderCanceled"))
_MOVES_MONEY = _RAISES_TARGETS | {
    "PaymentFailed", "PaymentCanceled", "PaymentRefunded", "PaymentDisputed", "OrderExpired",
}  # fmt: skip
