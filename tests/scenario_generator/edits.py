"""Edits of an order: what it says of its customer and of where it goes, told anew by several systems of the shop.

Each field stands as the latest edit of it says: by time, then by (source, id). What the order was created with counts less
than any edit.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from events.envelope import Envelope

if TYPE_CHECKING:
    from tests.scenario_generator.story import Story, Thread

FIELDS: dict[str, Any] = {
    "customerSnapshot": {"name": "Jane"},
    "shippingAddress": {"address1": "2 Side St"},
    "notes": "ring twice",
    "customer": "cus-2",
}


def editing(story: Story) -> Thread:
    """One to four edits of some fields each, now and then at one time, or at a time before the one that was told last."""
    choices = story.choices
    for number in range(choices.pick((1, 1, 2, 3, 4))):
        names = [name for name in FIELDS if choices.chance(45)] or ["notes"]
        data = {name: FIELDS[name] for name in names}
        if "customer" in data:
            data["customer"] = f"cus-{number}"
        at = story.pen.now() - timedelta(seconds=choices.pick((0, 0, 0, 3600, 86_400)))
        if story.edits and choices.chance(20):
            at = story.edits[-1].time
        story.edits.append(story.pen.tell("OrderEdited", data, source=choices.pick(("shop", "console")), at=at))
        yield None


def standing(story: Story) -> dict[str, str]:
    """Field → the id of the event that it stands by; only what was edited."""
    return {name: told.id for name in FIELDS if (told := _latest(story, name)) is not None}


def customer(story: Story) -> str | None:
    """The customer as edited; the order is created without one."""
    told = _latest(story, "customer")
    return None if told is None else told.data["customer"]


def addressed_after_shipping(story: Story) -> bool:
    told = _latest(story, "shippingAddress")
    if told is None or story.canceled:
        return False
    left = [one.stand().shipped or one.stand().delivered for one in story.parcels if one.left]
    late = any(at is not None and at < told.time for at in left)
    if late:
        story.trait("the address edited after a parcel left")
    return late


def _latest(story: Story, name: str) -> Envelope | None:
    telling = [told for told in story.edits if name in told.data]
    if len(telling) > 1:
        story.trait("a field edited twice")
    return max(telling, key=lambda told: (told.time, told.source, told.id), default=None)
