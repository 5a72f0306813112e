"""Purposes of what goes back: which part of a refund is for a return, for goodwill, for the order's end.

What is due is one sum (`domain/refunds.py`); here it is told apart for people. Purposes stand in the order of their
times, what has gone back covers the first of them, and the rest is what the payments have yet to give back. So a
refund that somebody made by hand shows in what is left of the reasons, and nobody has to say which it was for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from domain.dues import GRANTS, allocated_sum, settled
from domain.movements import moment
from domain.refunds import due
from domain.returns import Status
from domain.transaction import Transaction
from domain.words import Worded

if TYPE_CHECKING:
    from domain.order import Order

_NOTHING = Decimal(0)


class RefundReason(Worded):
    """Reasons for which money goes back."""

    GOODWILL = "goodwill", "somebody gave it back without a return"
    SHIPPING = "shipping", "what shipping had cost"
    OTHER = "other", "somebody gave it back, for another reason"
    RETURN = "return", "items came back"
    CANCELED = "canceled", "the order was canceled"
    OVERPAID = "overpaid", "more was paid than the order costs"


@dataclass(frozen=True, slots=True)
class Purpose:
    """A sum that goes back, and why; `return_id` and `personal_id` (of a note) where there is one."""

    reason: RefundReason
    amount: Decimal
    return_id: str | None = None
    personal_id: str | None = None
    payment_id: str | None = None  # that it was asked of by name


def open_purposes(order: Order) -> dict[str, list[Purpose]]:
    """transaction id → the purposes of what it has yet to give back, whether that is on its way or not."""
    beside = allocated_sum(order)  # has gone back, and is due for that alone
    gone = order.payments().refunded + settled(order) - beside
    left = list(_without(_due(order, due(order) - beside), gone))
    found = {}
    for payment in sorted(order.transactions, key=_latest_first, reverse=True):
        wanted = payment.refund_target - payment.refunded_amount
        if wanted > 0:
            found[payment.id], left = _taken(left, payment, wanted)
    return found


def _due(order: Order, most: Decimal) -> Iterable[Purpose]:
    """The purposes of all that is due, `most` in all; what no other purpose explains comes last."""
    for _, purpose in sorted(_timed(order), key=lambda each: each[0]):
        if amount := min(purpose.amount, most):
            yield replace(purpose, amount=amount)
            most -= amount
    if most > 0:
        yield Purpose(RefundReason.OVERPAID if order.canceled_at is None else RefundReason.CANCELED, most)


def _timed(order: Order) -> Iterable[tuple[list[Any], Purpose]]:
    grants = order.facts.get(GRANTS, {}) if order.facts is not None else {}
    for name, (*place, amount, payment, reason, personal) in grants.items():
        purpose = Purpose(RefundReason(reason), Decimal(amount), None, personal, payment)
        yield [place[0], name], purpose
    for back in order.returns:
        if back.status == Status.COMPLETED and back.completed_at is not None and back.refund_amount:
            purpose = Purpose(RefundReason.RETURN, back.refund_amount, back.id, back.personal_id)
            yield [moment(back.completed_at), back.id], purpose


def _without(purposes: Iterable[Purpose], gone: Decimal) -> Iterable[Purpose]:
    """The purposes that what has gone back does not cover."""
    for purpose in purposes:
        covered = min(purpose.amount, max(gone, _NOTHING))
        gone -= covered
        if covered < purpose.amount:
            yield replace(purpose, amount=purpose.amount - covered)


def _taken(left: Sequence[Purpose], payment: Transaction, wanted: Decimal) -> tuple[list[Purpose], list[Purpose]]:
    """(the purposes of `wanted` of this payment, those that are left): what was asked of it by name comes first."""
    taken, rest = [], []
    own = [each for each in left if each.payment_id == payment.payment_id]
    for purpose in [*own, *(each for each in left if each.payment_id != payment.payment_id)]:
        amount = min(purpose.amount, wanted)
        wanted -= amount
        if amount:
            taken.append(replace(purpose, amount=amount))
        if amount < purpose.amount:
            rest.append(replace(purpose, amount=purpose.amount - amount))
    return taken, rest


def _latest_first(payment: Transaction) -> tuple[bool, Any, str]:
    return payment.paid_at is not None, payment.paid_at and moment(payment.paid_at), payment.payment_id
