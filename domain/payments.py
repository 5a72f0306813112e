"""An order's payments: what they come to, kept in step with every change of them.

As `domain/goods.py` does for parcels: counted once, when somebody first asks; whoever changes a transaction
opens it before and closes it after. Nothing of this is stored; it follows from the transactions.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from domain.movements import INQUIRY, REFUNDS, WON, untried
from domain.transaction import Transaction

if TYPE_CHECKING:
    from domain.order import Order

FEW = 4  # so many are gone through faster than they are entered by name
_NOTHING = Decimal(0)


class Payments:
    """The payments of one order by their ids, and what of them is there."""

    captured = _NOTHING  # money that is there, refunded or not
    refunded = _NOTHING  # money that went back, of payments since reversed, too
    lost = contested = _NOTHING  # of what is captured: gone by disputes, and asked about by a bank
    amiss = 0  # of those that went back, were taken back or are asked about: 0 where nothing of that is known
    living = reversed = disputed = 0  # payments not given up; ever reversed; with a dispute that is open or lost
    inquired = 0  # payments of which a bank asks, and disputes none yet
    untried = _NOTHING  # of refunds that came to nothing, what was not tried again
    rescheduled = False  # until when it may be paid has moved, until what follows of it is taken
    _by_id: dict[str, Transaction] | None = None  # by the provider's id, once somebody asks
    _ever: Decimal | None = None
    _opened: Transaction | None = None

    def __init__(self, order: Order) -> None:
        self._order = order
        self.moved: list[Transaction] = []  # whose refund is to be weighed anew, until what follows of it is taken
        self.told: dict[tuple[str, str], Transaction] = {}  # (payment, refund): what is to be shown of them has changed
        for each in order.transactions:
            self._count(each, 1)

    def find(self, payment_id: str) -> Transaction | None:
        """The transaction of that name at its provider."""
        if self._by_id is None:
            if len(self._order.transactions) <= FEW:
                for each in self._order.transactions:
                    if each.payment_id == payment_id:
                        return each
                return None
            self._by_id = {each.payment_id: each for each in self._order.transactions}
        return self._by_id.get(payment_id)

    def add(self, payment: Transaction) -> None:
        """A transaction is new."""
        if self._by_id is not None:
            self._by_id[payment.payment_id] = payment
        self._count(payment, 1)

    def open(self, payment: Transaction) -> None:
        """A transaction is about to change: until it is closed, it is not counted."""
        self._count(payment, -1)
        self._opened = payment

    def close(self) -> None:
        """Count a transaction that was opened as what it is now."""
        if self._opened is not None:
            self._count(self._opened, 1)
            self._opened = None

    def tell_of(self, refund: str) -> None:
        """Something was told of the refund of that name, whose payment is not said."""
        for each in self._order.transactions:
            if each.facts is not None and refund in each.facts.get(REFUNDS, ()):
                self.told[each.id, refund] = each

    def ever_captured(self) -> Decimal:
        """Money captured, refunded, reversed or not."""
        if self._ever is None:
            self._ever = sum((each.ever_captured() for each in self._order.transactions), _NOTHING)
        return self._ever

    def under_way_until(self) -> datetime | None:
        """The time until which a payment under way is waited for; None where none is."""
        return max((t.pending_until for t in self._order.transactions if t.pending_until is not None), default=None)

    def _count(self, payment: Transaction, sign: int) -> None:
        if payment.paid_at is not None:
            self.captured += payment.amount if sign > 0 else -payment.amount
        if payment.lives():
            self.living += sign
        if payment.reversed_at is not None:
            self.reversed += sign
            self.amiss += sign
        if payment.dispute is not None and payment.dispute != WON:
            if payment.dispute == INQUIRY:
                self.inquired += sign
            else:
                self.disputed += sign
                self.amiss += sign
        if payment.refunded_amount:
            self.refunded += sign * payment.refunded_amount
            self.amiss += sign
        if payment.facts is not None:
            lost, contested = payment.in_dispute()
            self.lost += sign * lost
            self.contested += sign * contested
            self.untried += sign * untried(payment.facts)
        if self._ever is not None:
            self._ever += sign * payment.ever_captured()
