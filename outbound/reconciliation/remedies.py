"""Healing of what is only a lost webhook: an ordinary event, as the webhook would have told it.

Payments by the one mechanism of answers (`outbound.payment_reconciler`), refunds and disputes as the refunds' own
attempts tell them (`outbound.provider_events`). Source `reconciliation`; ids begin with the provider's name, so that what
was told once is not told again: where it did not help a person looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from sqlalchemy import Connection, text

from domain.outcome import PARKED
from events.envelope import Envelope, EnvelopeError
from journal.timers import QUESTIONS
from outbound.payment_reconciler import OrderUnknown, Reconciler, event_id
from outbound.provider_events import dispute_event, refund_event
from outbound.reconciliation.comparison import Difference
from providers.base import Payment
from providers.movements import Dispute, RefundMovement
from storage.pg_arrays import columns, unnest

SOURCE = QUESTIONS
_NAMES = ("source", "event_id"), ("text", "text")
_RESULTS = text(
    "select j.source, j.event_id, r.outcome, r.reason from journal j "
    f"join {unnest(*_NAMES)} using (source, event_id) left join results r using (seq)"
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A difference, the state that its finding comes to, what was or is to be done, and the event that heals it."""

    difference: Difference
    state: Literal["healed", "open"]
    done: str
    event: Envelope | None = None


class Result(NamedTuple):
    """The end of an event that was told before; None of `outcome`: it has none yet."""

    outcome: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Remedy:
    """The event that makes up for a difference: new, or told before, with what became of it; or why there is none."""

    name: str = ""  # SOURCE/ID in the journal
    event: Envelope | None = None  # None: it was told before
    before: Result | None = None
    problem: str | None = None

    @property
    def is_on_its_way(self) -> bool:
        """True where it was told before, and is still to be decided."""
        return self.before is not None and self.before.outcome is None

    @property
    def did_not_help(self) -> str | None:
        """A sentence on why the event that was told before did not help; None where it may."""
        if self.before is None or self.before.outcome is None:
            return None
        outcome, reason = self.before
        why = f"{outcome}: {reason}" if reason else outcome
        waits = "waits" if outcome == PARKED else "did not settle it"
        return f"event {self.name} was told before ({why}) and {waits}"


def remedies(conn: Connection, provider: str, differences: Sequence[Difference]) -> list[Remedy]:
    """The remedy of each of these differences, all of which can be healed; nothing is written."""
    told = [(provider, _payment(each)) for each in differences if isinstance(each.heal, Payment)]
    fresh = Reconciler(conn, told, SOURCE)
    keys: list[tuple[str, str] | None] = []
    problems: list[str | None] = []
    events: dict[tuple[str, str], Envelope] = {}
    for each in differences:
        key, problem = None, None
        if isinstance(each.heal, Payment):
            try:
                key = fresh.take(provider, _payment(each))
                problem = None if key else f"what {provider} tells makes no event: the payment is under way"
            except (OrderUnknown, EnvelopeError) as error:
                problem = f"what {provider} tells makes no event: {error}"
        else:
            event = _event(provider, each)
            key = (event.source, event.id)
            events[key] = event
        keys.append(key)
        problems.append(problem)
    events |= {(event.source, event.id): event for event in fresh.events}
    known = _results(conn, [key for key in keys if key is not None])
    return [
        Remedy("/".join(key or ()), events.get(key) if key else None, known.get(key) if key else None, problem)
        for key, problem in zip(keys, problems, strict=True)
    ]


def paid_before(conn: Connection, provider: str, payment_ids: Sequence[str]) -> set[str]:
    """Those of these payments whose capture a comparison has told, whether it is applied yet or not."""
    keys = {event_id(provider, each, "paid", SOURCE): each for each in payment_ids}
    return {keys[key] for key in _results(conn, list(keys))}


def _payment(difference: Difference) -> Payment:
    """What was told of a payment, without what went back or is disputed: that is told by itself. An end is as of now."""
    told = difference.heal
    if not isinstance(told, Payment):
        raise TypeError(f"{difference.kind} is about no payment")
    return replace(
        told,
        order_number=difference.order_number,
        refunded_at=None,
        refunded=None,
        movements=None,
        disputes=(),
        ended_at=difference.time or told.ended_at,
    )


def _event(provider: str, difference: Difference) -> Envelope:
    told, number = difference.heal, difference.order_number
    if isinstance(told, RefundMovement):
        _, own_id = event_id(provider, told.refund_id, told.status, SOURCE)
        return refund_event(SOURCE, own_id, number, told, difference.time or told.time)
    if isinstance(told, Dispute):
        _, own_id = event_id(provider, told.dispute_id, str(told.outcome), SOURCE)
        name = difference.name or told.dispute_id
        return dispute_event(SOURCE, own_id, name, number, told, difference.time or told.time)
    raise TypeError(f"{difference.kind} has nothing that heals it")


def _results(conn: Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Result]:
    """Those of these events that the journal has, and what became of each."""
    if not keys:
        return {}
    found = conn.execute(_RESULTS, columns(*_NAMES, sorted(set(keys))))
    return {(row.source, row.event_id): Result(row.outcome, row.reason) for row in found}
