"""Giving money back: what a payment provider is to us, whichever it is. Keeps promise 9.

simulated   client of the simulated payment provider

    RefundError
     ├── RefundRefused    final: the provider said no, and why
     ├── RefundNotMade    temporary: surely nothing happened; try again
     └── RefundUnknown    no answer: ask what was refunded before you ask for it again

The protocol of whoever calls: one refund in flight a payment, toward a cumulative target. The
idempotency key names payment and target. After RefundUnknown ask `refunded`; short of the target,
call `refund` again with the same key *and the same amount*: the first request may still be under
way at the provider, and only the key keeps the two from becoming two refunds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from events.money import Money

__all__ = [
    "RefundError",
    "RefundNotMade",
    "RefundProvider",
    "RefundRefused",
    "RefundUnknown",
    "Refunded",
]


@dataclass(frozen=True, slots=True)
class Refunded:
    """A refund that was made; `refunded_amount` is the provider's cumulative figure after it."""

    refund_id: str
    payment_id: str
    refunded_amount: Decimal
    time: datetime


class RefundError(Exception):
    """A refund did not come to a good end; which of the three it is says what to do."""


class RefundRefused(RefundError):
    """Final: the provider refuses; `code` is its own, for the dead letter's reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class RefundNotMade(RefundError):
    """Temporary, and surely nothing happened: try again with the same key."""


class RefundUnknown(RefundError):
    """No answer, or none that can be read: it may have happened. Ask before you ask again."""


class RefundProvider(Protocol):
    """One payment provider, ready to refund. `name` is the one that transactions carry."""

    name: str

    def refund(self, payment_id: str, amount: Money, idempotency_key: str) -> Refunded:
        """Give `amount` (not the target) back, once a key; raises RefundError only."""
        ...

    def refunded(self, payment_id: str) -> Refunded | None:
        """The latest refund with what was refunded in all, None if nothing was.

        Raises RefundUnknown only, whatever went wrong: what is not known stays unknown.
        """
        ...
