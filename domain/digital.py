"""Lines that need no shipping, such as licences and vouchers: delivered as soon as their order is paid.

What of them has arrived follows from the order's payments and its cancel, so a payment that arrives late delivers late.
They are in no plan and keep no cancel from happening; only a return that holds some does. A parcel that lists such a line
shows it, and moves nothing of it.

    digital   True   where the order has such lines: others are spared the look
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from domain.dues import facts_of

if TYPE_CHECKING:
    from domain.order import Order

DIGITAL = "digital"


def note_digital(order: Order) -> None:
    """Note that some of the order's lines need no shipping."""
    facts_of(order)[DIGITAL] = True


def has_digital(order: Order) -> bool:
    """True where some of the order's lines need no shipping."""
    return order.facts is not None and DIGITAL in order.facts


def deliver(order: Order) -> None:
    """Let the lines that need no shipping be delivered while the order is paid and not canceled, else not."""
    goods, reached = order.goods(), order.canceled_at is None and order.was_covered()
    for item in order.items:
        if not item.requires_shipping:
            quantity = item.wanted() if reached else 0
            if item.arrived != quantity:
                item.sent = item.arrived = item.ever = quantity
                goods.changed[item.id] = item


def delivered_at(order: Order) -> datetime | None:
    """The time at which such lines were delivered: with the last payment, or when an order that costs nothing was placed."""
    return max((t.paid_at for t in order.transactions if t.paid_at is not None), default=order.placed_at)


def held_by_returns(order: Order) -> bool:
    """True where a return holds some of such a line, open or completed: the order is not canceled past it."""
    return has_digital(order) and any(item.claimed and not item.requires_shipping for item in order.items)
