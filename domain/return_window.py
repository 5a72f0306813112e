"""The time in which items may come back, and the returns that wait for a person instead of starting by themselves."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from domain.digital import delivered_at
from domain.order import Order, OrderItem
from domain.policy import Policy


def waits_for_staff(order: Order, items: Collection[OrderItem], asked: datetime, policy: Policy) -> bool:
    """True where no step of a return of these items starts by itself: the policy says so, or it was asked too late."""
    return policy.returns != "auto" or return_window_closed(order, items, asked, policy) is not None


def return_window_closed(
    order: Order, items: Collection[OrderItem], asked: datetime, policy: Policy
) -> datetime | None:
    """The time at which the return window of these items closed, counted from the last parcel that brought any, or the payment; None if it has not."""
    if policy.return_window is None:
        return None
    goods = order.goods()
    times = (goods.brought(item) if item.requires_shipping else delivered_at(order) for item in items)
    arrived = [at for at in times if at is not None]
    if not arrived:
        return None
    closes = max(arrived) + policy.return_window
    return closes if asked > closes else None
