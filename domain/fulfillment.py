"""Items that ship together, and their lifecycle.

What is told of a parcel is kept as facts (domain/parcel_facts.py), in whatever order it comes; status, times and carrier
follow from them. A *plan* is the fulfillment that a paid order starts by itself: it holds whatever no other living
fulfillment has, shrinks as parcels are reported, and disappears when empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from domain.dirty_tracking import CLEAN
from domain.parcel_facts import (
    ESTIMATES,
    NUMBERS,
    PAIR,
    SCANS,
    Facts,
    Number,
    Weighed,
    has_been_delivered,
    last_estimate,
    last_scan,
    time_of,
    weighed,
)
from domain.state_machine import build, steps
from domain.words import Worded
from events.body import tracking_key


class Status(Worded):
    """Stages of a fulfillment."""

    PENDING = "pending", "known; nothing happened yet"
    PACKED = "packed", "ready to leave"
    SHIPPED = "shipped", "on its way"
    DELIVERED = "delivered", "arrived, as far as is known now"
    FAILED = "failed", "will not arrive, or goes back, or its order was canceled; its items are open again"


S = Status
LIFECYCLE = (
    # usual cause (what the facts come to decides)   from   to   guard on Fulfillment
    ("FulfillmentPacked", (S.PENDING,), S.PACKED, "is_packed"),
    ("FulfillmentShipped", (S.PENDING, S.PACKED, S.FAILED), S.SHIPPED, "is_on_its_way"),
    ("FulfillmentDelivered", (S.PENDING, S.PACKED, S.SHIPPED, S.FAILED), S.DELIVERED, "has_arrived"),
    ("FulfillmentFailed", (S.PENDING, S.PACKED, S.SHIPPED, S.DELIVERED), S.FAILED, "has_failed"),
    ("OrderCanceled", (S.PENDING, S.PACKED), S.FAILED, "was_called_off"),
    ("FulfillmentCorrected", (S.PACKED, S.SHIPPED, S.DELIVERED, S.FAILED), S.PENDING, "has_not_begun"),
    ("FulfillmentCorrected", (S.SHIPPED, S.DELIVERED, S.FAILED), S.PACKED, "is_packed"),
    ("FulfillmentCorrected", (S.DELIVERED,), S.SHIPPED, "is_on_its_way"),
)
MACHINE = build(Status, LIFECYCLE)
# As text: guards are asked several times per event, and to look a member up takes longer than to compare it.
PENDING, _PACKED, _SHIPPED, _DELIVERED, _FAILED = map(str, Status)
_LEFT = frozenset((S.SHIPPED, S.DELIVERED))
_OPEN = frozenset((S.PENDING, S.PACKED, S.SHIPPED))
NOT_LEFT = frozenset((S.PENDING, S.PACKED))

# How far along a step is: what a later step says about items counts more, and of two at one time about the carrier, too.
RANK = {
    "FulfillmentCreated": 1,
    "FulfillmentPacked": 2,
    "FulfillmentShipped": 3,
    "FulfillmentDelivered": 4,
    "FulfillmentTrackingChanged": 5,
}
# Likewise, of corrections.
STATUS_RANK = {status: rank for rank, status in enumerate((S.PENDING, S.PACKED, S.SHIPPED, S.FAILED, S.DELIVERED))}


@dataclass(slots=True, eq=False)
class Fulfillment:
    """One parcel or plan of an order."""

    id: str
    order_id: str
    reference: str | None
    status: str = S.PENDING
    planned: bool = False
    carrier: str | None = None
    tracking_number: str | None = None
    parcels: list[str] = field(default_factory=list)  # every tracking key ever named for it, sorted
    items_step: int = 0  # the RANK of the step that listed its items; 0: none did
    shipped_at: datetime | None = None  # the earliest that was told, not implied
    delivered_at: datetime | None = None  # of the delivery that stands
    failed_at: datetime | None = None  # of the failure that stands and was told
    facts: Facts | None = None  # what was told of it (domain/parcel_facts.py)
    tracking_status: str | None = None  # these follow from the latest scan of its number
    tracking_detail: str | None = None
    estimated_delivery: datetime | None = None
    last_scan_at: datetime | None = None
    last_scan_description: str | None = None
    last_scan_location: str | None = None
    replaces: str | None = None  # the name of the parcel that it is sent in place of
    created_at: datetime | None = None
    change_state: int = CLEAN
    shares: dict[str, FulfillmentItem] = field(default_factory=dict)  # by order item id
    counted: int = 0  # as what the order's goods have counted its shares
    stands: str = S.PENDING  # the status that its facts come to, which the machine is about to take
    was_delivered: bool = False  # at any time, whatever is known of it since; kept by the order's goods
    returned: int | None = None  # since when it is known that it goes back to its sender; likewise
    to_watch: bool = False  # its number is another now, or it is open again: whoever follows parcels is to look for it

    def number_key(self) -> str | None:
        """The key of the number that stands; None where nobody named a carrier and a number together."""
        if self.facts is None or PAIR not in self.facts or self.carrier is None or self.tracking_number is None:
            return None
        return tracking_key(self.carrier, self.tracking_number)

    def number(self) -> Number | None:
        """The facts of the number that stands, if one does."""
        facts = self.facts
        if facts is None or PAIR not in facts or (key := self.number_key()) is None:
            return None
        found: Number | None = facts[NUMBERS].get(key)
        return found

    def recall(self) -> None:
        """Take from its facts what is not stored besides; done once when it was loaded."""
        if self.facts:
            self.was_delivered = has_been_delivered(self.facts)
            self.returned = weighed(self.facts, self.number()).returned if self.status == _FAILED else None
        else:
            self.was_delivered = self.delivered_at is not None

    def weigh(self, canceled: bool) -> Weighed:
        """The weight of its facts. `stands` is what its status is to be: one that has not left ends with its canceled order."""
        facts = self.facts or {}
        found = weighed(facts, self.number())
        called_off = canceled and found.status in NOT_LEFT
        self.stands = _FAILED if called_off else found.status
        return found

    def show_scan(self) -> None:
        """Let what is shown of its carrier follow from the number that stands."""
        number = self.number()
        if number is not None and not (SCANS in number or ESTIMATES in number):
            number = None  # it was only named yet
        scan = last_scan(number) if number is not None else None
        self.estimated_delivery = last_estimate(number) if number is not None else None
        if scan is None:
            self.tracking_status = self.tracking_detail = None
            self.last_scan_at = self.last_scan_description = self.last_scan_location = None
            return
        self.last_scan_at = time_of(scan[0])
        self.tracking_status, self.tracking_detail, self.last_scan_description, self.last_scan_location = scan[4:]

    def told(self) -> tuple[object, ...]:
        """The values that subscribers are told of when a scan changes them; where it was last seen is no such news."""
        return (
            self.status, self.carrier, self.tracking_number, self.tracking_status, self.estimated_delivery,
            self.shipped_at, self.delivered_at,
        )  # fmt: skip

    def is_packed(self) -> bool:
        """Guard: it was told that it is ready to leave, and no more."""
        return self.stands == _PACKED

    def is_on_its_way(self) -> bool:
        """Guard: it was told that it left, and of neither its arrival nor its failure."""
        return self.stands == _SHIPPED

    def has_arrived(self) -> bool:
        """Guard: its delivery stands: nothing later was told that denies it."""
        return self.stands == _DELIVERED

    def has_failed(self) -> bool:
        """Guard: its failure, or its way back to the sender, stands."""
        return self.stands == _FAILED and self.failed_at is not None

    def was_called_off(self) -> bool:
        """Guard: its order was canceled before it left."""
        return self.stands == _FAILED and self.failed_at is None

    def has_not_begun(self) -> bool:
        """Guard: nothing that was told of it counts, or nothing was."""
        return self.stands == PENDING

    def lives(self) -> bool:
        """Not failed: it holds its items."""
        return self.status != _FAILED

    def is_open(self) -> bool:
        """A way before it: neither arrived nor failed, nor called off."""
        return self.status in _OPEN

    def is_out(self) -> bool:
        """On its way: neither arrived nor failed."""
        return self.status == _SHIPPED

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
