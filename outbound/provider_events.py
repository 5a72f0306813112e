"""Events of what a provider told of one refund or dispute, whoever asked it and why.

One event per refund and status: whoever asks again tells the same.
"""

from __future__ import annotations

from datetime import datetime

from events.catalogue import NEWEST, PaymentDisputed, PaymentRefunded
from events.envelope import Envelope
from events.refunds import RefundFailed
from providers.movements import CAME_TO_NOTHING, Dispute, RefundMovement


def refund_event(source: str, own_id: str, subject: str | None, movement: RefundMovement, time: datetime) -> Envelope:
    """The event of one refund as its provider knows it; `own_id` names the event, `subject` its order."""
    failed = movement.status in CAME_TO_NOTHING
    kind = RefundFailed.__name__ if failed else PaymentRefunded.__name__
    about = {"code": movement.code, "message": movement.message} if failed else {"status": movement.status}
    data = {
        "paymentId": movement.payment_id,
        "refund": movement.refund_id,
        "amount": f"{movement.amount:f}",
        "requestedAt": movement.time.isoformat(),
        **{name: value for name, value in about.items() if value is not None},
    }
    return Envelope(own_id, source, kind, time, subject, data, NEWEST.get(kind, 1))


def dispute_event(source: str, own_id: str, name: str, subject: str | None, told: Dispute, time: datetime) -> Envelope:
    """The event of one dispute as its provider knows it; `name` is the id that we know it by."""
    kind = PaymentDisputed.__name__
    ended = told.outcome if told.outcome in ("inquiry", "won", "lost") else None
    about = {
        "dispute": name,
        "amount": None if told.amount is None else f"{told.amount:f}",
        "reason": told.reason,
        "outcome": ended,
    }
    data = {"paymentId": told.payment_id, **{field: value for field, value in about.items() if value is not None}}
    return Envelope(own_id, source, kind, time, subject, data, NEWEST.get(kind, 1))
