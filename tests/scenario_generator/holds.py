"""Holds of an order: what people hold and release, and what holds it by itself.

A hold stands from its time until a release of its name at that time or later. What nobody makes stands from the time of
its fact: a dispute that was not won, a reversal that left the order short, a refund of all that was captured, a parcel that
goes back to its sender.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.scenario_generator.payments import Payment
    from tests.scenario_generator.story import Story, Thread

NAMES = ("fraud", "fraud", "stock", "disputed", "refunded", "returned_to_sender")


def holding(story: Story) -> Thread:
    """Somebody holds the order and releases it, now and then what holds it by itself."""
    choices = story.choices
    for _ in range(choices.pick((1, 2, 2, 3, 4))):
        name = choices.pick(NAMES)
        held = choices.chance(60)
        at = story.pen.now() - timedelta(seconds=choices.pick((0, 0, 1, 3600)))
        data: dict[str, Any] = {"hold": name, "by": "staff"}
        if held and choices.chance(20):
            data["until"] = (at + timedelta(days=60)).isoformat()  # later than the life ends
        story.pen.tell("OrderHeld" if held else "OrderReleased", data, source="shop", at=at)
        (story.held if held else story.released).setdefault(name, []).append(at)
        story.trait("held" if held else "released")
        yield None


def standing(story: Story, at: datetime | None = None) -> list[str]:
    """The holds that stand at a time, by default at the end. (By then what has left is no matter of what is open.)"""
    if story.canceled:
        return []
    facts = _derived(story, story.unsent() if at is None else {"all": 1})
    found = []
    for name in {**facts, **story.held}:
        before = [time for time in story.held.get(name, ()) if at is None or time <= at]
        # A provider's second: what leaves within it may have left before.
        before += [time for time in facts.get(name, ()) if at is None or time + timedelta(seconds=1) <= at]
        released = [time for time in story.released.get(name, ()) if at is None or time <= at]
        if before and (not released or max(before) > max(released)):
            found.append(name)
    return found


def flags(story: Story) -> dict[str, bool]:
    now = standing(story)
    times = [one.stand().shipped or one.stand().delivered for one in story.parcels]
    left = [at for at in times if at is not None]
    found = {
        "held": any(name in story.held for name in now),
        "refunded": "refunded" in now,
        "returned_to_sender": "returned_to_sender" in now,
        "shipped_while_held": any(standing(story, at) for at in left),
    }
    for name, raised in found.items():
        if raised:
            story.trait(f"flagged {name}")
    return found


def _derived(story: Story, unsent: dict[str, int]) -> dict[str, list[datetime]]:
    found: dict[str, list[datetime]] = {}
    asked = [
        max(d.facts).time
        for one in story.payments
        for d in one.movements.disputes.values()
        if d.status in ("open", "lost")
    ]
    if asked:
        found["disputed"] = asked
    if story.short():
        found["payment_reversed"] = [one.reversed_at for one in story.payments if one.reversed_at is not None]
    if unsent and story.captured() and story.gone() >= story.captured():
        times = [*story.decisions.settled_at, *(at for one in story.payments for at in _went_back(one))]
        found["refunded"] = [max(times)]
    back = [at for one in story.parcels if (at := one.stand().returned) is not None]
    if back and unsent:
        found["returned_to_sender"] = back
    return found


def _went_back(payment: Payment) -> list[datetime]:
    """When each refund that stands was asked for, as far as known; of the sums, when the greatest was first told."""
    made = [
        min(one.requested) if one.requested else max(one.facts).time
        for one in payment.movements.refunds.values()
        if not one.failed
    ]
    most = max((total for _, total in payment.movements.reports), default=None)
    first = [min(time for time, total in payment.movements.reports if total == most)] if most is not None else []
    return made + first
