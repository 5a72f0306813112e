"""What a payment provider is to us, whichever it is: it tells of payments, it is asked for them, it gives money back.

stripe      webhooks of Stripe
portone     webhooks of PortOne V2, and its API
toss        webhooks of Toss Payments, and its API
standard    Standard Webhooks: how they are signed, and events of ours that others send
asking      a question to a provider's API, and what comes of it
simulated   client of the simulated payment provider, which gives money back

Telling is `providers.webhook_verification.Receive`, one function a provider. A thin webhook only says where to look: then the
provider is asked (`PaymentSource`), and its answer is a `Payment`.

    NoAnswer      temporary: ask again later
    NotTold       final: nothing will come of asking again, and why

Giving money back keeps promise 9.

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

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Protocol

from events.money import Money

__all__ = [
    "NoAnswer",
    "NotTold",
    "Payment",
    "PaymentSource",
    "RefundError",
    "RefundNotMade",
    "RefundProvider",
    "RefundRefused",
    "RefundUnknown",
    "Refunded",
]


@dataclass(frozen=True, slots=True)
class Payment:
    """How a payment stands at its provider. Amounts are in major units; times are when it happened, UTC.

    A time without its amount: the provider said that, and not how much. Then `captured` is what the order still
    owes, and `refunded` all that was captured.
    """

    payment_id: str
    order_number: str | None = None
    currency: str | None = None
    captured_at: datetime | None = None  # None: no money came
    captured: Decimal | None = None
    refunded_at: datetime | None = None  # None: no money went back
    refunded: Decimal | None = None  # cumulative
    ended: Literal["PaymentFailed", "PaymentCanceled"] | None = None  # counts where no money came
    ended_at: datetime | None = None
    code: str | None = None  # why it ended
    message: str | None = None
    method: str | None = None
    receipt_url: str | None = None
    awaits_deposit: bool = False  # no money is there now, whatever was said before


class NoAnswer(Exception):
    """The provider gave no usable answer; try later, `retry_after` seconds where it named some."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotTold(Exception):
    """Final: the provider does not know the payment, or what told us of it was forged."""


class PaymentSource(Protocol):
    """One provider, ready to be asked. `name` is the one that its thin webhooks are kept under."""

    name: str

    def ask(self, kind: str, time: datetime, data: Mapping[str, Any]) -> Payment:
        """How the payment stands that a thin webhook (`kind`, `time` and `data` of its envelope) is about.

        Raises NoAnswer or NotTold only.
        """
        ...


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
