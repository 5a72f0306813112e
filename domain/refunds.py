"""Refunds that are due to the payer, and on which payment: a cumulative target per transaction.

What is due follows from the order's state alone, so it does not depend on the order of arrival, and
a refund that staff made at the provider by hand counts toward it. Money that was reversed, or lost in a
dispute, pays for nothing, and none of it is due back: what was to go back of it and has not, stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from domain.dirty_tracking import touch
from domain.dues import asked_of, base, granted, settled
from domain.order import Order, OrderItem
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
    ACCOUNT_NEEDED = "account_needed", "waits for the customer's bank account: PUT /api/orders/ORDER/refund-account"


_NOTHING = Decimal(0)
_FIRST = ""  # sorts before any reference


def settle_return_amounts(order: Order) -> None:
    """Give completed returns their amounts, in one row by the time that they were completed, then by name.

    Each is what was stated, else its share: the returned lines' price less their share of the discount, and their tax, no
    shipping, rounded down to the currency's exponent; never more than the price and tax of its lines, nor than what is
    left of what was paid for the goods. Once everything is back, the last one takes what rounding left over, unless its
    amount was stated.
    """
    goods = order.goods()
    new, goods.unpriced = goods.unpriced, []
    if not new:
        return
    price, paid = goods.price(), _paid_for_goods(order)
    before = goods.last_priced or max((_place(r) for r in order.returns if r.counted and r not in new), default=())
    if goods.to_return and len(new) == 1 and _place(new[0]) > before and _completed(new[0]):
        row, left = new, paid - (goods.due_back - new[0].worth)
    else:
        row, left = sorted(filter(_completed, order.returns), key=_place), paid
    goods.last_priced = _place(row[-1])
    rounded, lines, taxed = paid, goods.lines, _tax_of_goods(order)  # rounded: what no share accounts for
    for back in row:
        cost, tax = worth(order, ((lines[s.order_item_id], s.quantity) for s in back.shares))
        share = round_down(cost * (paid - taxed) / price + tax, order.currency or "") if price else _NOTHING
        rounded -= share
        stated = None
        if back.refund_stated:
            stated = back.stated_amount if back.stated_amount is not None else back.refund_amount or _NOTHING
            most = min(stated, round_down(cost + tax, order.currency or ""))
        else:
            most = share + rounded if back is row[-1] and goods.to_return == 0 else share
        amount = max(min(most, left), _NOTHING)
        left -= amount
        _give(order, back, amount, stated if stated != amount else None)  # what was stated beyond it is capped


def most_for(order: Order, quantities: Mapping[str, int]) -> Decimal:
    """The most that a return of these items, line → quantity, may give back now: their price and tax, and what is left of all."""
    goods = order.goods()
    named = ((goods.line(name), quantity) for name, quantity in quantities.items())
    price, tax = worth(order, ((line, quantity) for line, quantity in named if line is not None))
    return min(round_down(price + tax, order.currency or ""), max(_paid_for_goods(order) - goods.due_back, _NOTHING))


def _give(order: Order, back: Return, amount: Decimal, stated: Decimal | None) -> None:
    """Give a return its amount; `stated` is what was said where that is more."""
    if (back.refund_amount, back.stated_amount) == (amount, stated):
        return
    goods = order.goods()
    goods.capped += (stated is not None) - (back.stated_amount is not None)
    back.refund_amount, back.stated_amount = amount, stated
    touch(back)
    goods.count_return(back)


def _completed(back: Return) -> bool:
    return back.status == Status.COMPLETED


def _place(back: Return) -> tuple[Any, ...]:
    return (back.completed_at, back.reference or _FIRST, back.id) if back.completed_at is not None else ()


def worth(order: Order, lines: Iterable[tuple[OrderItem, int]]) -> tuple[Decimal, Decimal]:
    """The price, and the tax, of so many of these lines; neither is rounded, nor is a discount taken off."""
    price = tax = _NOTHING
    for line, quantity in lines:
        price += line.unit_price * quantity
        if line.tax_amount is not None and order.tax_amount:
            tax += line.tax_amount * quantity / line.quantity
    if order.tax_amount and not _taxed_by_line(order):
        whole = order.goods().price()
        tax = order.tax_amount * price / whole if whole else _NOTHING
    return price, tax


def _paid_for_goods(order: Order) -> Decimal:
    """The price of the goods less the discount, and their tax."""
    return max(order.goods().price() - order.discount_amount, _NOTHING) + _tax_of_goods(order)


def _tax_of_goods(order: Order) -> Decimal:
    """The lines' tax where any has one, and the rest is shipping's; else the order's."""
    if not order.tax_amount:
        return _NOTHING
    if not _taxed_by_line(order):
        return order.tax_amount
    return min(sum((line.tax_amount or _NOTHING for line in order.items), _NOTHING), order.tax_amount)


def _taxed_by_line(order: Order) -> bool:
    return any(line.tax_amount is not None for line in order.items)


def due(order: Order) -> Decimal:
    """The sum that is due back to the payers, all payments together, whether it has gone back or not.

    Of a canceled order all that was captured and not lost in a dispute; else what of it is above what is payable.
    """
    payments = order.payments()
    there = payments.captured - payments.lost
    return there if order.canceled_at is not None else max(there - payable(order), _NOTHING)


def payable(order: Order) -> Decimal:
    """The price of what the payers keep: the order's less what completed returns and grants give back."""
    back = order.goods().due_back if order.returns else _NOTHING
    if order.facts is None:
        return max(order.total_amount - back, _NOTHING)
    return max(base(order) - back - granted(order), _NOTHING)


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
