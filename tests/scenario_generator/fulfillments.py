"""Fulfillments that a warehouse reports under names of its own, and their carriers' scans.

What a parcel holds follows from what was told: the furthest step that lists items, else all of the
order's. Its times are the earliest told of the same fact. Where an explicit report and a scan tell
of one fact, the report is never the later one, so that both readings of "earliest" agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.scenario_generator.life import UNSTATED

if TYPE_CHECKING:
    from tests.scenario_generator.story import Story, Thread

STEPS = ("FulfillmentCreated", "FulfillmentPacked", "FulfillmentShipped", "FulfillmentDelivered")
CREATED, PACKED, SHIPPED, DELIVERED = range(4)
STATUSES = ("pending", "packed", "shipped", "delivered")
CARRIERS = ("CJ Logistics", "dhl", "Correios")
IDLE_SCANS = ("pending", "unknown")  # say nothing of where the parcel is
ROAD_SCANS = (
    "in_transit", "out_for_delivery", "ready_for_pickup", "delivery_delayed", "on_hold",
    "delivery_failed", "cancelled",
)  # fmt: skip
LATE_SCANS = ("in_transit", "delivery_failed", "return_to_sender")  # after delivery: contradictory


@dataclass
class Times:
    """The times of one fact: as reported, and as scanned."""

    reported: list[datetime] = field(default_factory=list)
    scanned: list[datetime] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.reported or self.scanned)

    def earliest(self) -> datetime:
        return min(self.reported or self.scanned)


@dataclass
class Parcel:
    """A fulfillment, as far as it has been told."""

    ref: str
    items: dict[str, int]
    carrier: str
    number: str | None  # a tracking number, where it has one
    step: int = -1  # the furthest told
    listed: int = -1  # the furthest told that lists items
    tracked: bool = False  # the number was told
    awaited: bool = False  # failed, but will be found: nobody sends its items again
    failed: bool = False
    shipped: Times = field(default_factory=Times)
    delivered: Times = field(default_factory=Times)

    @property
    def living(self) -> bool:
        return bool(self.delivered) or not self.failed

    @property
    def out(self) -> bool:
        return bool(self.shipped) and self.living and not self.delivered

    def status(self, canceled: bool) -> str:
        if self.delivered:
            return "delivered"
        if self.failed or (canceled and not self.shipped):
            return "failed"
        return STATUSES[self.step]

    def expected(self, canceled: bool) -> dict[str, Any]:
        shipped_at: Any = self.shipped.earliest() if self.shipped else None
        if self.delivered and not self.shipped:
            shipped_at = UNSTATED  # implied: the design does not say when
        return {
            "status": self.status(canceled),
            "items": dict(self.items),
            "shippedAt": shipped_at,
            "deliveredAt": self.delivered.earliest() if self.delivered else None,
        }


def sending(story: Story, items: dict[str, int], ending: str) -> Thread:
    """One parcel with these items; `ending`: delivered, stops, failed, found or prepared."""
    choices = story.choices
    parcel = story.new_parcel(items)
    last = {"delivered": DELIVERED, "prepared": choices.pick((CREATED, PACKED))}.get(ending)
    if last is None:
        last = choices.pick((SHIPPED, SHIPPED, SHIPPED, PACKED, CREATED))
    steps = [step for step in range(last) if choices.chance(60)] + [last]
    late = [step for step in range(last) if step not in steps and choices.chance(25)]
    if len(steps) <= last:
        story.trait("a step skipped")
    for place, step in enumerate(steps):
        _reach(story, parcel, step, first=not place)
        yield None
        yield from _chatter(story, parcel)
    if ending in ("failed", "found"):
        yield from _fail(story, parcel, found=ending == "found")
    if ending == "found":
        yield lambda: _fits(story, parcel)
        story.trait("delivered after it failed")
        _reach(story, parcel, DELIVERED, first=False, listing=False)
        parcel.awaited = False
        yield None
    for step in late:
        story.trait("a step told late")
        _report(story, parcel, step, _late_list(story, parcel, step))
        yield None
    if parcel.shipped.reported and choices.chance(10):
        story.trait("one step told twice")
        _report(story, parcel, SHIPPED, None)
        yield None
    if parcel.delivered and parcel.shipped and parcel.tracked and choices.chance(15):
        story.trait("contradictory scans after delivery")
        _scan(story, parcel, choices.pick(LATE_SCANS))
        yield None


def _reach(story: Story, parcel: Parcel, step: int, *, first: bool, listing: bool = True) -> None:
    """Tell a step for the first time, by a report or, where that can be, by a scan."""
    choices = story.choices
    if not first and parcel.tracked and step >= SHIPPED and choices.chance(50):
        movement = choices.pick(("picked_up", "in_transit"))
        _scan(story, parcel, "delivered" if step == DELIVERED else movement)
        return
    items = None
    whole = parcel.items == story.goods.to_ship
    if first:
        # What lists no items names the parcel only when it is created or shipped.
        must = not whole or step in (PACKED, DELIVERED)
        items = parcel.items if must or choices.chance(50) else None
    elif listing and choices.chance(30):
        items = parcel.items
        if choices.chance(30):
            items = choices.part(_within_reach(story, parcel))
    if items is None and parcel.listed < 0:
        story.trait("a parcel without items")
    if items is not None and items != parcel.items:
        story.trait("a later step lists other items")
    _report(story, parcel, step, items)


def _report(story: Story, parcel: Parcel, step: int, items: dict[str, int] | None) -> None:
    choices = story.choices
    data: dict[str, Any] = {"fulfillment": parcel.ref}
    if items is not None:
        data["items"] = listed(items)
        if step >= parcel.listed:
            parcel.items, parcel.listed = dict(items), step
    if parcel.number is not None and (parcel.tracked or choices.chance(65)):
        if not parcel.tracked or choices.chance(50):
            data |= {"carrier": parcel.carrier, "trackingNumber": parcel.number}
        parcel.tracked = True
    elif parcel.number is None and choices.chance(20):
        data["carrier"] = parcel.carrier
    at = None
    if step >= SHIPPED:
        at = _reported_at(story, parcel, step)
        (parcel.shipped if step == SHIPPED else parcel.delivered).reported.append(at)
    parcel.step = max(parcel.step, step)
    if story.canceled and step == CREATED:
        story.trait("created on a canceled order")
    story.pen.tell(STEPS[step], data, source="warehouse", at=at)


def _reported_at(story: Story, parcel: Parcel, step: int) -> datetime:
    choices, now = story.choices, story.pen.now()
    times = parcel.shipped if step == SHIPPED else parcel.delivered
    if not times:
        if step == SHIPPED and choices.chance(8):
            story.trait("shipped at a later time than delivered")
            return now + timedelta(hours=12)
        return now - timedelta(seconds=choices.pick((0, 0, 0, 900)))
    if times.reported and choices.chance(50):
        return max(now, times.earliest())
    return times.earliest() - timedelta(seconds=choices.pick((0, 300, 7200)))


def _scan(story: Story, parcel: Parcel, status: str) -> None:
    """A carrier's scan; it names the parcel by its number alone."""
    choices, at = story.choices, story.pen.now()
    if parcel.shipped:
        at = max(at, parcel.shipped.earliest())
    if status == "delivered":
        at = max(at, parcel.delivered.earliest()) if parcel.delivered else at
        parcel.delivered.scanned.append(at)
        parcel.step = DELIVERED
        story.trait("delivered by a scan")
    elif status in ("picked_up", "in_transit"):
        if not parcel.shipped:
            story.trait("shipped by a scan")
        parcel.shipped.scanned.append(at)
        parcel.step = max(parcel.step, SHIPPED)
    elif status == "return_to_sender" and not parcel.delivered:
        parcel.failed = True
        story.trait("failed by a scan")
    carrier = parcel.carrier
    if choices.chance(20):
        carrier = choices.pick((carrier.upper(), carrier.lower()))
    data = {"carrier": carrier, "trackingNumber": parcel.number, "status": status}
    story.pen.tell("TrackingUpdated", data, source="tracker", at=at, subject=False)


def _chatter(story: Story, parcel: Parcel) -> Thread:
    """Scans that change nothing: of no movement, or of a movement that is known already."""
    if not parcel.tracked or parcel.delivered:
        return
    if story.choices.chance(10):
        _scan(story, parcel, story.choices.pick(IDLE_SCANS))
        yield None
    if parcel.shipped and story.choices.chance(30):
        story.trait("a scan on the road")
        _scan(story, parcel, story.choices.pick(ROAD_SCANS))
        yield None


def _fail(story: Story, parcel: Parcel, *, found: bool) -> Thread:
    choices = story.choices
    parcel.awaited = found
    story.trait("a failed parcel")
    scanned = parcel.tracked and bool(parcel.shipped) and choices.chance(50)
    if scanned:
        _scan(story, parcel, "return_to_sender")
        yield None
    if not scanned or choices.chance(20):
        parcel.failed = True
        story.pen.tell("FulfillmentFailed", {"fulfillment": parcel.ref}, source="warehouse")
        yield None


def _fits(story: Story, parcel: Parcel) -> bool:
    free = story.unsent()
    return all(free.get(item, 0) >= count for item, count in parcel.items.items())


def _within_reach(story: Story, parcel: Parcel) -> dict[str, int]:
    """What the parcel may hold: what it holds, and what nobody else does."""
    reach = story.unsent(awaited=True)
    for item, count in parcel.items.items():
        reach[item] = reach.get(item, 0) + count
    return reach


def _late_list(story: Story, parcel: Parcel, step: int) -> dict[str, int] | None:
    """What a step lists that is told after further ones: anything, once one of those listed."""
    if story.choices.chance(50):
        return None
    if parcel.listed > step:
        story.trait("a late step lists what no longer holds")
        return story.choices.part(story.goods.to_ship)
    return parcel.items


def listed(items: dict[str, int]) -> list[dict[str, Any]]:
    """Items as they stand in an event."""
    return [{"item": item, "quantity": count} for item, count in items.items()]
