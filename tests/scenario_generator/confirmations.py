"""Confirmations of a delivery, by the customer and by the timer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.scenario_generator.story import Story, Thread


def confirming(story: Story) -> Thread:
    """Somebody confirms what was delivered; now and then the timer ran out before the last parcel arrived."""
    arrived = [at for one in story.parcels if (at := one.stand().delivered) is not None]
    last = max(arrived, default=story.pen.now())  # where nothing needs shipping, no parcel arrives
    if arrived and story.choices.chance(25):
        story.trait("the timer ran out before the last parcel arrived")
        _by(story, "timer", last - timedelta(seconds=story.choices.pick((0, 1, 86_400))))
        yield None
    if story.choices.chance(25):
        return
    if story.returns:
        story.trait("confirmed after a return began")
    if story.choices.chance(30):
        story.trait("confirmed by the timer")
        _by(story, "timer", max(story.pen.now(), last + timedelta(seconds=1)))
    else:
        _by(story, "customer", story.pen.now())
    yield None


def is_confirmed(story: Story) -> bool:
    """True where the customer confirmed it, or the timer did after the last delivery that stands."""
    last = max((at for one in story.parcels if (at := one.stand().delivered) is not None), default=None)
    return any(who == "customer" or last is None or at > last for who, at in story.confirmations)


def _by(story: Story, who: str, at: datetime) -> None:
    story.pen.tell("OrderConfirmed", {"by": who}, source="timers" if who == "timer" else "shop", at=at)
    story.confirmations.append((who, at))
