"""Handlers of parcels' events: fulfillments, their items, and carriers' scans.

What hangs on parcels is counted anew from them after each event, so that it does not depend on the
order they came in: the items' shipped, delivered and returned quantities, and what is left in the plan.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Sequence

from domain import fulfillment
from domain.confirmations import is_by_both, weigh_confirmation
from domain.digital import has_digital
from domain.dirty_tracking import NEW, drop, touch
from domain.fulfillment import RANK, Fulfillment, FulfillmentItem, Status
from domain.ids import derived, uuid_of
from domain.order import Order, OrderItem
from domain.outcome import APPLIED, DONE, Outcome, Reason, dead, ignored, parked
from domain.policy import Context
from domain.return_window import waits_for_staff
from domain.returns import Status as ReturnStatus
from domain.state_machine import fire
from events.catalogue import AnyEvent, Event, FulfillmentFailed, ParcelStep, Share, TrackingUpdated, tracking_key
from events.envelope import OWN_SOURCE

# Once for all: to look a reason up in its enum costs 0.2 µs on Python 3.11, each time.
_ORDER_CANCELED = ignored(Reason.ORDER_CANCELED)
_OVERTAKEN = ignored(Reason.OVERTAKEN)
_SHIPPED_AFTER_CANCEL = ignored(Reason.SHIPPED_AFTER_CANCEL)
_FULFILLMENT_UNKNOWN = parked(Reason.FULFILLMENT_UNKNOWN)
_NOT_PAID = parked(Reason.NOT_PAID)
_PARCEL_UNKNOWN = parked(Reason.PARCEL_UNKNOWN)
_DERIVED_SINCE = 3  # the rules since which it follows from deliveries whether a return waits for staff
# Scans that only a parcel on the move can have.
MOVEMENT = frozenset(("picked_up", "in_transit", "out_for_delivery", "ready_for_pickup", "delivery_failed"))


def match_items(order: Order, shares: Sequence[Share] | None) -> list[tuple[OrderItem, int]] | Outcome:
    """(item, quantity) for what an event lists; None means all of the order's. Dead where one is unknown."""
    if shares is None:
        return [(item, item.quantity) for item in order.items]
    found: dict[str, tuple[OrderItem, int]] = {}
    goods = order.goods()
    for share in shares:
        item = goods.line(share.item)
        if item is None:
            known = ", ".join(i.reference or i.id for i in order.items[:5])
            return dead(
                Reason.UNKNOWN_ITEM,
                f"item {share.item}; order {order.order_number} has {known or 'none'}",
            )
        found[item.id] = (item, share.quantity + found.get(item.id, (item, 0))[1])
    return list(found.values())


def parcel_step(order: Order, event: Event[ParcelStep], context: Context, rejected: Container[str]) -> Outcome:
    """FulfillmentCreated, -Packed, -Shipped and -Delivered."""
    data = event.data
    if order.canceled_at is None and not order.was_covered():
        return _NOT_PAID
    parcel = order.goods().parcel(data.fulfillment)
    shares = match_items(order, data.items)
    if isinstance(shares, Outcome):
        return shares
    if data.items is None and has_digital(order):
        shares = [(item, quantity) for item, quantity in shares if item.requires_shipping]
    if event.source == OWN_SOURCE and event.type == "FulfillmentCreated":
        return _planned(order, event, context)
    rank = RANK[event.type]
    if parcel is None:
        if data.items is None and event.type in ("FulfillmentPacked", "FulfillmentDelivered"):
            return _FULFILLMENT_UNKNOWN
        parcel = Fulfillment(
            derived(context.now, event.source, event.id, "fulfillment"),
            order.id,
            data.fulfillment,
            created_at=context.now,
            change_state=NEW,
        )
        order.fulfillments.append(parcel)
        order.goods().add_parcel(parcel)
        parcel.items_step = 0 if data.items is None else rank
        _list_items(order, parcel, shares, event, context)
    parcel.planned = False  # somebody drives it by its name: what it holds now is its own
    relisted = False
    if data.items is not None and rank > parcel.items_step:
        parcel.items_step = rank
        relisted = _list_items(order, parcel, shares, event, context)
    _name_parcel(order, parcel, data.carrier, data.trackingNumber, rank)
    touch(parcel)
    outcome = _move(order, event, parcel, event.type)
    return DONE if relisted and outcome is _OVERTAKEN else outcome


def fulfillment_failed(
    order: Order, event: Event[FulfillmentFailed], context: Context, rejected: Container[str]
) -> Outcome:
    """A parcel will not arrive."""
    if order.canceled_at is None and not order.was_covered():
        return _NOT_PAID
    parcel = order.goods().parcel(event.data.fulfillment)
    if parcel is None:
        return _FULFILLMENT_UNKNOWN
    parcel.planned = False
    touch(parcel)
    return _move(order, event, parcel, event.type)


def tracking_updated(
    order: Order, event: Event[TrackingUpdated], context: Context, rejected: Container[str]
) -> Outcome:
    """A carrier's scan: movement implies shipped, delivered implies all before it; the rest is timeline."""
    data = event.data
    key = tracking_key(data.carrier, data.trackingNumber)
    # By id: the last one's outcome is the event's, and a loaded order lists them in another sequence.
    tracked = sorted(order.tracked(key), key=lambda f: f.id)
    if not tracked:
        return _PARCEL_UNKNOWN
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
    if outcome is _OVERTAKEN and trigger == "FulfillmentShipped" and parcel.is_out():
        return DONE  # one more scan of a parcel on its way
    return outcome


def recount(order: Order, event: AnyEvent, context: Context) -> None:
    """Let what hangs on parcels and returns follow them: the items' quantities, and what is left in the plan."""
    goods = order.goods_kept
    if goods is None:
        return  # nobody counted before anything moved: nothing did
    moved = goods.settle()
    plan = goods.plan
    if plan is not None:
        for item in moved:
            _hold(order, plan, item.id, max(item.open(), 0), event, context)
        if not plan.shares:
            drop_plan(order)
    if moved and order.returns and context.policy.rules >= _DERIVED_SINCE:
        _derive_for_staff(order, context)
    if order.facts is not None and is_by_both(order) and weigh_confirmation(order):
        goods.unconfirmed = True


def _derive_for_staff(order: Order, context: Context) -> None:
    """Let returns that nobody has answered wait for staff, or not, by what has arrived as far as is known now."""
    goods = order.goods()
    for back in order.returns:
        if back.status == ReturnStatus.REQUESTED and back.requested_at is not None:
            items = [goods.lines[share.order_item_id] for share in back.shares]
            for_staff = waits_for_staff(order, items, back.requested_at, context.policy)
            if for_staff != back.for_staff:
                back.for_staff = for_staff
                touch(back)
                goods.count_return(back)


def drop_plan(order: Order) -> None:
    """Take the plan out; nothing is left in it."""
    goods = order.goods()
    if (plan := goods.plan) is not None:
        goods.drop_plan()
        order.fulfillments.remove(plan)
        drop(plan, order.deleted)


def _planned(order: Order, event: Event[ParcelStep], context: Context) -> Outcome:
    """Our own follow-up: start a plan with all that is open, unless that was done or is no longer due."""
    if order.canceled_at is not None or order.plan() is not None or not (shares := order.open_shares()):
        return _OVERTAKEN
    plan = Fulfillment(
        uuid_of(event.data.fulfillment) or derived(context.now, event.source, event.id, "fulfillment"),
        order.id,
        None,
        planned=True,
        created_at=context.now,
        change_state=NEW,
    )
    order.fulfillments.append(plan)
    order.goods().add_parcel(plan)
    order.goods().count_parcel(plan)
    _list_items(order, plan, shares, event, context)
    return DONE


def _move(order: Order, event: AnyEvent, parcel: Fulfillment, trigger: str) -> Outcome:
    """Record the fact with its time, then let the machine stand at the furthest step."""
    before = parcel.status
    on_its_way = before == Status.SHIPPED and trigger == "FulfillmentShipped"  # most scans: nothing moves
    goods = order.goods_kept if on_its_way else order.goods()
    if trigger == "FulfillmentShipped":
        parcel.shipped_at = min(parcel.shipped_at or event.time, event.time)
    elif trigger == "FulfillmentDelivered":
        known, parcel.delivered_at = parcel.delivered_at, min(parcel.delivered_at or event.time, event.time)
        if known is not None and known != parcel.delivered_at:
            order.goods().arrived_earlier(parcel, known)
    elif trigger == "FulfillmentFailed":
        parcel.failed_at = min(parcel.failed_at or event.time, event.time)
    moved = fire(fulfillment.STEPS, parcel, trigger)
    if order.canceled_at is not None and not parcel.has_left():
        fire(fulfillment.STEPS, parcel, "OrderCanceled")
    if goods is not None:
        goods.count_parcel(parcel)
    if order.canceled_at is not None:
        if parcel.has_left():
            return _SHIPPED_AFTER_CANCEL
        return _ORDER_CANCELED if trigger != "FulfillmentFailed" else DONE
    if trigger == "FulfillmentDelivered" and before in (Status.PENDING, Status.PACKED):
        return Outcome(APPLIED, implied="FulfillmentShipped")
    if moved or (trigger == "FulfillmentCreated" and before == Status.PENDING):
        return DONE
    return _OVERTAKEN


def _name_parcel(order: Order, parcel: Fulfillment, carrier: str | None, number: str | None, rank: int) -> None:
    """Who carries it: what the furthest step says; of two in one step, the same one in either order."""
    if carrier is not None and (rank, carrier) > (parcel.carrier_step, parcel.carrier or ""):
        parcel.carrier, parcel.carrier_step = carrier, rank
    if number is not None and (rank, number) > (parcel.tracking_step, parcel.tracking_number or ""):
        parcel.tracking_number, parcel.tracking_step = number, rank
    if number is not None and carrier is not None:
        key = tracking_key(carrier, number)
        place = bisect_left(parcel.parcels, key)
        if parcel.parcels[place : place + 1] != [key]:
            parcel.parcels.insert(place, key)
            order.goods().track(parcel, key)


def _list_items(
    order: Order,
    parcel: Fulfillment,
    shares: list[tuple[OrderItem, int]],
    event: AnyEvent,
    context: Context,
) -> bool:
    """Make the parcel hold exactly `shares`; whether that changed anything."""
    changed = False
    wanted = {item.id: quantity for item, quantity in shares}
    for item_id in [each for each in parcel.shares if each not in wanted]:
        changed |= _hold(order, parcel, item_id, 0, event, context)
    for item_id, quantity in wanted.items():
        changed |= _hold(order, parcel, item_id, quantity, event, context)
    return changed


def _hold(order: Order, parcel: Fulfillment, item_id: str, quantity: int, event: AnyEvent, context: Context) -> bool:
    """Make the parcel hold so many of one item, or none; whether that changed anything."""
    share = parcel.shares.get(item_id)
    before = share.quantity if share is not None else 0
    if quantity == before:
        return False
    if share is None:
        share_id = derived(context.now, event.source, event.id, parcel.id, item_id)
        parcel.shares[item_id] = FulfillmentItem(share_id, order.id, parcel.id, item_id, quantity, NEW)
    elif quantity:
        share.quantity = quantity
        touch(share)
    else:
        del parcel.shares[item_id]
        drop(share, order.deleted)
    if parcel.counted:
        order.goods().put(parcel, item_id, quantity - before)
    return True
