"""Item cancels of an order: what was taken out of it again, as facts of the order.

    canceled   cancellation → {"at": [time, source, id], "items": {line id: quantity}, "stated": amount | null, "amount": amount}

`at` is the place of the earliest event that told of it, `amount` what it takes off the price, as the row of canceled
items and completed returns has it (domain/goods_row.py). Money is in the order's currency, major units.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.dues import CANCELED, facts_of
from domain.movements import moment, plain
from domain.order import Order, OrderItem
from events.catalogue import AnyEvent


def item_cancels(order: Order) -> dict[str, Any]:
    """The item cancels of an order by their names."""
    found: dict[str, Any] = order.facts.get(CANCELED, {}) if order.facts is not None else {}
    return found


def note_item_cancel(
    order: Order, event: AnyEvent, name: str, shares: list[tuple[OrderItem, int]], stated: Decimal | None
) -> None:
    """Note one more; the row gives it its amount."""
    facts_of(order).setdefault(CANCELED, {})[name] = {
        "at": place(event),
        "items": {item.id: quantity for item, quantity in shares},
        "stated": None if stated is None else plain(stated),
        "amount": "0",
    }


def place(event: AnyEvent) -> list[str]:
    """The place of an event among those that tell of one item cancel: the least stands."""
    return [moment(event.time), event.source, event.id]


def time_of(cancel: Mapping[str, Any]) -> datetime:
    """The time at which items were canceled."""
    return datetime.fromisoformat(cancel["at"][0])


def is_capped(order: Order) -> bool:
    """True where an item cancel gives back less than was stated."""
    cancels = item_cancels(order).values()
    return any(each["stated"] is not None and Decimal(each["stated"]) > Decimal(each["amount"]) for each in cancels)


def short_of(shares: list[tuple[OrderItem, int]]) -> OrderItem | None:
    """The first of these items of which fewer may be canceled; None where all may."""
    return next((item for item, quantity in shares if quantity > item.cancelable()), None)
