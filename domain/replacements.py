"""Replacements: parcels that are sent in place of others which have not arrived, though nobody says that those failed."""

from __future__ import annotations

from collections import Counter

from domain.fulfillment import Status
from domain.order import Order


def holds_too_many(order: Order) -> bool:
    """True where parcels hold more of a line than was ordered, beyond what replaces a parcel that has not arrived.

    Once the one that was given up for lost turns up after all, both have brought the items.
    """
    goods = order.goods()
    if not goods.over:
        return False
    spare: Counter[str] = Counter()  # by line: so many are in a replacement and in what it replaces
    for (lost_id, item_id), quantity in _replaced(order).items():
        lost = next(parcel for parcel in order.fulfillments if parcel.id == lost_id)
        share = lost.shares.get(item_id)
        if share is not None:
            spare[item_id] += min(quantity, share.quantity)
    return any(item.taken - spare[item.id] > item.wanted() for item in order.items)


def _replaced(order: Order) -> Counter[tuple[str, str]]:
    """(the parcel that is still out, line) → so many of it are in living replacements."""
    found: Counter[tuple[str, str]] = Counter()
    for parcel in order.fulfillments:
        if parcel.replaces is None or not parcel.lives():
            continue
        lost = order.goods().parcel(parcel.replaces)
        if lost is not None and lost is not parcel and lost.lives() and lost.status != Status.DELIVERED:
            for item_id, share in parcel.shares.items():
                found[lost.id, item_id] += share.quantity
    return found
