"""Money that goes back: what is asked of a provider, and what it tells of it; and disputes, which contest it.

A request is one attempt of ours; a movement is one refund as the provider knows it, made by us or by somebody at its
own pages. A movement carries the id of our attempt where the provider has room for it, so that a report which overtakes
the answer finds the attempt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from events.money import Money

MovementStatus = Literal["pending", "requires_action", "succeeded", "failed", "canceled"]
OPEN: tuple[MovementStatus, ...] = ("pending", "requires_action")  # its end is not known
CAME_TO_NOTHING: tuple[MovementStatus, ...] = ("failed", "canceled")

_REASON_CHARS = 100  # of what stands before our id; Toss takes 200 in all
_OUR_ID = re.compile(r"\[([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\]$")


@dataclass(frozen=True, slots=True)
class RefundAccount:
    """A bank account that money goes back to; `bank` is the provider's own code for it. Never logged."""

    bank: str
    number: str = field(repr=False)
    holder_name: str = field(repr=False)
    holder_phone: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """One attempt to give money back; amounts are in major units.

    `id` is ours, and its idempotency key. `refundable` is what can still go back of the payment by our books: a provider
    that compares refuses where its own differ. What is None is left to the provider.
    """

    id: str
    payment_id: str
    amount: Money
    refundable: Decimal | None = None
    reason: str = "refund"
    tax_free: Decimal | None = None
    vat: Decimal | None = None
    account: RefundAccount | None = None

    @property
    def reason_with_id(self) -> str:
        """The reason with our id at its end, for a provider that has no other room for it."""
        return f"{self.reason[:_REASON_CHARS]} [{self.id}]"


@dataclass(frozen=True, slots=True)
class RefundMovement:
    """One refund as its provider knows it; `time` (UTC) is when it was asked for, or made where only that is told."""

    refund_id: str
    payment_id: str
    amount: Decimal
    status: MovementStatus
    time: datetime
    reference: str | None = None  # the id of our attempt, where it is ours
    code: str | None = None  # why it failed
    message: str | None = None
    tax_free: Decimal | None = None  # parts of the amount, where the provider tells them
    vat: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute as the provider knows it; `time` (UTC) is when it was opened.

    `outcome`: inquiry (the bank only asks, no money is gone), open, won or lost; None where it has ended and the provider does not say how.
    """

    dispute_id: str
    payment_id: str
    amount: Decimal | None  # None: all that was captured
    outcome: Literal["inquiry", "open", "won", "lost"] | None
    time: datetime
    reason: str | None = None


def reference_in(reason: str | None) -> str | None:
    """The id of ours at the end of a reason, if there is one."""
    found = _OUR_ID.search(reason or "")
    return found[1] if found else None


def given_back(movements: Iterable[RefundMovement]) -> Decimal:
    """The sum of what went back, or is on its way back."""
    return sum((each.amount for each in movements if each.status not in CAME_TO_NOTHING), Decimal(0))
