"""The steps by which facts of a parcel are noted, and by which it comes to stand where they put it."""

from __future__ import annotations

from bisect import bisect_left
from copy import deepcopy

from domain import fulfillment
from domain.dirty_tracking import touch, touch_quietly
from domain.fulfillment import Fulfillment
from domain.order import Order
from domain.parcel_facts import (
    FIRST,
    NUMBERS,
    Facts,
    Number,
    Scanned,
    has_been_delivered,
    is_within,
    note_carrier,
    note_first,
    note_scan,
    place,
    time_of,
)
from domain.state_machine import step
from events.body import tracking_key
from events.catalogue import AnyEvent


def facts_of(parcel: Fulfillment) -> Facts:
    """The facts that are kept of a parcel; made where there are none yet."""
    if parcel.facts is None:
        parcel.facts = {}
    return parcel.facts


def stand(order: Order, parcel: Fulfillment) -> bool:
    """Let a parcel stand where its facts put it, and its order's goods follow. → whether its status moved."""
    found = parcel.weigh(order.canceled_at is not None)
    delivered = None if found.delivered is None else time_of(found.delivered)
    failed = None if found.failed is None else time_of(found.failed)
    was_delivered = parcel.was_delivered or delivered is not None
    if not was_delivered and parcel.facts is not None:
        was_delivered = has_been_delivered(parcel.facts)
    parcel.shipped_at = None if found.shipped is None else time_of(found.shipped)
    moved = parcel.stands != parcel.status
    goods = order.goods_kept
    if goods is None:
        same = delivered == parcel.delivered_at and failed == parcel.failed_at and found.returned == parcel.returned
        if not moved and same:
            return False  # most scans: nothing moves, and nobody has to count
        goods = order.goods()
    known, parcel.delivered_at, parcel.failed_at = parcel.delivered_at, delivered, failed
    parcel.returned, parcel.was_delivered = found.returned, was_delivered
    if moved:
        was_open = parcel.is_open()
        step(fulfillment.STEPS, parcel)
        parcel.to_watch |= parcel.is_open() and not was_open
    goods.count_parcel(parcel)
    if known is not None and known != delivered:
        goods.arrived_otherwise(parcel, known)
    return moved


def name_carrier(
    order: Order, parcel: Fulfillment, event: AnyEvent, carrier: str | None, number: str | None, rank: int
) -> bool:
    """Note who carries a parcel, as an event of that rank says. → whether that is what is shown now."""
    if carrier is None and number is None:
        return False
    at, before = place(event, rank), None if parcel.facts is None else parcel.number_key()
    shows_carrier, shows_number = note_carrier(facts_of(parcel), at, carrier, number)
    if shows_carrier and carrier is not None:
        parcel.carrier = carrier
        if number is not None:
            parcel.tracking_number = number
    if shows_number and number is not None:
        parcel.tracking_number = number
    if carrier is not None and number is not None:
        key = tracking_key(carrier, number)
        _enter(order, parcel, key, at[0])
        parcel.show_scan()
        parcel.to_watch |= shows_carrier and key != before  # a pair is shown as a whole, or not at all
    return shows_carrier or shows_number


def _enter(order: Order, parcel: Fulfillment, key: str, time: int) -> None:
    """Note that a number was named for a parcel. What is known of it by another parcel of the order is known of this one, too."""
    numbers: dict[str, Number] = facts_of(parcel).setdefault(NUMBERS, {})
    alone = len(order.fulfillments) == 1
    sharing = [] if alone else [each for each in order.tracked(key) if each is not parcel]
    known = numbers.get(key)
    if known is None:
        known = numbers[key] = deepcopy(facts_of(sharing[0])[NUMBERS][key]) if sharing else {}
        at = bisect_left(parcel.parcels, key)
        if parcel.parcels[at : at + 1] != [key]:
            parcel.parcels.insert(at, key)
            order.goods().track(parcel, key)
    if not note_first(known, time):
        return
    for other in sharing:
        note_first(facts_of(other)[NUMBERS][key], time)
        other.show_scan()
        touch(other)
        stand(order, other)


def take_scan(parcel: Fulfillment, event: AnyEvent, key: str, rank: int, scan: Scanned) -> bool:
    """Note a scan of one of a parcel's numbers. → whether it is of this parcel's life, and not of another with its number."""
    numbers = facts_of(parcel).setdefault(NUMBERS, {})
    number: Number = numbers.setdefault(key, {})
    at = place(event, rank)
    number.setdefault(FIRST, at[0])
    if note_scan(number, at, scan):
        parcel.show_scan()
        touch_quietly(parcel)
    return is_within(number, at[0])
