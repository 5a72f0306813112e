"""Refund services as real processes, whatever they speak: their payments, their books, and the protocol of the caller."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from events.money import Money
from outbound.refund_attempt import DONE, DUE, UNKNOWN, Answer, Claim, Refunder, attempt
from providers.base import RefundClient
from tests.simulators import WIRE_FORMATS

# What goes wrong on bad days; an acted-on request without an answer keeps its client waiting for PATIENCE_S.
BAD_DAYS = {"timeout": 0.15, "slow": 0.1, "stored_error": 0.15, "rate_limit": 0.1, "unavailable": 0.15}
PATIENCE_S = 0.3
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Booked(NamedTuple):
    """One refund in the books of a service."""

    payment_id: str
    amount: Decimal
    status: str
    key: str | None


def simulator(provider: str) -> str:
    """The simulator that speaks a provider's wire format; others speak the contract of one's own."""
    return provider if provider in WIRE_FORMATS else "standard"


def options(*, bad: bool) -> list[object]:
    """Arguments of a simulator, on calm and on bad days."""
    chosen = BAD_DAYS if bad else {}
    mishaps = [part for kind, share in chosen.items() for part in ("--mishap", f"{kind}={share}")]
    return ["--seed", 7, "--patience", PATIENCE_S, *mishaps]


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs at `url`."""

    provider: str
    url: str
    client: RefundClient

    def capture(self, payment: str, amount: str, currency: str = "USD", **more: Any) -> None:
        """Somebody has paid at the service."""
        path = f"/_simulator/payments/{quote(payment, safe='')}"
        body = {"amount": amount, "currency": currency, **more}
        answer = httpx.put(f"{self.url}{path}", json=body, trust_env=False)
        assert answer.status_code == 200, answer.text

    def by_hand(self, payment: str, amount: str) -> None:
        """Staff give money back at the provider's own pages."""
        path = f"/_simulator/payments/{quote(payment, safe='')}/refunds"
        answer = httpx.post(f"{self.url}{path}", json={"amount": amount}, trust_env=False)
        assert answer.status_code == 200, answer.text

    def dispute(self, payment: str, state: str = "open", **more: str) -> None:
        """The payer's bank asks, or is done."""
        path = f"/_simulator/payments/{quote(payment, safe='')}/disputes"
        answer = httpx.post(f"{self.url}{path}", json={"state": state, **more}, trust_env=False)
        assert answer.status_code == 200, answer.text

    def books(self, *payments: str) -> list[Booked]:
        """The refunds in its books, of these payments or of all."""
        told = httpx.get(f"{self.url}/_simulator/books", trust_env=False).json()["payments"]
        found = [
            Booked(payment, Decimal(each["amount"]), each["status"], each["key"])
            for payment, kept in told.items()
            for each in kept["refunds"]
        ]
        return [each for each in found if not payments or each.payment_id in payments]


def a_claim(payment: str, money: Money, made: Decimal = Decimal(0), *, captured: Decimal | None = None) -> Claim:
    """A new attempt of a refund, as the chore makes one."""
    return Claim(
        "effect", "N1", payment, money.currency, captured, made, money.amount, str(uuid.uuid4()), 1, NOW, NOW, False
    )


def again(claim: Claim, *, in_doubt: bool, made: Decimal | None = None) -> Claim:
    """The next attempt: under the same id where the end of this one is not known."""
    return Claim(
        claim.id,
        claim.order_number,
        claim.payment_id,
        claim.currency,
        claim.captured,
        claim.made if made is None else made,
        claim.asked,
        claim.key if in_doubt else str(uuid.uuid4()),
        claim.attempts + 1,
        NOW,
        claim.attempted_at if in_doubt else NOW,
        in_doubt,
    )


def settle(client: RefundClient, claim: Claim, patience_s: float = 30.0) -> Answer:
    """The last word on one refund, by the protocol of the chore."""
    refunder, until = Refunder("test", client), time.monotonic() + patience_s
    turn = 0
    while True:
        turn += 1
        answer = attempt(refunder, claim, NOW + timedelta(seconds=turn))
        if answer.state not in (DUE, UNKNOWN):
            return answer
        if answer.gone is not None and answer.gone >= claim.wanted:
            return Answer(DONE, answer.gone)
        if time.monotonic() > until:
            raise AssertionError(f"{claim.payment_id} is not settled after {turn} tries: {answer}")
        if answer.state == UNKNOWN:
            time.sleep(0.02)  # its first request may be running still
        claim = again(claim, in_doubt=answer.state == UNKNOWN)
