"""The weight of an event, before it is folded: one for each line of its order that it is about.

What a batch does grows with the lines that its events list, and one that lists none of a parcel's or a return's
items is about all of them. So a batch is bounded by lines, not only by events.
"""

from __future__ import annotations

from typing import Any

from domain.order import Order
from events.catalogue import (
    AnyEvent,
    FulfillmentCreated,
    FulfillmentDelivered,
    FulfillmentPacked,
    FulfillmentShipped,
    OrderCreated,
    ReturnRequested,
)

_MOVED = 16  # lines that are moved in the time in which one is listed, and stored


def weight(order: Order, event: AnyEvent) -> int:
    """The number of lines of its order that an event lists, or what is as much work; at least one."""
    body: Any = event.data  # of one of the types below; asked by its type, since it is asked of every event
    kind = type(body)
    if kind in _LISTING:
        listed = body.items
        return len(order.items if listed is None else listed) or 1
    if kind in _MOVING:
        listed = body.items
        return 1 + len(order.items) // _MOVED if listed is None else len(listed)
    return 1


_LISTING = frozenset((OrderCreated, FulfillmentCreated, FulfillmentShipped, ReturnRequested))
_MOVING = frozenset((FulfillmentPacked, FulfillmentDelivered))  # of a parcel that exists


def is_large(order: Order) -> bool:
    """True where an order has so many parts that loading it alone holds up others."""
    return sum(len(parcel.shares) for parcel in order.fulfillments) + sum(len(r.shares) for r in order.returns) > LARGE


LARGE = 5_000  # parts: some 50 ms to load
