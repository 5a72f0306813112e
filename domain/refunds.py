"""Refunds that are due to the payer, and on which payment: a cumulative target per transaction.

What is due follows from the order's state alone, so it does not depend on the order of arrival, and
a refund that staff made at the provider by hand counts toward it. Money that was reversed, or lost in a
dispute, pays for nothing, and none of it is due back: what was to go back of it and has not, stays.
"""

from __future__ import annotations

from decimal import Decimal

from domain.dirty_tracking import touch
from domain.dues import asked_of, base, called_off, granted, settled
from domain.order import Order
from domain.transaction import Transaction
from domain.words import Worded


class RefundState(Worded):
    """The stages of a refund on its way to the provider; {id} is its own."""

    DUE = "due", "goes out next"
    IN_FLIGHT = "in_flight", "is on its way"
    UNKNOWN = "unknown", "the provider's answer was lost; it is asked what it did before it is asked again"
    DONE = "done", "went back"
    HELD = "held", "held back: the order came as history"
    STAFF = "staff", "waits for a person: orders refunds list --waiting"
    DEAD = "dead", "given up: orders given-up show {id}"
    ACCOUNT_NEEDED = "account_needed", "waits for the customer's bank account: PUT /api/orders/ORDER/refund-account"


_NOTHING = Decimal(0)


def due(order: Order) -> Decimal:
    """The sum that is due back to the payers, all payments together, whether it has gone back or not.

    Of a canceled order all that was captured and not lost in a dispute; else what of it is above what is payable.
    """
    payments = order.payments()
    there = payments.captured - payments.lost
    return there if order.canceled_at is not None else max(there - payable(order), _NOTHING)


def payable(order: Order) -> Decimal:
    """The price of what the payers keep: the order's less what canceled items, completed returns and grants give back."""
    back = order.goods().due_back if order.returns else _NOTHING
    if order.facts is None:
        return max(order.total_amount - back, _NOTHING)
    return max(base(order) - called_off(order) - back - granted(order), _NOTHING)


def move_targets(order: Order) -> None:
    """Let each transaction's `refund_target` follow what is due back, and note those that are to be weighed anew.

    Whatever went back counts, whoever made it, and of whichever payment. A target stays where it is while the sum
    allows, since its refund may have gone out: where a later event shows that another payment should have borne it,
    it does not move. So what depends on the order of arrival is which payment gives back, and never how much.
    """
    payments = order.payments()
    aimed = any(t.refund_target for t in order.transactions)
    nothing_back = not order.returns or order.goods().due_back == 0
    plainly = nothing_back and order.facts is None and order.canceled_at is None
    if plainly and not aimed and payments.captured <= order.total_amount:
        return  # nothing is due; most payments end here
    left = due(order) - settled(order) - sum((_committed(t) for t in order.transactions), _NOTHING)
    if left > 0:
        _raise(order, left)
    elif left < 0 and aimed:
        _lower(order, -left)


def _committed(payment: Transaction) -> Decimal:
    """The sum of a payment that has gone back, or is to."""
    return max(payment.refund_target, payment.refunded_amount)


def _raise(order: Order, left: Decimal) -> None:
    """Aim `left` more at the payments: at those that were named, then as `targets` says, then wherever there is money."""
    paid = captured(order)
    there = [(t, t.amount - t.in_dispute()[0]) for t in reversed(paid)]
    named = [(t, min(most, asked_of(order, t.payment_id))) for t, most in there] if order.facts is not None else []
    for wished in (named, list(zip(paid, targets(order), strict=True)), there):
        for payment, wish in wished:
            rise = min(wish - _committed(payment), left)
            if rise > 0:
                payment.refund_target = _committed(payment) + rise
                left -= rise
                _moved(order, payment)


def _lower(order: Order, left: Decimal) -> None:
    """Take `left` off the targets, as far as it has not gone back: less is due than we knew."""
    for payment in sorted(order.transactions, key=lambda t: (t.paid_at is not None, t.payment_id)):
        fall = min(payment.refund_target - payment.refunded_amount, left)
        if fall > 0:
            payment.refund_target -= fall
            left -= fall
            _moved(order, payment)


def _moved(order: Order, payment: Transaction) -> None:
    touch(payment)
    moved = order.payments().moved
    if payment not in moved:
        moved.append(payment)


def weigh_anew(order: Order) -> None:
    """Have the refunds that are to go out weighed anew: a dispute has begun to hold them, or ceased to."""
    for payment in order.transactions:
        if payment.refund_target > payment.refunded_amount:
            _moved(order, payment)


def lacks_reversed_money(order: Order) -> bool:
    """True where a reversal left the order without money that it needs; never of a canceled one.

    Money that went back as too much, before the reversal of another payment showed that it was not,
    is lacking, too.
    """
    payments = order.payments()
    if order.canceled_at is not None or payments.reversed == 0:
        return False
    if not order.is_covered():
        return order.was_covered() or any(t.is_reversed() for t in order.transactions)
    return payments.refunded + settled(order) > due(order)


def captured(order: Order) -> list[Transaction]:
    """Transactions with captured money that was not reversed, by the time it happened, then by paymentId."""
    return sorted(
        (t for t in order.transactions if t.paid_at is not None),
        key=lambda t: (t.paid_at, t.payment_id),
    )


def targets(order: Order) -> list[Decimal]:
    """The shares of `captured(order)` in what is due back, if nothing had gone back yet.

    The earliest payments pay for what the payers keep; what is left of the later ones goes back. What was lost in a
    dispute pays for nothing, and is not given back.
    """
    kept = _NOTHING if order.canceled_at is not None else payable(order)
    wished = []
    for payment in captured(order):
        there = payment.amount - payment.in_dispute()[0]
        keeps = min(there, kept)
        kept -= keeps
        wished.append(there - keeps)
    return wished
