"""An order's payment record and its lifecycle.

A payment told twice stands at its highest amount and its earliest time. Success beats failed and
canceled whenever it comes; `refunded_amount` is the highest cumulative figure that was reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from domain.machine import build, steps
from domain.parts import CLEAN


class Status(StrEnum):
    """Stages of a transaction."""

    PENDING = "pending"  # announced; nothing captured
    PAID = "paid"  # captured, and not all of it refunded
    FAILED = "failed"  # the last we know is a failure
    CANCELED = "canceled"  # given up before capture, or refunded in full


S = Status
LIFECYCLE = (
    # event               from                                to          guard on Transaction
    ("PaymentSucceeded", (S.PENDING, S.FAILED, S.CANCELED), S.PAID, "holds_money"),
    ("PaymentFailed", (S.PENDING,), S.FAILED),
    ("PaymentCanceled", (S.PENDING, S.FAILED), S.CANCELED),
    ("PaymentRefunded", (S.PAID, S.PENDING, S.FAILED), S.CANCELED, "all_went_back"),
)
MACHINE = build(Status, LIFECYCLE)


@dataclass(slots=True, eq=False)
class Transaction:
    """One payment of an order; money in the order's currency, major units."""

    id: str
    order_id: str
    payment_id: str
    currency: str
    status: str = S.PENDING
    amount: Decimal = Decimal(0)  # captured; before that what is expected, 0 where unknown
    refunded_amount: Decimal = Decimal(0)  # the highest cumulative figure reported
    refund_target: Decimal = Decimal(0)  # what is due back in all, whether made or not
    payment_method: str | None = None
    receipt_url: str | None = None
    provider: str | None = None
    paid_at: datetime | None = None  # the earliest capture reported; None: nothing captured
    dispute: str | None = None  # "open", else the outcome that was reported
    created_at: datetime | None = None
    mark: int = CLEAN
    target_raised: bool = False  # this batch raised refund_target: a refund is to be made

    def all_went_back(self) -> bool:
        """Guard: something was captured, and all of it was refunded."""
        return self.paid_at is not None and 0 < self.refunded_amount >= self.amount

    def holds_money(self) -> bool:
        """Guard: something was captured and not all of it was refunded."""
        return self.paid_at is not None and not self.all_went_back()

    def lives(self) -> bool:
        """Pending, or captured at some time: not given up."""
        return self.status == S.PENDING or self.paid_at is not None


STEPS = steps(MACHINE, Transaction)
