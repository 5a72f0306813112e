"""Items that come back, and their lifecycle: requested < approved < processing < rejected.

Completed and rejected contradict each other; the first to commit wins and the other is flagged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.dirty_tracking import CLEAN
from domain.state_machine import build, steps
from domain.words import Worded


class Status(Worded):
    """Stages of a return."""

    REQUESTED = "requested", "asked for; holds its items"
    APPROVED = "approved", "accepted by staff or the policy"
    PROCESSING = "processing", "on its way back, or being checked"
    REJECTED = "rejected", "final; holds nothing"
    COMPLETED = "completed", "final; its items are returned"


S = Status
LIFECYCLE = (
    # event                      from                                       to
    ("ReturnApproved", (S.REQUESTED,), S.APPROVED),
    ("ReturnProcessingStarted", (S.REQUESTED, S.APPROVED), S.PROCESSING),
    ("ReturnRejected", (S.REQUESTED, S.APPROVED, S.PROCESSING), S.REJECTED),
    ("ReturnCompleted", (S.PROCESSING,), S.COMPLETED),
)
MACHINE = build(Status, LIFECYCLE)
CUSTOMER = "customer"  # who withdraws a return, as `by` of its rejection says


@dataclass(slots=True, eq=False)
class Return:
    """One return of an order; money in the order's currency, major units."""

    id: str
    order_id: str
    reference: str | None
    reason: str
    status: str = S.REQUESTED
    for_staff: bool = False  # outside the window, or the policy says so: no step starts by itself
    refund_amount: Decimal | None = None
    refund_stated: bool = False  # somebody said the amount; else it follows from the lines
    personal_id: str | None = None
    requested_at: datetime | None = None
    completed_at: datetime | None = None
    stated_amount: Decimal | None = None  # what was said, where that was more than may be given back
    carrier: str | None = None  # these follow from what was told of its parcel (domain/return_parcels.py)
    tracking_number: str | None = None
    tracking_status: str | None = None
    received_at: datetime | None = None  # when the warehouse had it, by the earliest word or scan
    rejected_by: str | None = None  # by the earliest rejection that was told
    facts: dict[str, Any] | None = (
        None  # what is kept of events besides (domain/return_handlers.py, domain/return_parcels.py)
    )
    created_at: datetime | None = None
    change_state: int = CLEAN
    shares: list[ReturnItem] = field(default_factory=list)
    counted: int = 0  # as what the order's goods have counted its shares
    to_watch: bool = False  # its parcel's number is another now: whoever follows parcels is to look for it
    worth: Decimal = Decimal(0)  # how much of what is due back the order's goods have counted for it

    def withdrawn(self) -> bool:
        """True where it was the customer who rejected it."""
        return self.status == S.REJECTED and self.rejected_by == CUSTOMER


@dataclass(slots=True, eq=False)
class ReturnItem:
    """So many of one order item in one return."""

    id: str
    order_id: str
    return_id: str
    order_item_id: str
    quantity: int
    change_state: int = CLEAN


STEPS = steps(MACHINE, Return)
