"""Item cancels: some of what was ordered is taken out of the order again, while it is in no parcel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.scenario_generator.fulfillments import listed
from tests.scenario_generator.goods import written

if TYPE_CHECKING:
    from tests.scenario_generator.story import Story, Thread


@dataclass
class ItemCancel:
    """Items that were canceled, as far as it has been told."""

    ref: str
    items: dict[str, int]
    at: datetime  # the earliest time told of it
    refund: Decimal | None = None  # as it is stated


def canceling_items(story: Story) -> Thread:
    """One to three item cancels, now and then all that is left; each may be told again, with another time."""
    choices = story.choices
    everything = choices.chance(25)
    for _ in range(choices.pick((1, 1, 2, 3))):
        yield lambda: bool(story.cancelable())
        most = story.cancelable()
        items = dict(most) if everything else choices.part(most)
        one = ItemCancel(f"cnl-{len(story.item_cancels)}", items, story.pen.now())
        data: dict[str, Any] = {"cancellation": one.ref, "items": listed(items), "by": "staff"}
        if choices.chance(35):
            one.refund = story.goods.coin * choices.number(0, int(story.goods.worth(items) * 2 / story.goods.coin) + 1)
            data["refundAmount"] = written(one.refund)
        if story.fate == "expired" and (items == story.cancelable() or story.would_cover(one)):
            return  # an order that nobody has to pay for does not expire, nor one that was canceled
        _traits(story)
        story.cancel_items(one)
        story.pen.tell("ItemsCanceled", data, source="shop", at=one.at)
        yield None
        if choices.chance(12):
            story.trait("an item cancel told again")
            again = story.pen.tell("ItemsCanceled", data, source="console", at=one.at + story.a_while())
            one.at = min(one.at, again.time)
            yield None


def _traits(story: Story) -> None:
    if story.canceled:
        story.trait("items canceled on a canceled order")
    elif not story.covered():
        story.trait("items canceled before they were paid")
    elif story.parcels:
        story.trait("items canceled beside a parcel")
    else:
        story.trait("items canceled once paid")
