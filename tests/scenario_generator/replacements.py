"""Replacements: a parcel that is out is given up for lost, and another is sent; now and then the first turns up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.scenario_generator.fulfillments import DELIVERED, report_arrival, sending

if TYPE_CHECKING:
    from tests.scenario_generator.parcels import Parcel
    from tests.scenario_generator.story import Story, Thread


def replacing(story: Story) -> Thread:
    """Of an order of which nothing was canceled or asked back: both would be about one item in two parcels."""
    choices = story.choices
    yield lambda: bool(_given_up(story))
    lost = choices.pick(_given_up(story))
    story.trait("a parcel replaced")
    story.replaced = lost.busy = True
    items = dict(lost.items) if choices.chance(60) else choices.part(lost.items)
    yield from sending(story, items, choices.pick(("delivered", "delivered", "stops")), replaces=lost.ref)
    if choices.chance(60):
        story.trait("a replaced parcel turned up again")
        report_arrival(story, lost)
        yield None
    lost.busy = False


def too_many(story: Story) -> bool:
    """True where living parcels hold more than was ordered, but for what replaces a parcel that is still out."""
    held, wanted = story.held_by_parcels(), story.wanted()
    for one in story.parcels:
        lost = next((other for other in story.parcels if other.ref == one.replaces), None)
        if lost is not None and one.living and lost.living and not lost.delivered:
            for item, count in one.items.items():
                held[item] -= min(count, lost.items.get(item, 0))
    found = any(held[item] > wanted[item] for item in held if item not in story.goods.digital)
    if found:
        story.trait("more sent than was ordered")
    return found


def _given_up(story: Story) -> list[Parcel]:
    if story.item_cancels or story.returns or story.replaced:
        return []
    out = (one for one in story.parcels if one.left and one.living and not one.delivered)
    return [one for one in out if not one.busy and not one.shared and one.step < DELIVERED]
