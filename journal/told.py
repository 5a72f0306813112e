"""What a provider told of a payment, as events: at most one of each kind a payment, whoever asked and however often.

`<payment>:paid`, `:failed`, `:canceled`, and `:refunded:<cumulative amount>` (`:refunded:all` where it named none).
Their source, `<provider>/api`, is no webhook's: nobody outside can take such an id first. What the journal has
already is left out, and counts nothing. Success before its refund, and success whatever else was said: an answer
tells how a payment stands, not what happened last.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import Connection, text

from events.envelope import Envelope, EnvelopeError
from storage.literals import array, columns, unnest

_KNOWN = text(
    "select j.source, j.event_id, j.data from journal j join "
    f"{unnest(('source', 'event_id'), ('text', 'text'))} using (source, event_id)"
)
_OWED = text("""
    select t.payment_id, t.paid_at, t.amount, t.currency, o.total_amount,
        (select coalesce(sum(p.amount), 0) from transactions p
         where p.order_id = t.order_id and p.id <> t.id and p.paid_at is not null) as elsewhere
    from transactions t join orders o on o.id = t.order_id where t.payment_id = any(cast(:ids as text[]))
""")


class Payment(Protocol):
    """How a payment stands. A time without its amount: that happened, and the provider did not say how much."""

    @property
    def payment_id(self) -> str: ...
    @property
    def order_number(self) -> str | None: ...
    @property
    def currency(self) -> str | None: ...
    @property
    def captured_at(self) -> datetime | None: ...
    @property
    def captured(self) -> Decimal | None: ...
    @property
    def refunded_at(self) -> datetime | None: ...
    @property
    def refunded(self) -> Decimal | None: ...
    @property
    def ended(self) -> str | None: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def code(self) -> str | None: ...
    @property
    def message(self) -> str | None: ...
    @property
    def method(self) -> str | None: ...
    @property
    def receipt_url(self) -> str | None: ...
    @property
    def awaits_deposit(self) -> bool: ...


class NotTold(Exception):
    """Final: nothing will come of asking again."""


class OrderUnknown(Exception):
    """The amount is the order's to say, and the order is not here yet."""


def known(conn: Connection, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Which of these (source, id) the journal has, with their data."""
    if not keys:
        return {}
    found = conn.execute(_KNOWN, columns(("source", "event_id"), ("text", "text"), sorted(keys)))
    return {(source, event_id): data for source, event_id, data in found}


class Desk:
    """Turns answers into the events that are not known yet, with what the journal and the orders know of them."""

    def __init__(self, conn: Connection, told: Sequence[tuple[str, Payment]]) -> None:
        self.events: list[Envelope] = []
        keys = {
            (_source(provider), f"{t.payment_id}:{step}")
            for provider, t in told
            for step in ("paid", "failed", "canceled", _refund(t))
        }
        self._known = known(conn, keys)
        silent = sorted({t.payment_id for _, t in told if _names_no_amount(t)})
        self._owed = {row.payment_id: row for row in conn.execute(_OWED, {"ids": array(silent, "text")})}

    def take(self, provider: str, told: Payment) -> None:
        """One answer; NotTold, OrderUnknown or EnvelopeError where it comes to no event."""
        paid = self._fact(provider, told, "paid")
        if told.awaits_deposit and paid is not None:
            raise NotTold(
                f"payment_reversed: {provider} had reported payment {told.payment_id} as paid and now waits for the "
                "deposit again; the order still counts it as paid: hold its parcels, and ask the customer to pay anew"
            )
        if told.captured_at is not None and paid is None:
            paid = self._capture(provider, told, told.captured_at)
        amount = told.refunded
        if told.refunded_at is not None and amount is None:
            amount = self._captured_before(told, paid)
        if told.refunded_at is not None and amount is not None:
            self._give_back(provider, told, told.refunded_at, amount)
        elif told.ended is not None and told.captured_at is None:
            step = "failed" if told.ended == "PaymentFailed" else "canceled"
            data = _present(code=told.code, message=told.message)
            self._add(provider, told, step, told.ended, told.ended_at, data)

    def _capture(self, provider: str, told: Payment, at: datetime) -> dict[str, Any]:
        amount, currency = told.captured, told.currency
        if amount is None:
            owed = self._owed.get(told.payment_id)
            if owed is None:
                raise OrderUnknown(f"waits for the order that names payment {told.payment_id}, to learn its amount")
            still = owed.total_amount - owed.elsewhere
            amount, currency = still if still > 0 else owed.amount or owed.total_amount, owed.currency
        data = _present(
            amount=f"{amount:f}",
            currency=currency,
            provider=provider,
            paymentMethod=told.method,
            receiptUrl=told.receipt_url,
        )
        paid = self._add(provider, told, "paid", "PaymentSucceeded", at, data)
        canceled = self._fact(provider, told, "canceled")
        if canceled is not None and told.captured is None:  # its bare word came first; all of it went back
            self._give_back(provider, told, at, amount)
        return paid

    def _captured_before(self, told: Payment, paid: dict[str, Any] | None) -> Decimal | None:
        """All that was captured of a payment, None if nothing was."""
        if paid is not None:
            return Decimal(paid["amount"])
        owed = self._owed.get(told.payment_id)
        return owed.amount if owed is not None and owed.paid_at is not None else None

    def _give_back(self, provider: str, told: Payment, at: datetime, amount: Decimal) -> None:
        self._add(provider, told, _refund(told), "PaymentRefunded", at, {"refundedAmount": f"{amount:f}"})

    def _fact(self, provider: str, told: Payment, step: str) -> dict[str, Any] | None:
        return self._known.get((_source(provider), f"{told.payment_id}:{step}"))

    def _add(
        self, provider: str, told: Payment, step: str, kind: str, at: datetime | None, data: dict[str, Any]
    ) -> dict[str, Any]:
        key = (_source(provider), f"{told.payment_id}:{step}")
        if key not in self._known:
            data = {"paymentId": told.payment_id, **data}
            if at is None:
                raise EnvelopeError("time", f"{provider} did not say when {told.payment_id} was {step}")
            event = Envelope(key[1], key[0], kind, at, told.order_number, data)
            event.body()
            self._known[key] = data
            self.events.append(event)
        return self._known[key]


def _names_no_amount(told: Payment) -> bool:
    captured = told.captured_at is not None and told.captured is None
    return captured or (told.refunded_at is not None and told.refunded is None)


def _refund(told: Payment) -> str:
    return "refunded:all" if told.refunded is None else f"refunded:{told.refunded:f}"


def _source(provider: str) -> str:
    return f"{provider}/api"


def _present(**fields: str | None) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
