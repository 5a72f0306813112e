"""An order's payment record and its lifecycle.

A payment that is reported twice stands at its highest amount and its earliest time. Success beats failed and
canceled whenever it comes; `refunded_amount` is the highest cumulative figure that was reported.

A reversal (a bank took the deposit back) takes away the captures that happened before it or at its
time; a later one counts again. By the times that they happened, so whichever is reported first: all
captures are kept, as soon as there are two or a reversal.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from domain.dirty_tracking import CLEAN
from domain.state_machine import build, steps
from domain.words import Worded


class Status(Worded):
    """Stages of a transaction."""

    PENDING = "pending", "announced, nothing captured; or reversed, until it is captured anew"
    PAID = "paid", "captured, and not all of it refunded"
    FAILED = "failed", "the last we know is a failure"
    CANCELED = "canceled", "given up before capture, or refunded in full"


S = Status
LIFECYCLE = (
    # event               from                                to          guard on Transaction
    ("PaymentSucceeded", (S.PENDING, S.FAILED, S.CANCELED), S.PAID, "holds_money"),
    ("PaymentFailed", (S.PENDING,), S.FAILED),
    ("PaymentCanceled", (S.PENDING, S.FAILED), S.CANCELED),
    ("PaymentReversed", (S.PAID, S.FAILED, S.CANCELED), S.PENDING, "is_reversed"),
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
    amount: Decimal = Decimal(0)  # captured; before that, or reversed, what is expected, 0 where unknown
    refunded_amount: Decimal = Decimal(0)  # the highest cumulative figure reported
    refund_target: Decimal = Decimal(0)  # what is due back in all, whether made or not
    payment_method: str | None = None
    receipt_url: str | None = None
    provider: str | None = None
    paid_at: datetime | None = None  # the earliest capture reported that counts; None: no money is there
    dispute: str | None = None  # "open", else the outcome that was reported
    reversed_at: datetime | None = None  # the latest reversal reported
    captures: list[str] = field(default_factory=list)  # "time amount" of each, sorted; empty where all say the same
    created_at: datetime | None = None
    change_state: int = CLEAN
    highest: Decimal | None = None  # of the captures, once somebody asks

    def capture(self, amount: Decimal, at: datetime) -> None:
        """Note a capture of `amount` that happened at `at`."""
        if self.reversed_at is None:
            if self.paid_at is None:
                self.amount, self.paid_at = amount, at
                return
            if self.paid_at == at and self.amount == amount and not self.captures:
                return
        self._keep_only_capture()
        capture = _written(amount, at)
        place = bisect_left(self.captures, capture)
        if self.captures[place : place + 1] == [capture]:
            return
        first = not self.captures
        self.captures.insert(place, capture)
        if self.highest is not None:
            self.highest = max(self.highest, amount)
        if self.reversed_at is not None and at <= self.reversed_at:
            if self.paid_at is None:  # what may come again
                self.amount = amount if first else max(self.amount, amount)
        elif self.paid_at is None:
            self.amount, self.paid_at = amount, at
        else:
            self.amount, self.paid_at = max(self.amount, amount), min(self.paid_at, at)

    def reverse(self, at: datetime) -> None:
        """Note a reversal that happened at `at`: what was captured until then counts no more."""
        self._keep_only_capture()
        self.reversed_at = at if self.reversed_at is None else max(self.reversed_at, at)
        self._weigh()

    def ever_captured(self) -> Decimal:
        """The highest amount that was ever captured, reversed or not."""
        if self.captures:
            if self.highest is None:
                self.highest = max(amount for _, amount in map(_read, self.captures))
            return self.highest
        return self.amount if self.paid_at is not None else Decimal(0)

    def is_reversed(self) -> bool:
        """Guard: its money was taken back, and none was captured since."""
        return self.reversed_at is not None and self.paid_at is None

    def all_went_back(self) -> bool:
        """Guard: something was captured and not reversed, and all of it was refunded."""
        return self.paid_at is not None and 0 < self.refunded_amount >= self.amount

    def holds_money(self) -> bool:
        """Guard: something was captured and neither reversed nor refunded in full."""
        return self.paid_at is not None and not self.all_went_back()

    def lives(self) -> bool:
        """Pending, reversed or captured: not given up."""
        return self.status == S.PENDING or self.paid_at is not None

    def _keep_only_capture(self) -> None:
        if not self.captures and self.paid_at is not None:
            self.captures = [_written(self.amount, self.paid_at)]

    def _weigh(self) -> None:
        """Amount and time follow from the captures that count; without any, the amount is what may come again."""
        known = [_read(one) for one in self.captures]
        since = self.reversed_at
        counting = [(at, amount) for at, amount in known if since is None or at > since]
        self.paid_at = min((at for at, _ in counting), default=None)
        self.amount = max((amount for _, amount in counting or known), default=self.amount)


def _written(amount: Decimal, at: datetime) -> str:
    return f"{at.astimezone(UTC).isoformat()} {amount.normalize():f}"


def _read(capture: str) -> tuple[datetime, Decimal]:
    at, amount = capture.split(" ")
    return datetime.fromisoformat(at), Decimal(amount)


STEPS = steps(MACHINE, Transaction)
