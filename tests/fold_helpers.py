"""Folds a life in memory, as the drain folds one order, and tells the state as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from domain.edits import EDITS
from domain.fold import Fold
from domain.order import Order
from domain.outcome import PARKED
from domain.policy import Context, Policy
from events.catalogue import NAMES_PERSONAL, PERSONAL_FIELDS, Event, decode, payment_key, tracking_key
from events.envelope import Envelope

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def an_event(envelope: Envelope, seq: int = 0) -> Event:
    """An envelope, decoded to its event; of personal fields it names the row, as the journal lets it."""
    data = envelope.data
    if envelope.type in NAMES_PERSONAL and (fields := sorted(data.keys() & set(PERSONAL_FIELDS))):
        data = {**data, "personal": f"row of {envelope.id}", "personalFields": fields}
    body = decode(envelope.type, envelope.version, envelope.subject, data)
    return Event(seq, envelope.source, envelope.id, envelope.type, envelope.time, envelope.subject, body)


def fold_events(arrivals: Sequence[Envelope], returns: str = "auto") -> Fold:
    """Fold deliveries of one order: repeated ids are dropped at the door, as the journal does."""
    *_, made = fold_steps(arrivals, returns)
    return made


def fold_steps(arrivals: Sequence[Envelope], returns: str = "auto") -> Iterator[Fold]:
    """The fold of one order before any delivery, after each, and once what still waits is known; one and the same object.

    An event without a subject waits until some event of the order names its payment or parcel.
    """
    order = Order("00000000-0000-7000-8000-000000000000", "", 0)
    made = Fold(order, Context(NOW, Policy(returns=returns)))
    yield made
    known: set[str] = set()
    early: list[Event] = []
    seen: set[tuple[str, str]] = set()
    for seq, envelope in enumerate(arrivals):
        if (envelope.source, envelope.id) in seen:
            continue
        seen.add((envelope.source, envelope.id))
        event = an_event(envelope, seq)
        keys = keys_of(event)
        if event.subject is None and not keys & known:
            early.append(event)
            continue
        order.order_number = event.subject or order.order_number
        if event.subject is not None and keys - known:
            known |= keys
            made.wait([e for e in early if keys_of(e) & known])
            early = [e for e in early if not keys_of(e) & known]
        made.take(event)
        made.retry()
        yield made
    made.wait(early)
    yield made


def keys_of(event: Event) -> set[str]:
    """The correlation keys an event names."""
    data = event.data
    keys = {payment_key(p) for p in getattr(data, "paymentIds", ())}
    if hasattr(data, "paymentId"):
        keys.add(payment_key(data.paymentId))
    if getattr(data, "carrier", None) and getattr(data, "trackingNumber", None):
        keys.add(tracking_key(data.carrier, data.trackingNumber))
    return keys


def state_of(order: Order) -> dict[str, Any]:
    """Statuses, quantities, amounts and times, by the outside's names; no ids of ours."""
    names = {item.id: item.reference for item in order.items}

    def shares(parts: list[Any], field: str, owner: str) -> dict[Any, int]:
        return {names[s.order_item_id]: s.quantity for s in parts if getattr(s, field) == owner}

    plan = next((f for f in order.fulfillments if f.planned), None)
    return {
        "status": str(order.status),
        "flags": list(order.flags),
        "items": {
            i.reference: {
                "shipped": i.shipped_quantity,
                "delivered": i.delivered_quantity,
                "returned": i.returned_quantity,
                "canceled": i.canceled_quantity,
            }
            for i in order.items
        },
        "transactions": {
            t.payment_id: {
                "status": str(t.status),
                "amount": t.amount if t.paid_at else None,
                "refundedAmount": t.refunded_amount,
                "paidAt": t.paid_at,
                "pendingKind": t.pending_kind,
                "pendingUntil": t.pending_until,
                "refundTarget": t.refund_target,
            }
            for t in order.transactions
        },
        "fulfillments": {
            f.reference: {
                "status": str(f.status),
                "items": shares(order.fulfillment_items, "fulfillment_id", f.id),
                "shippedAt": f.shipped_at,
                "deliveredAt": f.delivered_at,
                "carrier": f.carrier,
                "trackingNumber": f.tracking_number,
                "trackingStatus": f.tracking_status,
                "lastScanAt": f.last_scan_at,
                "lastScanDescription": f.last_scan_description,
            }
            for f in order.fulfillments
            if not f.planned
        },
        "returns": {
            r.reference: {
                "status": str(r.status),
                "items": shares(order.return_items, "return_id", r.id),
                "refundAmount": r.refund_amount,
                "carrier": r.carrier,
                "trackingNumber": r.tracking_number,
                "trackingStatus": r.tracking_status,
                "receivedAt": r.received_at,
                "rejectedBy": r.rejected_by,
            }
            for r in order.returns
        },
        "plan": shares(order.fulfillment_items, "fulfillment_id", plan.id) if plan else {},
        "customer": order.customer,
        "edits": {name: said[2] for name, said in (order.facts or {}).get(EDITS, {}).items() if name != "placed"},
        "confirmedAt": order.confirmed_at,
        "canceledAt": order.canceled_at,
    }


def fold(arrivals: Sequence[Envelope], returns: str = "auto") -> dict[str, Any]:
    """The state that `arrivals` end in, with the last outcome of each event and what still waits."""
    return told_of(fold_events(arrivals, returns))


def told_of(made: Fold) -> dict[str, Any]:
    """The state of a fold, with the last outcome of each event and what still waits."""
    outcomes = {s.event.id: (s.outcome.kind, s.outcome.reason) for s in made.settled}
    waiting = [e.id for e in made.waiting]
    assert all(outcomes.get(name, (PARKED,))[0] == PARKED for name in waiting)
    return {**state_of(made.order), "outcomes": outcomes, "waiting": waiting}
