"""Refunds that are due to the payer, and on which payment: a cumulative target per transaction.

The targets follow from the order's state alone, so they do not depend on the order of arrival, and
a refund that staff made at the provider by hand counts toward the same target. Money that was reversed
pays for nothing, and none of it is due back; what was due back before, stays so.
"""

from __future__ import annotations

from decimal import Decimal

from domain.dirty_tracking import touch
from domain.order import Order
from domain.returns import Return, Status
from domain.transaction import Transaction
from domain.words import Worded
from events.money import round_down


class RefundState(Worded):
    """The stages of a refund on its way to the provider; {id} is its own."""

    DUE = "due", "goes out next"
    IN_FLIGHT = "in_flight", "is on its way"
    UNKNOWN = "unknown", "the provider's answer was lost; it is asked what it did before it is asked again"
    DONE = "done", "went back"
    HELD = "held", "held back: the order came as history"
    STAFF = "staff", "waits for a person: orders dlq replay {id}"
    DEAD = "dead", "given up: orders dlq show {id}"


_FIRST = ""  # sorts before any reference


def settle_return_amounts(order: Order) -> None:
    """Give completed returns without a stated amount theirs.

    The returned lines' price less their share of the discount, no shipping, rounded down to the
    currency's exponent. Once everything is back, what rounding left over goes with the return that was
    completed last (by the time it happened, then by name).
    """
    goods = order.goods()
    new, goods.unpriced = goods.unpriced, []
    price = goods.price()
    paid_for_goods = max(price - order.discount_amount, Decimal(0))
    amounts = {r.id: _share(order, r, price, paid_for_goods) for r in new}
    if goods.to_return == 0:
        completed = [r for r in order.returns if r.status == Status.COMPLETED]
        new = [r for r in completed if not r.refund_stated]
        if not new:
            return
        shares = {r.id: _share(order, r, price, paid_for_goods) for r in completed}
        amounts = {r.id: shares[r.id] for r in new}
        last = max(new, key=lambda r: (r.completed_at, r.reference or _FIRST))
        amounts[last.id] += paid_for_goods - sum(shares.values(), Decimal(0))
    for r in new:
        if r.refund_amount != amounts[r.id]:
            r.refund_amount = amounts[r.id]
            touch(r)
            goods.count_return(r)


def _share(order: Order, back: Return, goods: Decimal, paid_for_goods: Decimal) -> Decimal:
    lines = order.goods().lines
    price = sum((lines[s.order_item_id].unit_price * s.quantity for s in back.shares), Decimal(0))
    return round_down(price * paid_for_goods / goods, order.currency or "") if goods else Decimal(0)


def raise_targets(order: Order) -> None:
    """Raise each transaction's `refund_target` toward what is due, and mark those that rose.

    A target never falls, since its refund may have gone out: where a later event shows that another
    payment should have borne it, the sum over all payments, reversed ones too, still never exceeds what is due.
    """
    nothing_back = not order.returns or order.goods().due_back == 0
    if nothing_back and order.canceled_at is None and order.captured() <= order.total_amount:
        return  # nothing is due; most payments end here
    payments, due = captured(order), targets(order)
    left = sum(due, Decimal(0)) - sum((t.refund_target for t in order.transactions), Decimal(0))
    for transaction, target in zip(payments, due, strict=True):
        rise = min(target - transaction.refund_target, left)
        if rise > 0:
            transaction.refund_target += rise
            order.payments().raised.append(transaction)
            left -= rise
            touch(transaction)


def lacks_reversed_money(order: Order) -> bool:
    """True where a reversal left the order without money that it needs; never of a canceled one.

    Money that went back as too much, before the reversal of another payment showed that it was not,
    is lacking, too.
    """
    if order.canceled_at is not None or order.payments().reversed == 0:
        return False
    if not order.is_covered():
        return order.was_covered() or any(t.is_reversed() for t in order.transactions)
    given = sum((t.refund_target for t in captured(order)), Decimal(0))
    return given > sum(targets(order), Decimal(0))


def captured(order: Order) -> list[Transaction]:
    """Transactions with captured money that was not reversed, by the time it happened, then by paymentId."""
    return sorted(
        (t for t in order.transactions if t.paid_at is not None),
        key=lambda t: (t.paid_at, t.payment_id),
    )


def targets(order: Order) -> list[Decimal]:
    """The cumulative amounts that are due back on each of `captured(order)`.

    All of it on a canceled order. Else what the earlier payments left over beyond the total, and the
    completed returns' amounts, latest payment first, never above what was captured.
    """
    payments = captured(order)
    if order.canceled_at is not None:
        return [t.amount for t in payments]
    owed = order.total_amount
    kept = []
    for t in payments:
        kept.append(min(t.amount, owed))
        owed -= kept[-1]
    back = order.goods().due_back
    for i in reversed(range(len(kept))):
        given = min(kept[i], back)
        kept[i] -= given
        back -= given
    return [t.amount - k for t, k in zip(payments, kept, strict=True)]
