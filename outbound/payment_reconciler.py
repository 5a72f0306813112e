"""Events of what a provider told of a payment: at most one of each kind per payment, however often it was asked.

`<payment>:paid`, `:failed`, `:canceled`, and `:refunded:<cumulative amount>` (`:refunded:all` where it named none);
`:reversed` of a deposit that was taken back, then `:paid:2`, `:reversed:2` …, in turns. `:pending:<kind>:<until>` of one under
way. Where a provider lists refunds, each is told as `:refund:<its id>:<status>`, and no sum.
Their source, `<provider>/api`, is no webhook's: nobody outside can take such an id first. Whoever asked for another
reason gives a source of its own, whose ids begin with the provider's name. What the journal has
already is left out, and counts nothing. Success before its refund, and success whatever else was said: an answer
tells how a payment stands, not what happened last. Answers may be late: that a deposit was taken back, or made
anew, counts only where the time that it was asked for lies behind what is known.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from domain.refunds import payable
from events.catalogue import NEWEST
from events.envelope import Envelope, EnvelopeError
from outbound.provider_events import refund_event
from providers.base import DisputeNotice, Payment
from providers.movements import RefundMovement
from storage.aggregates import peek
from storage.pg_arrays import array, columns, unnest

_KNOWN = text(
    "select j.source, j.event_id, j.time, j.data from journal j join "
    f"{unnest(('source', 'event_id'), ('text', 'text'))} using (source, event_id)"
)
_ORDERS = text("select payment_id, order_id from transactions where payment_id = any(cast(:ids as text[]))")


class Fact(NamedTuple):
    """An event that is known: when it happened, and its data."""

    time: datetime
    data: dict[str, Any]


class Owed(NamedTuple):
    """The figures that are known here of a payment whose provider names no amount."""

    currency: str
    captured: Decimal | None  # of this payment; None: no money of it is there
    asked: Decimal  # what the payer was to pay


class OrderUnknown(Exception):
    """The amount is the order's to say, and the order is not here yet."""


def event_id(provider: str, payment_id: str, step: str, source: str | None = None) -> tuple[str, str]:
    """(source, id) of the event of a payment's step, such as `paid`: the one spelling of it. `source`: None is the provider's own."""
    if source is None:
        return f"{provider}/api", f"{payment_id}:{step}"
    return source, f"{provider}:{payment_id}:{step}"


def known(conn: Connection, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Fact]:
    """Those of these (source, id) that the journal has, with what they say."""
    if not keys:
        return {}
    found = conn.execute(_KNOWN, columns(("source", "event_id"), ("text", "text"), sorted(keys)))
    return {(row.source, row.event_id): Fact(row.time, row.data) for row in found}


class Reconciler:
    """Turns answers into the events that are not known yet, with what the journal and the orders know of them."""

    def __init__(self, conn: Connection, told: Sequence[tuple[str, Payment]], source: str | None = None) -> None:
        self.events: list[Envelope] = []
        self._source = source
        keys = {
            self._key(provider, t, step)
            for provider, t in told
            for step in (
                "paid",
                "failed",
                "canceled",
                "reversed",
                _refund(t),
                _pending(t),
                *map(_movement, t.movements or ()),
                *map(_notice, t.disputes),
            )
        }
        self._known = known(conn, keys)
        self._learn_of_reversed(conn, told)
        self._owed = _owed(conn, {t.payment_id for _, t in told if _names_no_amount(t)})

    def _learn_of_reversed(self, conn: Connection, told: Sequence[tuple[str, Payment]]) -> None:
        """The later turns of payments that were reversed: a statement a turn, and seldom any."""
        turn = 1
        while told := [(p, t) for p, t in told if self._key(p, t, _nth("reversed", turn)) in self._known]:
            turn += 1
            steps = (_nth("paid", turn), _nth("reversed", turn))
            self._known |= known(conn, {self._key(p, t, step) for p, t in told for step in steps})

    def _key(self, provider: str, told: Payment, step: str) -> tuple[str, str]:
        """(source, id) of the event of a step."""
        return event_id(provider, told.payment_id, step, self._source)

    def take(self, provider: str, told: Payment) -> tuple[str, str] | None:
        """One answer. → (source, id) of the event by which the payment stands as it does, new or known; None while it is under way.

        Errors: OrderUnknown or EnvelopeError where it comes to no event.
        """
        for each in told.disputes:
            # By the payment's name: whoever tells no id and no amount has one dispute of it, which stands until a person decides.
            data = _present(reason=each.reason, outcome="resolved" if each.resolved else None)
            self._add(provider, told, _notice(each), "PaymentDisputed", each.time, data)
        turn = 1
        while self._fact(provider, told, _nth("reversed", turn)):
            turn += 1
        paid = self._fact(provider, told, _nth("paid", turn))
        if told.pending is not None:
            self._wait(provider, told, turn, paid)
            return None
        if paid is None and (at := self._captured_at(provider, told, turn)) is not None:
            paid = self._capture(provider, told, turn, at)
        amount = told.refunded
        if told.refunded_at is not None and amount is None:
            amount = self._captured_before(told, paid)
        if told.movements:
            self._tell_movements(provider, told, told.movements)
        elif told.refunded_at is not None and amount is not None:
            self._give_back(provider, told, told.refunded_at, amount)
        elif told.ended is not None and told.captured_at is None:
            step = "failed" if told.ended == "PaymentFailed" else "canceled"
            data = _present(code=told.code, message=told.message)
            self._add(provider, told, step, told.ended, told.ended_at, data)
            return self._key(provider, told, step)
        return None if paid is None else self._key(provider, told, _nth("paid", turn))

    def _wait(self, provider: str, told: Payment, turn: int, paid: Fact | None) -> None:
        """A payment is under way, or its deposit was taken back.

        An answer from before the deposit may come after it. If it was taken back, that has a webhook of its own.
        """
        if paid is None and turn == 1:
            until = told.pending_until.isoformat() if told.pending_until else None
            amount = f"{told.expected:f}" if told.expected is not None else None
            data = _present(kind=told.pending, amount=amount, until=until)
            self._add(provider, told, _pending(told), "PaymentPending", told.pending_at, data)
        deposit = told.pending == "awaiting_deposit"
        if deposit and paid is not None and (told.ended_at is None or told.ended_at >= paid.time):
            self._add(provider, told, _nth("reversed", turn), "PaymentReversed", told.ended_at, {})

    def _tell_movements(self, provider: str, told: Payment, movements: Sequence[RefundMovement]) -> None:
        """Each refund by its id, at the time that it was asked for: of its statuses at one time the further stands."""
        for each in movements:
            key = self._key(provider, told, _movement(each))
            if key not in self._known:
                event = refund_event(key[0], key[1], told.order_number, each, each.time)
                event.body()
                self._known[key] = Fact(each.time, dict(event.data))
                self.events.append(event)

    def _captured_at(self, provider: str, told: Payment, turn: int) -> datetime | None:
        """When the money came, None if it did not; after a reversal, only what is surely no answer from before it.

        A provider may leave the first capture's time standing: then it is there again by the time that the webhook
        tells. Not where money went back since: one that is canceled while it waits for its deposit looks like that.
        """
        back = self._fact(provider, told, _nth("reversed", turn - 1))
        if back is None or told.captured_at is None or told.captured_at > back.time:
            return told.captured_at
        again = told.ended_at is not None and told.ended_at > back.time and told.refunded_at is None
        return told.ended_at if again else None

    def _capture(self, provider: str, told: Payment, turn: int, at: datetime) -> Fact:
        amount, currency = told.captured, told.currency
        if amount is None:
            owed = self._owed.get(told.payment_id)
            if owed is None:
                raise OrderUnknown(f"waits for the order that names payment {told.payment_id}, to learn its amount")
            amount, currency = owed.asked, owed.currency
        data = _present(
            amount=f"{amount:f}",
            currency=currency,
            provider=provider,
            paymentMethod=told.method,
            receiptUrl=told.receipt_url,
        )
        paid = self._add(provider, told, _nth("paid", turn), "PaymentSucceeded", at, data)
        canceled = self._fact(provider, told, "canceled")
        if canceled is not None and told.captured is None:  # its bare word came first; all of it went back
            self._give_back(provider, told, at, amount)
        return paid

    def _captured_before(self, told: Payment, paid: Fact | None) -> Decimal | None:
        """All that was captured of a payment, None if nothing was."""
        if paid is not None:
            return Decimal(paid.data["amount"])
        owed = self._owed.get(told.payment_id)
        return owed.captured if owed is not None else None

    def _give_back(self, provider: str, told: Payment, at: datetime, amount: Decimal) -> None:
        self._add(provider, told, _refund(told), "PaymentRefunded", at, {"refundedAmount": f"{amount:f}"})

    def _fact(self, provider: str, told: Payment, step: str) -> Fact | None:
        return self._known.get(self._key(provider, told, step))

    def _add(
        self, provider: str, told: Payment, step: str, kind: str, at: datetime | None, data: dict[str, Any]
    ) -> Fact:
        key = self._key(provider, told, step)
        if key not in self._known:
            data = {"paymentId": told.payment_id, **data}
            if at is None:
                raise EnvelopeError("time", f"{provider} did not say when {told.payment_id} was {step}")
            event = Envelope(key[1], key[0], kind, at, told.order_number, data, NEWEST.get(kind, 1))
            event.body()
            self._known[key] = Fact(at, data)
            self.events.append(event)
        return self._known[key]


def _owed(conn: Connection, payment_ids: Collection[str]) -> dict[str, Owed]:
    """The amounts that these payers were to pay: what the provider told before, else what their orders still lack.

    What an order lacks is the fold's to say: it counts accepted prices, canceled items, and all other payments.
    """
    if not payment_ids:
        return {}
    rows = conn.execute(_ORDERS, {"ids": array(sorted(payment_ids), "text")}).all()
    orders = peek(conn, {row.order_id for row in rows})
    found = {}
    for row in rows:
        order = orders[row.order_id]
        mine = next(each for each in order.transactions if each.payment_id == row.payment_id)
        if order.placed_at is None:
            continue
        captured = mine.amount if mine.paid_at is not None else None
        missing = payable(order) - (order.captured() - (captured or 0))
        asked = mine.amount or (missing if missing > 0 else order.price())
        found[row.payment_id] = Owed(mine.currency, captured, asked)
    return found


def _names_no_amount(told: Payment) -> bool:
    captured = told.captured_at is not None and told.captured is None
    return captured or (told.refunded_at is not None and told.refunded is None)


def _refund(told: Payment) -> str:
    return "refunded:all" if told.refunded is None else f"refunded:{told.refunded:f}"


def _pending(told: Payment) -> str:
    until = told.pending_until
    return f"pending:{told.pending}:{until.isoformat() if until else ''}"


def _movement(told: RefundMovement) -> str:
    return f"refund:{told.refund_id}:{told.status}"


def _notice(told: DisputeNotice) -> str:
    return f"{'dispute_resolved' if told.resolved else 'disputed'}:{told.time.isoformat()}"


def _nth(step: str, turn: int) -> str:
    """`paid`, then `paid:2`; there is no turn 0."""
    return step if turn == 1 else f"{step}:{turn}"


def _present(**fields: str | None) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
