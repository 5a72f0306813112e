"""Confirmations of a delivery, by the customer and by the timer: facts of the order, once the timer has confirmed it.

    confirmed   {"timer": time, "customer": time}   the timer's latest, the customer's earliest; each where there is one

The timer confirms what had arrived when it ran out: where a parcel arrived after that, its word counts no more, and it
starts anew. The customer's always counts. Of an order that the timer never confirmed nothing is kept here.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from domain.dues import facts_of
from domain.movements import moment

if TYPE_CHECKING:
    from domain.order import Order

CONFIRMED = "confirmed"
TIMER = "timer"  # who confirms, in an OrderConfirmed of the timer
TIMER_SINCE = 3  # the rules since which the timer's confirmations are told apart
_CUSTOMER = "customer"


def is_by_both(order: Order) -> bool:
    """True where the timer has confirmed the order."""
    return order.facts is not None and CONFIRMED in order.facts


def note_confirmation(order: Order, at: datetime, by_timer: bool) -> None:
    """Note a confirmation, and let the order's time follow."""
    facts = facts_of(order)
    known: dict[str, Any] | None = facts.get(CONFIRMED)
    if known is None:
        known = facts[CONFIRMED] = {} if order.confirmed_at is None else {_CUSTOMER: moment(order.confirmed_at)}
    time = moment(at)
    if by_timer:
        known[TIMER] = max(known.get(TIMER, time), time)
    else:
        known[_CUSTOMER] = min(known.get(_CUSTOMER, time), time)
    weigh_confirmation(order)


def weigh_confirmation(order: Order) -> bool:
    """Let the time of an order's confirmation follow its deliveries. → whether it is confirmed no more."""
    known = facts_of(order)[CONFIRMED]
    times = [datetime.fromisoformat(known[_CUSTOMER])] if _CUSTOMER in known else []
    if TIMER in known and timer_counts(order, timer := datetime.fromisoformat(known[TIMER])):
        times.append(timer)
    before, order.confirmed_at = order.confirmed_at, min(times, default=None)
    return before is not None and order.confirmed_at is None


def take_back_confirmation(order: Order) -> None:
    """Let nothing be confirmed any more: the order is canceled, and a confirmation that comes after that is not kept either."""
    order.confirmed_at = None
    if order.facts is not None:
        order.facts.pop(CONFIRMED, None)


def timer_counts(order: Order, at: datetime) -> bool:
    """True where nothing arrived at that time or after it."""
    last = order.last_delivery()
    return last is None or at > last
