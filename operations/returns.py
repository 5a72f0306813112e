"""Returns as people decide about them besides their steps: withdrawn by the customer, received at the warehouse."""

from __future__ import annotations

from typing import Any

from domain.ids import format_id
from domain.order import Order
from domain.returns import CUSTOMER, Return, Status
from journal.commands import Step
from operations.corrections import CorrectionRefused


def withdraw(order: Order, back: Return, note: str | None = None) -> Step | None:
    """The event by which the customer withdraws a return of a locked order; None where that was done.

    Errors: CorrectionRefused once it was received, completed, or rejected by staff.
    """
    name = _name(back)
    if back.withdrawn():
        return None
    if back.status in (Status.COMPLETED, Status.REJECTED):
        raise CorrectionRefused(
            f"return {name} is {back.status}; it cannot be withdrawn any more", returnStatus=back.status
        )
    if back.received_at is not None:
        raise CorrectionRefused(
            f"return {name} was received at {back.received_at.isoformat()}; it cannot be withdrawn any more",
            receivedAt=back.received_at,
        )
    return _step("ReturnRejected", order, back, by=CUSTOMER, note=note)


def receive(order: Order, back: Return, by: str, suffix: str = "") -> Step | None:
    """The event that says that a return of a locked order was received; None where that is known."""
    return None if back.received_at is not None else _step("ReturnReceived", order, back, suffix, by=by)


def _step(kind: str, order: Order, back: Return, suffix: str = "", **data: Any) -> Step:
    told = {"return": _name(back), **{name: value for name, value in data.items() if value is not None}}
    return Step(kind, order.order_number, told, suffix)


def _name(back: Return) -> str:
    return back.reference or format_id("returns", back.id)
