"""Traits of a life besides its events, which follow from what it came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.scenario_generator.confirmations import is_confirmed

if TYPE_CHECKING:
    from tests.scenario_generator.story import Story


def name_traits(story: Story, expected: dict[str, Any]) -> None:
    """Name the traits of a life that follow from its end."""
    captured = [one for one in story.payments if one.captured]
    paid, total = story.captured(), story.goods.total
    if not total:
        story.trait("a total of 0")
    if story.goods.tax:
        story.trait("tax by line" if story.goods.line_tax else "tax")
    if not story.goods.ordered:
        story.trait("no items")
    if story.goods.digital:
        story.trait("some lines need no shipping" if story.goods.to_ship else "nothing needs shipping")
        story.trait(f"digital, and {expected['status']}")
    if len(captured) > 1 and all(one.captured < total for one in captured) and paid >= total:
        story.trait("several payments pay together")
    if paid > total:
        story.trait("overpaid")
    if any(one.lost for one in story.payments):
        story.trait("lost in a dispute")
    for flag in ("over_refunded", "refund_failed"):
        if expected["flags"][flag] is True:
            story.trait(flag)
    if expected["flags"].get("underpaid"):
        story.trait("underpaid for good")
    if any(one.reversed_at and one.captured for one in story.payments):
        story.trait("reversed, and paid anew")
    if story.short() is True and story.covered():
        story.trait("short of what was reversed")
        if story.shipped() != dict.fromkeys(story.goods.ordered, 0):
            story.trait("shipped, and the money reversed")
    if expected["plan"]:
        story.trait("something left to send")
    if sum(one.living for one in story.parcels) > 1:
        story.trait("a split shipment")
    if sum(one.completed for one in story.returns) > 1:
        story.trait("several returns completed")
    if expected["status"] == "returned" and is_confirmed(story):
        story.trait("returned after it was confirmed")
    story.trait(f"in {story.goods.currency}")
