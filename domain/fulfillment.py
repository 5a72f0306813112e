"""Items that ship together, and their lifecycle.

Facts are recorded in whatever order they come; the status is the furthest step they imply, and
delivered beats failed. A *plan* is the fulfillment that a paid order starts by itself: it holds
whatever no other living fulfillment has, shrinks as parcels are reported, and disappears when empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from domain.dirty_tracking import CLEAN
from domain.state_machine import build, steps
from domain.words import Worded


class Status(Worded):
    """Stages of a fulfillment."""

    PENDING = "pending", "known; nothing happened yet"
    PACKED = "packed", "ready to leave"
    SHIPPED = "shipped", "on its way"
    DELIVERED = "delivered", "final"
    FAILED = "failed", "will not arrive, or its order was canceled; its items are open again"


S = Status
LIFECYCLE = (
    # event                    from                                          to            guard on Fulfillment
    ("FulfillmentPacked", (S.PENDING,), S.PACKED),
    ("FulfillmentShipped", (S.PENDING, S.PACKED), S.SHIPPED),
    ("FulfillmentShipped", (S.FAILED,), S.SHIPPED, "never_reported_failed"),  # after a cancel
    ("FulfillmentDelivered", (S.PENDING, S.PACKED, S.SHIPPED, S.FAILED), S.DELIVERED),
    ("FulfillmentFailed", (S.PENDING, S.PACKED, S.SHIPPED), S.FAILED),
    ("OrderCanceled", (S.PENDING, S.PACKED), S.FAILED),
)
MACHINE = build(Status, LIFECYCLE)
_LEFT = frozenset((S.SHIPPED, S.DELIVERED))

# How far along a step is: what a later step says about items and parcel counts more.
RANK = {
    "FulfillmentCreated": 1,
    "FulfillmentPacked": 2,
    "FulfillmentShipped": 3,
    "FulfillmentDelivered": 4,
}


@dataclass(slots=True, eq=False)
class Fulfillment:
    """One parcel or plan of an order. The `*_step` fields are RANKs; 0 is not said yet."""

    id: str
    order_id: str
    reference: str | None
    status: str = S.PENDING
    planned: bool = False
    carrier: str | None = None
    carrier_step: int = 0
    tracking_number: str | None = None
    tracking_step: int = 0
    parcels: list[str] = field(default_factory=list)  # every tracking key ever named for it
    items_step: int = 0
    shipped_at: datetime | None = None  # the earliest that was reported, not implied
    delivered_at: datetime | None = None
    failed_at: datetime | None = None
    created_at: datetime | None = None
    change_state: int = CLEAN
    shares: dict[str, FulfillmentItem] = field(default_factory=dict)  # by order item id
    counted: int = 0  # as what the order's goods have counted its shares

    def never_reported_failed(self) -> bool:
        """Guard: it failed only because its order was canceled."""
        return self.failed_at is None

    def lives(self) -> bool:
        """Not failed: it holds its items."""
        return self.status != S.FAILED

    def is_out(self) -> bool:
        """On its way: neither arrived nor failed."""
        return self.status == S.SHIPPED

    def has_left(self) -> bool:
        """On its way, or arrived."""
        return self.status in _LEFT


@dataclass(slots=True, eq=False)
class FulfillmentItem:
    """So many of one order item in one fulfillment."""

    id: str
    order_id: str
    fulfillment_id: str
    order_item_id: str
    quantity: int
    change_state: int = CLEAN


STEPS = steps(MACHINE, Fulfillment)
