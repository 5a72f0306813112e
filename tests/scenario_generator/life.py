"""A finished life of one order, and the pen that writes it down."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from events.envelope import Envelope
from tests.scenario_generator.choices import Choices

START = datetime(
    2025, 3, 1, 9, tzinfo=UTC
)  # a stranger's scans come up to two years later, and are no news from the future
# How long until the next thing happens. A life of 70 events stays within the 30 days for returns.
PAUSES_S = (60.0, 0.0, 0.0, 0.25, 1.0, 1800.0, 7200.0, 36_000.0)


class _Unstated:
    """What the oracle leaves open: the design does not say it, or says it of no arrival order."""

    def __repr__(self) -> str:
        return "unstated"


UNSTATED = _Unstated()


@dataclass(frozen=True)
class Life:
    """The events of one order, and the state that it must end in.

    `events` stand in an order in which all of them apply. `expected` has:

        status        the order's
        items         reference → shipped, delivered, returned, canceled (numbers)
        transactions  paymentId → status, amount (captured), refundedAmount, paidAt, pendingKind, pendingUntil
        fulfillments  reference → status, items {reference: quantity}, shippedAt, deliveredAt;
                      only those that were reported, not our own plan
        returns       reference → status, items, refundAmount
        flags         name → whether it must be set, UNSTATED where that depends on what was known when
        customer      the customer's id, as edited
        edits         field → the id of the event by which it stands; only what was edited
        plan          items in no living fulfillment, {} unless covered and not canceled

    Amounts are Decimals, times are datetimes; both are None where nothing happened. A field that is
    UNSTATED may be anything.

    `due_back` is what is due back to the payers, all payments together (which of them gives it, depends on
    what was known when): everything captured of a canceled order, what is above the total less what returns give
    back of another, in both cases without what was lost in disputes. Captured is what no reversal took away; paid
    for, so that it may ship, is what was ever captured. `traits` names what is special in this life.
    """

    order: str
    policy: str
    events: list[Envelope]
    expected: dict[str, Any]
    due_back: Any = UNSTATED
    traits: frozenset[str] = field(default_factory=frozenset)
    by_hand: Decimal = Decimal(0)  # of that, what was paid back past the providers
    contradictions: frozenset[str] = frozenset()  # what cannot be true together; then `expected` says nothing

    def __repr__(self) -> str:
        return f"Life({self.order}, returns={self.policy}, {len(self.events)} events, ends {self.expected['status']})"


class Pen:
    """Writes down what is told, in the life's own order; time goes on by itself."""

    def __init__(self, choices: Choices, order: str) -> None:
        self.order = order
        self.events: list[Envelope] = []
        self._choices = choices
        self._now = START

    def now(self) -> datetime:
        """The time, a little or much later than when asked before; sometimes the same."""
        self._now += timedelta(seconds=self._choices.pick(PAUSES_S))
        return self._now

    def wait_until(self, at: datetime) -> datetime:
        """Nothing happens before then. → the time that it is now."""
        self._now = max(self._now, at)
        return self._now

    def wait(self, days: int) -> None:
        """Nothing happens for so long."""
        self._now += timedelta(days=days)

    def tell(
        self,
        kind: str,
        data: dict[str, Any],
        *,
        source: str,
        at: datetime | None = None,
        subject: bool = True,
        version: int = 1,
    ) -> Envelope:
        """One more event; its id says nothing about its place, so that nobody can sort by it."""
        place = f"{self.order}/{len(self.events)}".encode()
        name = hashlib.blake2b(place, digest_size=6).hexdigest()
        told = Envelope(
            id=f"evt_{self.order}_{name}",
            source=source,
            type=kind,
            time=self.now() if at is None else at,
            subject=self.order if subject else None,
            data=data,
            version=version,
        )
        self.events.append(told)
        return told
