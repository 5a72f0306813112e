"""An order's payment record and its lifecycle.

A payment that is reported twice stands at its highest amount and its earliest time. Success beats pending, failed and
canceled whenever it comes; of those three the latest stands. What went back, and what is disputed, follows from what
its provider told of each refund and dispute (domain/movements.py).

A reversal (a bank took the deposit back) takes away the captures that happened before it or at its
time; a later one counts again. By the times that they happened, so whichever is reported first: all
captures are kept, as soon as there are two or a reversal.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.dirty_tracking import CLEAN
from domain.movements import DISPUTES, in_dispute, moment, plain
from domain.state_machine import build, steps
from domain.words import Worded


class Status(Worded):
    """Stages of a transaction."""

    PENDING = "pending", "announced or under way, nothing captured; or reversed, until it is captured anew"
    PAID = "paid", "captured, and not all of it refunded"
    FAILED = "failed", "the last we know is a failure"
    CANCELED = "canceled", "given up before capture, or refunded in full"


S = Status
LIFECYCLE = (
    # event               from                                to          guard on Transaction
    ("PaymentSucceeded", (S.PENDING, S.FAILED, S.CANCELED), S.PAID, "holds_money"),
    ("PaymentPending", (S.FAILED, S.CANCELED), S.PENDING, "is_under_way"),
    ("PaymentFailed", (S.PENDING, S.CANCELED), S.FAILED, "has_failed"),
    ("PaymentCanceled", (S.PENDING, S.FAILED), S.CANCELED, "was_given_up"),
    ("PaymentReversed", (S.PAID, S.FAILED, S.CANCELED), S.PENDING, "is_reversed"),
    ("PaymentRefunded", (S.PAID, S.PENDING, S.FAILED), S.CANCELED, "all_went_back"),
    ("RefundFailed", (S.CANCELED,), S.PAID, "holds_money"),
)
MACHINE = build(Status, LIFECYCLE)

BY_HAND = "manual:"  # begins the ids of payments that a person noted: no provider took them, and none gives them back

# How far along a step before any success is: of two at one time the further stands.
RANK = {"PaymentPending": 0, "PaymentCanceled": 3, "PaymentFailed": 4}
UNSETTLED, EXPECTED = "unsettled", "expected"  # facts: the places of what stands before a success, and of its amount
_FIRST: list[Any] = []  # before every place
_NOTHING = Decimal(0)


@dataclass(slots=True, eq=False)
class Transaction:
    """One payment of an order; money in the order's currency, major units."""

    id: str
    order_id: str
    payment_id: str
    currency: str
    status: str = S.PENDING
    amount: Decimal = Decimal(0)  # captured; before that, or reversed, what is expected, 0 where unknown
    refunded_amount: Decimal = Decimal(0)  # what went back by all that was told
    refund_target: Decimal = Decimal(0)  # what is to have gone back in all, whether made or not
    payment_method: str | None = None
    receipt_url: str | None = None
    provider: str | None = None
    paid_at: datetime | None = None  # the earliest capture reported that counts; None: no money is there
    dispute: str | None = None  # the one that weighs most: "open", "lost", "won", or what else was told
    reversed_at: datetime | None = None  # the latest reversal reported
    captures: list[str] = field(default_factory=list)  # "time amount" of each, sorted; empty where all say the same
    facts: dict[str, Any] | None = None  # what is kept of events besides, by kind; None where nothing is
    pending_kind: str | None = None  # of a payment under way, before any success
    pending_until: datetime | None = None  # its order does not expire before
    created_at: datetime | None = None
    change_state: int = CLEAN
    highest: Decimal | None = None  # of the captures, once somebody asks

    def unsettle(self, place: list[Any], kind: str | None = None, until: datetime | None = None) -> bool:
        """Note that it is under way (`kind`) or has ended, unless something of a later place was told. → whether noted.

        `place` is what decides which of two stands: time, RANK, source and id of the event.
        """
        facts = self.facts or {}
        if facts.get(UNSETTLED, _FIRST) >= place:
            return False
        self.facts = {**facts, UNSETTLED: place}
        self.pending_kind, self.pending_until = kind, until
        return True

    def expect(self, place: list[Any], amount: Decimal) -> None:
        """Note the amount of a payment under way, unless a later one was told, or a capture."""
        facts = self.facts or {}
        if self.captures or facts.get(EXPECTED, _FIRST) >= place:
            return
        self.facts, self.amount = {**facts, EXPECTED: place}, amount

    def capture(self, amount: Decimal, at: datetime) -> None:
        """Note a capture of `amount` that happened at `at`."""
        if self.facts is not None:
            self._settle()
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
        if self.facts is not None:
            self._settle()
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

    def in_dispute(self) -> tuple[Decimal, Decimal]:
        """(lost, contested) of the money that is there."""
        if self.facts is None or self.paid_at is None or DISPUTES not in self.facts:
            return _NOTHING, _NOTHING
        return in_dispute(self.facts, self.amount)

    def is_under_way(self) -> bool:
        """Guard: the latest that was told before any success says that it goes on."""
        return self.pending_kind is not None

    def has_failed(self) -> bool:
        """Guard: the latest that was told before any success is a failure."""
        return self.facts is not None and self.facts[UNSETTLED][1] == RANK["PaymentFailed"]

    def was_given_up(self) -> bool:
        """Guard: the latest that was told before any success is that it was canceled."""
        return self.facts is not None and self.facts[UNSETTLED][1] == RANK["PaymentCanceled"]

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

    def _settle(self) -> None:
        """Forget what was told before a success: it beats all of that."""
        left = {name: fact for name, fact in (self.facts or {}).items() if name not in (UNSETTLED, EXPECTED)}
        self.facts = left or None
        self.pending_kind = self.pending_until = None

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
    return f"{at.astimezone(UTC).isoformat()} {plain(amount)}"


def _read(capture: str) -> tuple[datetime, Decimal]:
    at, amount = capture.split(" ")
    return datetime.fromisoformat(at), Decimal(amount)


def place_of(time: datetime, rank: int, source: str, event_id: str) -> list[Any]:
    """The place of an event among others about one thing, as facts keep it: the greatest stands."""
    return [moment(time), rank, source, event_id]


STEPS = steps(MACHINE, Transaction)
