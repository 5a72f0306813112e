"""Comparison of a provider's side with ours. Pure: both sides and a time in, what differs out.

What we know of refunds and disputes are facts (`domain.movements`), so a refund is compared by its effect: told to a copy
of them, does more or less go back? One that a cumulative report has in its sum already is no finding, though its id is
unknown here.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.movements import (
    DISPUTES,
    INQUIRY,
    LOST,
    OPEN,
    REFUND_RANK,
    REFUNDS,
    WON,
    RefundStatus,
    amount_of,
    goes_back,
    note_refund,
    plain,
    refunded,
)
from domain.transaction import Status as TransactionStatus
from domain.transaction import place_of
from outbound.reconciliation.kinds import Kind
from providers.base import Page, Payment
from providers.movements import CAME_TO_NOTHING, Dispute, RefundMovement
from providers.movements import OPEN as UNDER_WAY

TEXT = 200  # characters of a text of either side that are kept
Side = dict[str, str]
Heal = Payment | RefundMovement | Dispute


@dataclass(frozen=True, slots=True)
class Ours:
    """One payment as we know it."""

    payment_id: str
    order_number: str
    provider: str | None
    currency: str
    status: str
    amount: Decimal
    paid_at: datetime | None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """True where no money came yet, and some may."""
        return self.paid_at is None and self.status == TransactionStatus.PENDING


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order that a payment of the provider's names, and none of ours is that payment."""

    currency: str
    is_paid: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs: what it is about, both sides, and what would make up for it, as of which time."""

    kind: Kind
    subject: str  # the payment's, refund's or dispute's id at the provider
    payment_id: str
    order_number: str | None
    theirs: Side
    ours: Side
    heal: Heal | None = None
    time: datetime | None = None  # None: the provider's own
    name: str | None = None  # of a dispute, here


# -- payments ------------------------------------------------------------------------------------------------


def payment_difference(told: Payment, ours: Ours | None, order: KnownOrder | None, now: datetime) -> Difference | None:
    """The one thing that differs of a payment, None where nothing does, or it came to nothing on either side.

    `order` is the one that the payment names, where no payment of ours has its id.
    """
    theirs = _payment_side(told)
    came = told.captured_at is not None and told.captured != 0 and told.pending is None
    if ours is None:
        return _unknown(told, order, theirs) if came else None
    about = (told.payment_id, told.payment_id, ours.order_number, theirs, ours_side(ours))
    if not came:
        if ours.paid_at is not None and ours.amount > 0:
            return Difference(Kind.PAYMENT_HERE, *about)
        if told.ended is not None and ours.is_open:
            return Difference(Kind.PAYMENT_ENDED_THERE, *about, heal=told, time=now)
        return None
    if told.currency is not None and told.currency != ours.currency:
        return Difference(Kind.CURRENCY_DIFFERS, *about)
    if ours.paid_at is None:
        return Difference(Kind.PAYMENT_THERE, *about, heal=told)
    if told.captured is not None and told.captured != ours.amount:
        return Difference(Kind.AMOUNT_DIFFERS, *about)
    return None


def _unknown(told: Payment, order: KnownOrder | None, theirs: Side) -> Difference:
    about = (told.payment_id, told.payment_id, told.order_number, theirs)
    if order is None:
        return Difference(Kind.ORDER_UNKNOWN, *about, {})
    ours = {"status": "paid by another payment" if order.is_paid else "not paid", "currency": order.currency}
    if told.currency is not None and told.currency != order.currency:
        return Difference(Kind.CURRENCY_DIFFERS, *about, ours)
    if order.is_paid:
        return Difference(Kind.ORDER_PAID_OTHERWISE, *about, ours)
    return Difference(Kind.PAYMENT_THERE, *about, ours, heal=told)


# -- refunds -------------------------------------------------------------------------------------------------


def refund_differences(movements: Sequence[RefundMovement], ours: Ours, now: datetime) -> list[Difference]:
    """All that differs of refunds of one payment; `movements` need not be all that there are."""
    facts = deepcopy(ours.facts)
    found = [_refund_difference(each, ours, facts, now) for each in sorted(movements, key=lambda each: each.time)]
    return [each for each in found if each is not None]


def _refund_difference(told: RefundMovement, ours: Ours, facts: dict[str, Any], now: datetime) -> Difference | None:
    mine = facts.get(REFUNDS, {}).get(told.refund_id)
    about = (told.refund_id, told.payment_id, ours.order_number, _refund_side(told))
    failed = told.status in CAME_TO_NOTHING
    if mine is None:
        before = refunded(facts)
        _tell(facts, told, now if failed else told.time)
        after = refunded(facts)
        if after == before:
            return None
        kind = Kind.REFUND_THERE if after > before else Kind.REFUND_FAILED_THERE
        here = {"status": "unknown", "went back": f"{before:f}"}
        return Difference(kind, *about, here, heal=told, time=now if failed else None)
    here = _side(status=mine.get("status"), amount=plain(amount_of(mine)) if "amount" in mine else None)
    if "amount" in mine and amount_of(mine) != told.amount:
        return Difference(Kind.REFUND_DIFFERS, *about, here)
    if _stage(mine.get("status")) == _stage(told.status):
        return None
    _tell(facts, told, now)
    if _stage(mine.get("status")) != _stage(told.status):  # what was told here is later
        return Difference(Kind.REFUND_DIFFERS, *about, here)
    kind = Kind.REFUND_FAILED_THERE if failed else Kind.REFUND_ENDED_THERE
    return Difference(kind, *about, here, heal=told, time=now)


def _tell(facts: dict[str, Any], told: RefundMovement, time: datetime) -> None:
    """What the event would do that makes up for it."""
    status = RefundStatus.FAILED if told.status in CAME_TO_NOTHING else RefundStatus(told.status)
    place = place_of(time, REFUND_RANK[status], "", "")
    note_refund(facts, told.refund_id, place, status, told.amount, told.time)


def _stage(status: str | None) -> str | None:
    """A refund's status as far as it matters: under way, gone back, or come to nothing."""
    if status in UNDER_WAY:
        return UNDER_WAY[0]
    return CAME_TO_NOTHING[0] if status in CAME_TO_NOTHING else status


# -- disputes ------------------------------------------------------------------------------------------------


def dispute_difference(told: Dispute, ours: Ours, now: datetime) -> Difference | None:
    """The one thing that differs of a dispute, None where nothing does."""
    known = ours.facts.get(DISPUTES, {})
    # The first version of our event told no id: then the payment's name stands for the one that there was.
    name = told.payment_id if told.dispute_id not in known and told.payment_id in known else told.dispute_id
    theirs = _side(
        outcome=told.outcome or "ended", amount=_amount(told.amount), time=told.time.isoformat(), reason=told.reason
    )
    ended = told.outcome in (WON, LOST)
    about = (told.dispute_id, told.payment_id, ours.order_number, theirs)
    if name not in known:
        here = {"outcome": "unknown"}
        if told.outcome is None:
            return Difference(Kind.DISPUTE_DIFFERS, *about, here)
        return Difference(Kind.DISPUTE_THERE, *about, here, heal=told, time=now if ended else None, name=name)
    status = known[name].get("status")
    mine = status if status in (WON, LOST, INQUIRY) else OPEN
    here = {"outcome": mine}
    if told.outcome == mine or (told.outcome is None and mine in (WON, LOST)):
        return None
    if ended and mine in (OPEN, INQUIRY):
        return Difference(Kind.DISPUTE_ENDED_THERE, *about, here, heal=told, time=now, name=name)
    if told.outcome == OPEN and mine == INQUIRY:  # what was only asked about is contested now
        # As of now: a dispute keeps the time that its inquiry was opened at.
        return Difference(Kind.DISPUTE_THERE, *about, here, heal=told, time=now, name=name)
    return Difference(Kind.DISPUTE_DIFFERS, *about, here)


# -- here, and not there -------------------------------------------------------------------------------------


def differences_of_one(ours: Ours, page: Page | None, now: datetime) -> list[Difference]:
    """All that differs of one payment of ours; `page` is all that the provider knows of it, None where it knows none."""
    if page is None:
        return (
            []
            if ours.is_open
            else [
                Difference(Kind.PAYMENT_HERE, ours.payment_id, ours.payment_id, ours.order_number, {}, ours_side(ours))
            ]
        )
    found = [payment_difference(each, ours, None, now) for each in page.payments]
    found += refund_differences(page.movements, ours, now)
    found += [dispute_difference(each, ours, now) for each in page.disputes or ()]
    known = {each.refund_id for each in page.movements}
    for name, refund in ours.facts.get(REFUNDS, {}).items():
        if name not in known and "status" in refund and goes_back(refund):
            here = _side(status=refund["status"], amount=plain(amount_of(refund)), time=refund.get("requested"))
            found.append(Difference(Kind.REFUND_HERE, name, ours.payment_id, ours.order_number, {}, here))
    if page.disputes is not None:
        listed = {each.dispute_id for each in page.disputes}
        for name, dispute in ours.facts.get(DISPUTES, {}).items():
            if name not in listed and (name != ours.payment_id or not listed):
                here = {"outcome": str(dispute.get("status", OPEN))[:TEXT]}
                found.append(Difference(Kind.DISPUTE_HERE, name, ours.payment_id, ours.order_number, {}, here))
    return [each for each in found if each is not None]


# -- both sides, in a few words ------------------------------------------------------------------------------


def ours_side(ours: Ours) -> Side:
    """Our side of a payment, for people."""
    paid = ours.paid_at
    return _side(
        status=ours.status,
        amount=plain(ours.amount),
        currency=ours.currency,
        time=paid.isoformat() if paid else None,
        provider=ours.provider,
    )


def _payment_side(told: Payment) -> Side:
    ended = {"PaymentFailed": "failed", "PaymentCanceled": "canceled"}.get(told.ended or "", "not paid")
    paid = told.captured_at if told.pending is None else None
    return _side(
        status="paid" if paid is not None else told.pending or ended,
        amount=_amount(told.captured),
        currency=told.currency,
        time=paid.isoformat() if paid else None,
        order=told.order_number,
    )


def _refund_side(told: RefundMovement) -> Side:
    return _side(
        status=told.status,
        amount=plain(told.amount),
        time=told.time.isoformat(),
        attempt=told.reference,
        code=told.code,
        message=told.message,
    )


def _side(**told: str | None) -> Side:
    return {name: value[:TEXT] for name, value in told.items() if value is not None}


def _amount(told: Decimal | None) -> str | None:
    return None if told is None else plain(told)
