"""The requests that are possible from where an order stands. Pure: it reads, and changes nothing.

An event waits until it applies; a request is refused instead, and the refusal names what would be
taken. What a part's lifecycle allows is read out of its table; what the order's does, out of its
parts, as `apply` decides it.
"""

from __future__ import annotations

from collections.abc import Collection

from domain import fulfillment, returns, transaction
from domain.fulfillment import Fulfillment
from domain.order import Order, Status
from domain.refunds import lacks_reversed_money
from domain.returns import Return
from domain.state_machine import Step
from domain.transaction import Transaction

SHIPPING = (Status.PREPARING, Status.SHIPPED, Status.DELIVERED)  # steps that a fulfillment takes for its order


def order_statuses(order: Order) -> list[str]:
    """The statuses that the order may be asked to take now; a shipping step only where one fulfillment alone can be meant."""
    found = [str(step) for step in SHIPPING if len(movable(order, step)) == 1]
    if order.canceled_at is None and order.confirmed_at is None and order.is_delivered():
        found.append(Status.CONFIRMED)
    if order.status != Status.NEW and order.canceled_at is None and order.goods().sent == 0:
        found.append(Status.CANCELED)
    return [str(status) for status in found]


def held_back(order: Order) -> str | None:
    """The reason that nothing of the order may start to ship, although it was paid; None where it may.

    What has started already goes on: a parcel that the warehouse took on may be reported shipped.
    """
    if not lacks_reversed_money(order):
        return None
    taken = ", ".join(t.payment_id for t in order.transactions if t.reversed_at is not None)
    return f"payment_reversed: payment {taken} was taken back after it was made; it ships once the money is there again"


def movable(order: Order, step: str) -> list[Fulfillment | None]:
    """The fulfillments that `step` of the whole order may mean; None among them is what is open and in none yet.

    preparing takes on the plan, shipped moves what has not left, delivered what has not arrived. While a
    reversed payment leaves the order short, only a parcel by its own name moves.
    """
    if order.canceled_at is not None or order.status == Status.NEW or not order.is_covered() or held_back(order):
        return []
    plan = order.plan()
    homeless: list[Fulfillment | None] = [None] if plan is None and order.open_shares() else []
    if step == Status.PREPARING:
        return [plan] if plan is not None else homeless if order.status == Status.PAID else []
    if step == Status.SHIPPED:
        waiting = (fulfillment.Status.PENDING, fulfillment.Status.PACKED)
        return [*(f for f in order.fulfillments if f.status in waiting), *homeless]
    found = [f for f in order.fulfillments if f.lives() and f.status != fulfillment.Status.DELIVERED]
    return [*found, *homeless] if found else []


def transaction_statuses(payment: Transaction) -> list[str]:
    """The statuses that a payment may be asked to take; money that went back is not paid again, and a refund is no cancel.

    One that was reversed is paid anew, or stays as it is.
    """
    if payment.paid_at is not None:
        return []
    if payment.is_reversed():
        return [str(transaction.Status.PAID)]
    # A person's word comes now: it is the latest, whatever was told before.
    ends = {trigger: end for trigger, end, _ in transaction.STEPS[payment.status]}
    ended = [ends[trigger] for trigger in ("PaymentFailed", "PaymentCanceled") if trigger in ends]
    return [str(transaction.Status.PAID), *ended]


def fulfillment_statuses(order: Order, parcel: Fulfillment) -> list[str]:
    """The statuses that a fulfillment may be asked to take; nothing once its order was canceled, nor a plan that is held back."""
    if order.canceled_at is not None or (parcel.planned and held_back(order)):
        return []
    moves = ("FulfillmentPacked", "FulfillmentShipped", "FulfillmentDelivered", "FulfillmentFailed")
    return _reached(fulfillment.STEPS[parcel.status], moves, parcel)


def return_statuses(back: Return) -> list[str]:
    """The statuses that a return may be asked to take."""
    steps = ("ReturnApproved", "ReturnProcessingStarted", "ReturnCompleted", "ReturnRejected")
    return _reached(returns.STEPS[back.status], steps, back)


def returnable(order: Order) -> dict[str, int]:
    """item id → how many of it may be asked back: delivered, and held by no other return; empty ones left out."""
    order.goods()  # keeps what is claimed
    left = {item.id: item.delivered_quantity - item.claimed for item in order.items}
    return {item_id: quantity for item_id, quantity in left.items() if quantity > 0}


def _reached(steps: Collection[Step], triggers: Collection[str], part: object) -> list[str]:
    """Where `triggers` lead out of a part's status, in their order."""
    ends = {trigger: end for trigger, end, guards in steps if all(guard(part) for guard in guards)}
    return list(dict.fromkeys(ends[trigger] for trigger in triggers if trigger in ends))
