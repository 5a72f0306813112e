"""Fulfillments that a warehouse reports under names of its own, their carriers' scans, and what people correct of both.

What a parcel holds follows from what was told: the furthest step that lists items, else all of the
order's. Where it stands, `parcels` says.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.scenario_generator.parcels import FAR, MOVING, Parcel, Scan, normal

if TYPE_CHECKING:
    from tests.scenario_generator.story import Story, Thread

STEPS = ("FulfillmentCreated", "FulfillmentPacked", "FulfillmentShipped", "FulfillmentDelivered")
SAID = (None, "packed", "shipped", "delivered")
CREATED, PACKED, SHIPPED, DELIVERED, CHANGED = range(5)
CARRIERS = ("CJ Logistics", "dhl", "Correios")
IDLE_SCANS = ("pending", "unknown")  # say nothing of where the parcel is
ROAD_SCANS = (
    "in_transit", "out_for_delivery", "ready_for_pickup", "delivery_delayed", "on_hold",
    "delivery_failed", "cancelled",
)  # fmt: skip
LATE_SCANS = ("in_transit", "delivery_failed")  # after delivery: contradictory
STRANGERS = ("in_transit", "delivered", "return_to_sender")


def sending(story: Story, items: dict[str, int], ending: str, replaces: str | None = None) -> Thread:
    """One parcel with these items, in place of another or not; `ending`: delivered, stops, failed, found or prepared."""
    parcel = story.new_parcel(items)
    parcel.replaces = replaces
    yield from _send(story, parcel, ending)
    parcel.busy = False


def _send(story: Story, parcel: Parcel, ending: str) -> Thread:
    choices = story.choices
    last = {"delivered": DELIVERED, "prepared": choices.pick((CREATED, PACKED))}.get(ending)
    if last is None:
        last = choices.pick((SHIPPED, SHIPPED, SHIPPED, PACKED, CREATED))
    steps = [step for step in range(last) if choices.chance(60)] + [last]
    if parcel.replaces is not None and CREATED not in steps:
        steps.insert(0, CREATED)  # which alone says so
    late = [step for step in range(last) if step not in steps and choices.chance(25)]
    if len(steps) <= last:
        story.trait("a step skipped")
    amiss = choices.pick(MISHAPS) if story.fate == "lives" else None
    for place, step in enumerate(steps):
        _reach(story, parcel, step, first=not place)
        yield None
        yield from _chatter(story, parcel)
        if place == 0 and amiss in _ON_THE_WAY:
            yield from _ON_THE_WAY[amiss](story, parcel)
    if amiss in _AT_THE_END:
        yield from _AT_THE_END[amiss](story, parcel)
    if ending in ("failed", "found"):
        yield from _fail(story, parcel)
    if ending == "found":
        story.trait("delivered after it failed")
        _reach(story, parcel, DELIVERED, first=False, listing=False)
        yield None
    for step in late:
        story.trait("a step told late")
        _report(story, parcel, step, _late_list(story, parcel, step))
        yield None
    if "shipped" in parcel.said and choices.chance(10):
        story.trait("one step told twice")
        _report(story, parcel, SHIPPED, None)
        yield None
    if parcel.delivered and parcel.tracked and choices.chance(15):
        story.trait("contradictory scans after delivery")
        _scan(story, parcel, choices.pick(LATE_SCANS))
        yield None
    if parcel.tracked and story.fate == "lives" and choices.chance(8):
        yield from _a_stranger_has_the_number(story, parcel)


# -- what goes wrong -----------------------------------------------------------------------------------------


def _wrong_number(story: Story, parcel: Parcel) -> Thread:
    """Another's number was told for it, or another carrier; its own is told before, between or after a stranger's scans."""
    choices = story.choices
    right = parcel.number or f"{story.pen.order}-{parcel.ref}"
    if choices.chance(30) and parcel.tracked:
        story.trait("the carrier corrected")
        parcel.carrier = choices.pick([one for one in CARRIERS if one != parcel.carrier])
    else:
        parcel.number = f"typo-{right}"
        if parcel.tracked:
            story.trait("a number replaced")
        _change(story, parcel)
        yield None
        parcel.number = right
    if choices.chance(50):
        story.trait("corrected before a stranger's scans")
        wrong = (parcel.carrier, f"typo-{right}") if parcel.pairs[-1][4][1] != right else parcel.pairs[-1][4]
        _change(story, parcel)
        yield None
    else:
        wrong = max(parcel.pairs)[4]
    for _ in range(choices.number(1, 3)):
        story.trait("a stranger's scan by a number that was told by mistake")
        _told_by(story, wrong, choices.pick(("in_transit", "delivered", "return_to_sender")), story.pen.now())
        yield None
    _change(story, parcel)
    yield None


def _delivered_by_mistake(story: Story, parcel: Parcel) -> Thread:
    """Somebody clicks delivered, takes it back, and perhaps it is delivered for true."""
    choices = story.choices
    story.trait("delivered by mistake, and taken back")
    _report(story, parcel, DELIVERED, None if parcel.listed >= 0 else parcel.items)
    yield None
    _correct(story, parcel, choices.pick(("shipped", "shipped", "packed", "pending", "failed")))
    yield None
    if choices.chance(40):
        story.trait("corrected twice")
        _correct(story, parcel, choices.pick(("delivered", "shipped", "packed")))
        yield None
    if choices.chance(60):
        story.trait("delivered by mistake, then really")
        _reach(story, parcel, DELIVERED, first=False, listing=False)
        yield None


def _goes_back(story: Story, parcel: Parcel) -> Thread:
    """It goes back to its sender, at once or weeks after it was delivered; the same number then delivers there."""
    choices = story.choices
    if not parcel.tracked:
        parcel.number = parcel.number or f"{story.pen.order}-{parcel.ref}"
        _change(story, parcel)
        yield None
    if parcel.delivered:
        story.trait("delivered, then returned to its sender")
        story.pen.wait(days=choices.pick((1, 3)))
    else:
        story.trait("returned to its sender")
    _scan(story, parcel, "return_to_sender")
    yield None
    if choices.chance(60):
        story.trait("returned to its sender, then delivered there")
        _scan(story, parcel, "delivered")
        yield None


def _lost_after_all(story: Story, parcel: Parcel) -> Thread:
    """A person says that it failed, after it had been told that it arrived."""
    if not parcel.delivered:
        return
    story.trait("failed after it was delivered")
    _say_failed(story, parcel)
    yield None


MISHAPS = (None,) * 14 + ("wrong number", "mistake", "mistake", "goes back", "lost after all")
_ON_THE_WAY = {"wrong number": _wrong_number}
_AT_THE_END = {"mistake": _delivered_by_mistake, "goes back": _goes_back, "lost after all": _lost_after_all}


def _a_stranger_has_the_number(story: Story, parcel: Parcel) -> Thread:
    """Carriers give numbers out again: what is told of a stranger's parcel long before or after moves nothing."""
    choices = story.choices
    named = parcel.box.named if parcel.box is not None else []
    for _ in range(choices.number(1, 2)):
        story.trait("a number given out again")
        before = choices.chance(40)
        at = min(named) - timedelta(days=choices.pick((5, 300))) if before else max(named) + timedelta(days=300)
        _told_by(story, max(parcel.pairs)[4], choices.pick(STRANGERS), at)
        yield None


# -- what is told --------------------------------------------------------------------------------------------


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
    elif listing and not parcel.ever_delivered and choices.chance(30):
        items = parcel.items
        if choices.chance(30):
            items = choices.part(_within_reach(story, parcel))
    if items is None and parcel.listed < 0:
        story.trait("a parcel without items")
    if items is not None and items != parcel.items:
        story.trait("a later step lists other items")
    _report(story, parcel, step, items)


def report_arrival(story: Story, parcel: Parcel) -> None:
    """A parcel that nobody expected any more arrives."""
    _reach(story, parcel, DELIVERED, first=False, listing=False)


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
        elif choices.chance(20):
            story.trait("half of a carrier and number")
            data |= choices.pick(({"carrier": "another"}, {"trackingNumber": "another"}))
    elif choices.chance(20):
        data |= choices.pick(({"carrier": parcel.carrier}, {"trackingNumber": "half"}))
    if parcel.replaces is not None and step == CREATED:
        data["replaces"] = parcel.replaces
    at = _reported_at(story, parcel, step) if step >= PACKED else None
    told = story.pen.tell(STEPS[step], data, source="warehouse", at=at)
    _name(story, parcel, told, step)
    if (kind := SAID[step]) is not None:
        parcel.said.setdefault(kind, []).append(told.time)
    parcel.step = max(parcel.step, step)
    if story.canceled and step == CREATED:
        story.trait("created on a canceled order")


def _name(story: Story, parcel: Parcel, told: Any, step: int) -> None:
    """Note who carries it, as an event says."""
    carrier, number = told.data.get("carrier"), told.data.get("trackingNumber")
    place = (told.time, step + 1, told.source, told.id)
    if carrier is not None and number is not None:
        parcel.pairs.append((*place, (carrier, number)))
        story.box((carrier, number)).named.append(told.time)
    elif carrier is not None or number is not None:
        parcel.halves.append((*place, carrier, number))


def _change(story: Story, parcel: Parcel) -> None:
    """Its carrier and number are told anew, by themselves."""
    data = {"fulfillment": parcel.ref, "carrier": parcel.carrier, "trackingNumber": parcel.number}
    told = story.pen.tell("FulfillmentTrackingChanged", data, source="shop")
    _name(story, parcel, told, CHANGED)


def _correct(story: Story, parcel: Parcel, status: str) -> None:
    data = {"fulfillment": parcel.ref, "status": status, "by": "staff", "reason": "a mistake"}
    told = story.pen.tell("FulfillmentCorrected", data, source="shop")
    rank = ("pending", "packed", "shipped", "failed", "delivered").index(status)
    parcel.corrections.append((told.time, rank, told.source, told.id, status))
    story.trait(f"corrected to {status}")


def _reported_at(story: Story, parcel: Parcel, step: int) -> datetime:
    choices, now = story.choices, story.pen.now()
    known = parcel.said.get(SAID[step] or "", [])
    if not known:
        if step == SHIPPED and choices.chance(8):
            story.trait("shipped at a later time than delivered")
            return now + timedelta(hours=12)
        return now - timedelta(seconds=choices.pick((0, 0, 0, 900)))
    if choices.chance(50):
        return max(now, min(known))
    return min(known) - timedelta(seconds=choices.pick((0, 300, 7200)))


def _scan(story: Story, parcel: Parcel, status: str) -> None:
    """A carrier's scan of the number that stands; it names the parcel by that alone."""
    carrier, number = max(parcel.pairs)[4]
    if status == "delivered":
        parcel.step = DELIVERED
        story.trait("delivered by a scan")
    elif status in MOVING:
        if not parcel.stand().shipped:
            story.trait("shipped by a scan")
        parcel.step = max(parcel.step, SHIPPED)
    elif status == "return_to_sender" and not parcel.delivered:
        story.trait("failed by a scan")
    if story.choices.chance(20):
        carrier = story.choices.pick((carrier.upper(), carrier.lower()))
    _told_by(story, (carrier, number), status, story.pen.now())


def _told_by(story: Story, named: tuple[str, str], status: str, at: datetime) -> None:
    """A scan by a carrier and number."""
    data = {"carrier": named[0], "trackingNumber": named[1], "status": status}
    if story.choices.chance(30):
        data["description"] = f"seen {len(story.pen.events)}"
    told = story.pen.tell("TrackingUpdated", data, source="tracker", at=at, subject=False)
    scan = Scan(told.time, FAR.index(status), told.source, told.id, status, data.get("description"))
    story.boxes[normal(named)].scans.append(scan)


def _chatter(story: Story, parcel: Parcel) -> Thread:
    """Scans that change nothing: of no movement, or of a movement that is known already."""
    if not parcel.tracked or parcel.delivered:
        return
    if story.choices.chance(10):
        _scan(story, parcel, story.choices.pick(IDLE_SCANS))
        yield None
    if parcel.stand().shipped and story.choices.chance(30):
        story.trait("a scan on the road")
        _scan(story, parcel, story.choices.pick(ROAD_SCANS))
        yield None


def _fail(story: Story, parcel: Parcel) -> Thread:
    choices = story.choices
    story.trait("a failed parcel")
    scanned = parcel.tracked and parcel.stand().shipped is not None and choices.chance(50)
    if scanned:
        _scan(story, parcel, "return_to_sender")
        yield None
    if not scanned or choices.chance(20):
        _say_failed(story, parcel)
        yield None


def _say_failed(story: Story, parcel: Parcel) -> None:
    told = story.pen.tell("FulfillmentFailed", {"fulfillment": parcel.ref}, source="warehouse")
    parcel.said.setdefault("failed", []).append(told.time)


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
