"""The requests that are possible from where an order stands. Pure: it reads, and changes nothing.

An event waits until it applies; a request is refused instead, and the refusal names what would be
taken. What a part's lifecycle allows is read out of its table; what the order's does, out of its
parts, as `apply` decides it.
"""

from __future__ import annotations

from collections.abc import Collection

from domain import fulfillment, returns, transaction
from domain.digital import held_by_returns
from domain.fulfillment import Fulfillment
from domain.holds import DISPUTED, PAYMENT_REVERSED, REFUNDED, RETURNED_TO_SENDER, holds
from domain.order import Order, Status
from domain.returns import Return
from domain.state_machine import Step
from domain.transaction import Transaction

# The holds that nobody makes, and what ends each.
_HOLDS = {
    DISPUTED: "the payer's bank asks about a payment; it ships once that is won, or somebody releases it",
    PAYMENT_REVERSED: "payment {payment} was taken back after it was made; it ships once the money is there again",
    RETURNED_TO_SENDER: "a parcel goes back to you; release it to send its items again, or cancel them",
    REFUNDED: "all that was paid went back; cancel it, or release it if it is to ship all the same",
}
_F = fulfillment.Status
# A step that a fulfillment may be asked to take; what is to be taken back is corrected instead.
_ONWARD: dict[str, tuple[_F, ...]] = {
    _F.PENDING: (_F.PACKED, _F.SHIPPED, _F.DELIVERED, _F.FAILED),
    _F.PACKED: (_F.SHIPPED, _F.DELIVERED, _F.FAILED),
    _F.SHIPPED: (_F.DELIVERED, _F.FAILED),
    _F.DELIVERED: (),
    _F.FAILED: (_F.DELIVERED,),
}
SHIPPING = (Status.PREPARING, Status.SHIPPED, Status.DELIVERED)  # steps that a fulfillment takes for its order


def order_statuses(order: Order) -> list[str]:
    """The statuses that the order may be asked to take now; a shipping step only where one fulfillment alone can be meant."""
    found = [str(step) for step in SHIPPING if len(movable(order, step)) == 1]
    if order.canceled_at is None and order.confirmed_at is None and order.is_delivered():
        found.append(Status.CONFIRMED)
    if (
        order.status != Status.NEW
        and order.canceled_at is None
        and order.goods().sent == 0
        and not held_by_returns(order)
    ):
        found.append(Status.CANCELED)
    return [str(status) for status in found]


def held_back(order: Order) -> str | None:
    """The holds by which nothing of the order may ship, although it was paid, in words; None where it may."""
    standing = holds(order) if order.facts is not None or order.flags else ()
    if not standing:
        return None
    taken = ", ".join(t.payment_id for t in order.transactions if t.reversed_at is not None)
    words = [f"{name}: {_HOLDS[name].format(payment=taken)}" if name in _HOLDS else name for name in standing]
    return "; ".join(words)


def movable(order: Order, step: str) -> list[Fulfillment | None]:
    """The fulfillments that `step` of the whole order may mean; None among them is what is open and in none yet.

    preparing takes on the plan, shipped moves what has not left, delivered what has not arrived. While the
    order is held, only what has left moves.
    """
    if order.canceled_at is not None or order.status == Status.NEW or not order.was_covered() or held_back(order):
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
    """The statuses that a fulfillment may be asked to take; none once its order was canceled.

    While that is held, a plan stays as it is, and a parcel that has not left may only fail.
    """
    if order.canceled_at is not None:
        return []
    if not parcel.has_left() and held_back(order):
        return [] if parcel.planned or parcel.status == fulfillment.Status.FAILED else [str(fulfillment.Status.FAILED)]
    return [str(status) for status in _ONWARD[parcel.status]]


def return_statuses(back: Return) -> list[str]:
    """The statuses that a return may be asked to take."""
    steps = ("ReturnApproved", "ReturnProcessingStarted", "ReturnCompleted", "ReturnRejected")
    return _reached(returns.STEPS[back.status], steps, back)


def returnable(order: Order) -> dict[str, int]:
    """item id → how many of it may be asked back: delivered at some time, and held by no other return; empty ones left out."""
    order.goods()  # keeps what is claimed
    left = {item.id: item.ever_delivered() - item.claimed for item in order.items}
    return {item_id: quantity for item_id, quantity in left.items() if quantity > 0}


def _reached(steps: Collection[Step], triggers: Collection[str], part: object) -> list[str]:
    """Where `triggers` lead out of a part's status, in their order."""
    ends = {trigger: end for trigger, end, guard in steps if guard is None or guard(part)}
    return list(dict.fromkeys(ends[trigger] for trigger in triggers if trigger in ends))
