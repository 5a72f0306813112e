"""apply's part for parcels: fulfillments, their items, and carriers' scans.

What hangs on parcels is counted anew from them after each event, so that it does not depend on the
order they came in: the items' shipped, delivered and returned quantities, and what is left in the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain import fulfillment
from domain.fulfillment import RANK, Fulfillment, FulfillmentItem, Status
from domain.ids import bare, derived
from domain.machine import fire
from domain.order import Order, OrderItem
from domain.outcome import APPLIED, DONE, Outcome, dead, ignored, parked
from domain.parts import NEW, drop, touch
from domain.policy import Context
from domain.returns import Status as ReturnStatus
from events.catalogue import Event, Share, tracking_key
from events.envelope import OWN_SOURCE

# Scans that only a parcel on the move can have.
MOVEMENT = frozenset(("picked_up", "in_transit", "out_for_delivery", "ready_for_pickup", "delivery_failed"))


def named(parts: Sequence[Any], name: str) -> Any:
    """The part whose `reference` is `name`, else the one whose id it is, else None."""
    for part in parts:
        if part.reference == name:
            return part
    if own := bare(name):
        for part in parts:
            if part.id == own:
                return part
    return None


def match_items(order: Order, shares: Sequence[Share] | None) -> list[tuple[OrderItem, int]] | Outcome:
    """(item, quantity) for what an event lists; None means all of the order's. Dead where one is unknown."""
    if shares is None:
        return [(item, item.quantity) for item in order.items]
    found: dict[str, tuple[OrderItem, int]] = {}
    for share in shares:
        item = named(order.items, share.item)
        if item is None:
            known = ", ".join(i.reference or i.id for i in order.items[:5])
            return dead(
                "unknown_item",
                f"item {share.item}; order {order.order_number} has {known or 'none'}",
            )
        found[item.id] = (item, share.quantity + found.get(item.id, (item, 0))[1])
    return list(found.values())


def parcel_step(order: Order, event: Event, context: Context, waiting: Sequence[Event]) -> Outcome:
    """FulfillmentCreated, -Packed, -Shipped, -Delivered and -Failed."""
    data = event.data
    if order.canceled_at is None and not order.was_covered():
        return parked("not_paid")
    parcel = named(order.fulfillments, data.fulfillment)
    if event.type == "FulfillmentFailed":
        return _failed(order, event, parcel)
    shares = match_items(order, data.items)
    if isinstance(shares, Outcome):
        return shares
    if event.source == OWN_SOURCE and event.type == "FulfillmentCreated":
        return _planned(order, event, context)
    rank = RANK[event.type]
    if parcel is None:
        if data.items is None and event.type in ("FulfillmentPacked", "FulfillmentDelivered"):
            return parked("fulfillment_unknown")
        parcel = Fulfillment(
            derived(context.now, event.source, event.id, "fulfillment"),
            order.id,
            data.fulfillment,
            created_at=context.now,
            mark=NEW,
        )
        order.fulfillments.append(parcel)
        parcel.items_step = 0 if data.items is None else rank
        _list_items(order, parcel, shares, event, context)
    parcel.planned = False  # somebody drives it by its name: what it holds now is its own
    relisted = False
    if data.items is not None and rank > parcel.items_step:
        parcel.items_step = rank
        relisted = _list_items(order, parcel, shares, event, context)
    _name_parcel(parcel, data.carrier, data.trackingNumber, rank)
    touch(parcel)
    outcome = _move(order, event, parcel, event.type)
    return DONE if relisted and outcome.reason == "overtaken" else outcome


def tracking_updated(order: Order, event: Event, context: Context, waiting: Sequence[Event]) -> Outcome:
    """A carrier's scan: movement implies shipped, delivered implies all before it; the rest is timeline."""
    data = event.data
    key = tracking_key(data.carrier, data.trackingNumber)
    # By id: the last one's outcome is the event's, and a loaded order lists them in another sequence.
    tracked = sorted((f for f in order.fulfillments if key in f.parcels), key=lambda f: f.id)
    if not tracked:
        return parked("parcel_unknown")
    if data.status == "delivered":
        trigger = "FulfillmentDelivered"
    elif data.status == "return_to_sender":
        trigger = "FulfillmentFailed"
    elif data.status in MOVEMENT:
        trigger = "FulfillmentShipped"
    else:
        return DONE
    for parcel in tracked:
        parcel.planned = False
        touch(parcel)
        outcome = _move(order, event, parcel, trigger)
    if outcome is DONE:
        return Outcome(APPLIED, implied=trigger)
    if outcome.reason == "overtaken" and trigger == "FulfillmentShipped" and parcel.is_out():
        return DONE  # one more scan of a parcel on its way
    return outcome


def recount(order: Order, event: Event, context: Context) -> None:
    """Count anew what hangs on parcels and returns: the items' quantities, and what is left in the plan."""
    left: dict[str, bool] = {}  # parcel id → whether it arrived
    for parcel in order.fulfillments:
        if parcel.has_left():
            left[parcel.id] = parcel.status == Status.DELIVERED
    shipped: dict[str, int] = {}
    delivered: dict[str, int] = {}
    if left:
        for share in order.fulfillment_items:
            arrived = left.get(share.fulfillment_id)
            if arrived is not None:
                item_id = share.order_item_id
                shipped[item_id] = shipped.get(item_id, 0) + share.quantity
                if arrived:
                    delivered[item_id] = delivered.get(item_id, 0) + share.quantity
    returned: dict[str, int] = {}
    if order.returns:
        back = {r.id for r in order.returns if r.status == ReturnStatus.COMPLETED}
        for each in order.return_items:
            if each.return_id in back:
                returned[each.order_item_id] = returned.get(each.order_item_id, 0) + each.quantity
    for item in order.items:
        quantity = item.quantity
        gone, here, back_again = shipped.get(item.id, 0), delivered.get(item.id, 0), returned.get(item.id, 0)
        counted = (gone if gone < quantity else quantity, here if here < quantity else quantity, back_again)
        if counted != (item.shipped_quantity, item.delivered_quantity, item.returned_quantity):
            item.shipped_quantity, item.delivered_quantity, item.returned_quantity = counted
            touch(item)
    plan = order.plan()
    if plan is not None:
        shares = order.open_shares()
        _list_items(order, plan, shares, event, context)
        if not shares:
            drop(order.fulfillments, plan, order.gone)


def _planned(order: Order, event: Event, context: Context) -> Outcome:
    """Our own follow-up: start a plan with all that is open, unless that was done or is no longer due."""
    if order.canceled_at is not None or order.plan() is not None or not order.open_shares():
        return ignored("overtaken")
    order.fulfillments.append(
        Fulfillment(
            bare(event.data.fulfillment) or derived(context.now, event.source, event.id, "fulfillment"),
            order.id,
            None,
            planned=True,
            created_at=context.now,
            mark=NEW,
        )
    )
    return DONE


def _failed(order: Order, event: Event, parcel: Fulfillment | None) -> Outcome:
    if parcel is None:
        return parked("fulfillment_unknown")
    parcel.planned = False
    touch(parcel)
    return _move(order, event, parcel, event.type)


def _move(order: Order, event: Event, parcel: Fulfillment, trigger: str) -> Outcome:
    """Record the fact with its time, then let the machine stand at the furthest step."""
    before = parcel.status
    if trigger == "FulfillmentShipped":
        parcel.shipped_at = min(parcel.shipped_at or event.time, event.time)
    elif trigger == "FulfillmentDelivered":
        parcel.delivered_at = min(parcel.delivered_at or event.time, event.time)
    elif trigger == "FulfillmentFailed":
        parcel.failed_at = min(parcel.failed_at or event.time, event.time)
    moved = fire(fulfillment.STEPS, parcel, trigger)
    if order.canceled_at is not None:
        if parcel.has_left():
            return ignored("shipped_after_cancel")
        fire(fulfillment.STEPS, parcel, "OrderCanceled")
        return ignored("order_canceled") if trigger != "FulfillmentFailed" else DONE
    if trigger == "FulfillmentDelivered" and before in (Status.PENDING, Status.PACKED):
        return Outcome(APPLIED, implied="FulfillmentShipped")
    if moved or (trigger == "FulfillmentCreated" and before == Status.PENDING):
        return DONE
    return ignored("overtaken")


def _name_parcel(parcel: Fulfillment, carrier: str | None, number: str | None, rank: int) -> None:
    """Who carries it: what the furthest step says; of two in one step, the same one in either order."""
    if carrier is not None and (rank, carrier) > (parcel.carrier_step, parcel.carrier or ""):
        parcel.carrier, parcel.carrier_step = carrier, rank
    if number is not None and (rank, number) > (parcel.tracking_step, parcel.tracking_number or ""):
        parcel.tracking_number, parcel.tracking_step = number, rank
    if number is not None and carrier is not None:
        key = tracking_key(carrier, number)
        if key not in parcel.parcels:
            parcel.parcels = sorted([*parcel.parcels, key])


def _list_items(
    order: Order,
    parcel: Fulfillment,
    shares: list[tuple[OrderItem, int]],
    event: Event,
    context: Context,
) -> bool:
    """Make the parcel hold exactly `shares`; whether that changed anything."""
    changed = False
    wanted = {item.id: quantity for item, quantity in shares}
    for share in [s for s in order.fulfillment_items if s.fulfillment_id == parcel.id]:
        quantity = wanted.pop(share.order_item_id, None)
        if quantity is None:
            drop(order.fulfillment_items, share, order.gone)
            changed = True
        elif quantity != share.quantity:
            share.quantity = quantity
            touch(share)
            changed = True
    for item_id, quantity in wanted.items():
        share_id = derived(context.now, event.source, event.id, parcel.id, item_id)
        order.fulfillment_items.append(FulfillmentItem(share_id, order.id, parcel.id, item_id, quantity, NEW))
        changed = True
    return changed
