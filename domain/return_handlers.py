"""Handlers of returns' events. A return's steps are decisions: each waits for what it needs, and is settled without it.

That it was received is a fact. A customer withdraws a return by a rejection, until it was received or completed; of a withdrawal
and a receipt before it, as of a rejection and a completion, the first to come counts, and the order is flagged.

    rejected   [time, source, id, by]   the earliest rejection that was told
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from domain import returns
from domain.dirty_tracking import NEW, drop, touch
from domain.flags import Flag, add_flag
from domain.fulfillment_handlers import match_items
from domain.ids import derived
from domain.item_cancels import place
from domain.order import Order, OrderItem
from domain.outcome import APPLIED, DONE, Outcome, Reason, dead, ignored, parked
from domain.policy import CameBack, Context
from domain.return_parcels import CHANGED, REQUESTED, name_return_carrier, note_receipt
from domain.return_window import waits_for_staff
from domain.returns import Return, ReturnItem
from domain.state_machine import fire
from events.body import Share
from events.catalogue import Event, ReturnCompleted, ReturnRequested, ReturnStep
from events.money import MoneyError, check
from events.returns import ReturnReceived, ReturnTrackingChanged

# Once for all: to look a reason up in its enum costs 0.2 µs on Python 3.11, each time.
_OVERTAKEN = ignored(Reason.OVERTAKEN)
_REPEATED = ignored(Reason.REPEATED)
_RETURN_COMPLETED = ignored(Reason.RETURN_COMPLETED)
_RETURN_RECEIVED = ignored(Reason.RETURN_RECEIVED)
_RETURN_REJECTED = ignored(Reason.RETURN_REJECTED)
_RETURN_NOT_PROCESSING = parked(Reason.RETURN_NOT_PROCESSING)
_RETURN_UNKNOWN = parked(Reason.RETURN_UNKNOWN)
_REJECTED = "rejected"


def return_requested(
    order: Order, event: Event[ReturnRequested], context: Context, rejected: Container[str]
) -> Outcome:
    """Open a return, once its items have arrived and no other return holds them."""
    data = event.data
    if order.goods().back(data.return_) is not None:
        return _REPEATED
    shares = match_items(order, data.items)
    if isinstance(shares, Outcome):
        return shares
    for item, quantity in shares:
        # What needs no shipping is canceled past a return that was rejected, which may be told later.
        if quantity > (item.wanted() if item.requires_shipping else item.quantity):
            less = f", canceled {item.canceled_quantity}" if item.canceled_quantity else ""
            return dead(
                Reason.TOO_MANY_ITEMS,
                f"{quantity} of {item.reference or item.id}, ordered {item.quantity}{less}",
            )
    shares = as_came_back(order, shares, data.return_, context.came_back)
    status, outcome = returns.Status.REQUESTED, DONE
    if hindrance := not_returnable(shares):
        if data.return_ not in rejected:
            return parked(hindrance[0])
        status, outcome = returns.Status.REJECTED, Outcome(APPLIED, Reason.REJECTED_ALREADY)
    made = Return(
        derived(context.now, event.source, event.id, "return"),
        order.id,
        data.return_,
        data.reason,
        status,
        for_staff=waits_for_staff(order, [item for item, _ in shares], event.time, context.policy),
        personal_id=data.personal,
        requested_at=event.time,
        created_at=context.now,
        change_state=NEW,
    )
    order.returns.append(made)
    for item, quantity in shares:
        share_id = derived(context.now, event.source, event.id, "return", item.id)
        made.shares.append(ReturnItem(share_id, order.id, made.id, item.id, quantity, NEW))
    order.goods().add_return(made)
    order.goods().count_return(made)
    name_return_carrier(order, made, event, data.carrier, data.trackingNumber, REQUESTED)
    return outcome


def not_returnable(shares: list[tuple[OrderItem, int]]) -> tuple[Reason, OrderItem] | None:
    """The reason that these items cannot be returned yet, and the first that cannot; or None."""
    for item, quantity in shares:
        arrived = item.ever_delivered()
        if quantity > arrived:
            return Reason.NOT_DELIVERED, item
        if quantity > arrived - item.claimed:
            return Reason.ITEMS_HELD, item
    return None


def return_step(order: Order, event: Event[ReturnStep], context: Context, rejected: Container[str]) -> Outcome:
    """ReturnApproved, ReturnProcessingStarted and ReturnRejected."""
    found = order.goods().back(event.data.return_)
    if found is None:
        return _RETURN_UNKNOWN
    if event.type == "ReturnRejected":
        if (
            found.received_at is not None
            and event.data.by == returns.CUSTOMER
            and found.status != returns.Status.REJECTED
        ):
            add_flag(order, Flag.RETURN_CONTRADICTED)
            return _RETURN_COMPLETED if found.status == returns.Status.COMPLETED else _RETURN_RECEIVED
        if found.status != returns.Status.COMPLETED:
            _note_rejection(found, event)
    if fire(returns.STEPS, found, event.type):
        touch(found)
        order.goods().count_return(found)
        return DONE
    if event.type == "ReturnRejected" and found.status == returns.Status.COMPLETED:
        add_flag(order, Flag.RETURN_CONTRADICTED)
        return _RETURN_COMPLETED
    return _OVERTAKEN


def _note_rejection(back: Return, event: Event[ReturnStep]) -> None:
    """Note who rejected it, by the earliest word of that."""
    facts, at = back.facts or {}, place(event)
    if _REJECTED not in facts or at < facts[_REJECTED][:3]:
        back.facts = {**facts, _REJECTED: [*at, event.data.by]}
        back.rejected_by = event.data.by
        touch(back)


def return_received(order: Order, event: Event[ReturnReceived], context: Context, rejected: Container[str]) -> Outcome:
    """Note that the warehouse has what was sent back, as of the earliest word of it."""
    found = order.goods().back(event.data.return_)
    if found is None:
        return _RETURN_UNKNOWN
    return DONE if note_receipt(found, event) else _REPEATED


def return_tracking_changed(
    order: Order, event: Event[ReturnTrackingChanged], context: Context, rejected: Container[str]
) -> Outcome:
    """Another carrier and number stand for a return, from the time of the event."""
    found = order.goods().back(event.data.return_)
    if found is None:
        return _RETURN_UNKNOWN
    data = event.data
    shown = name_return_carrier(order, found, event, data.carrier, data.trackingNumber, CHANGED)
    return DONE if shown else _OVERTAKEN


def return_completed(
    order: Order, event: Event[ReturnCompleted], context: Context, rejected: Container[str]
) -> Outcome:
    """Complete a return that is being processed, with the amount that is stated, if any."""
    found = order.goods().back(event.data.return_)
    if found is None:
        return _RETURN_UNKNOWN
    stated = event.data.refundAmount
    if stated is not None:
        try:
            check(stated, order.currency or context.policy.currency)
        except MoneyError as error:
            return dead(Reason.MALFORMED, f"refundAmount: {error}")
    if found.status == returns.Status.REJECTED:
        add_flag(order, Flag.RETURN_CONTRADICTED)
        return _RETURN_REJECTED
    if found.status in (returns.Status.REQUESTED, returns.Status.APPROVED):
        return _RETURN_NOT_PROCESSING
    if found.status == returns.Status.COMPLETED:
        return _REPEATED
    if event.data.items is not None:
        wrong = _keep_only(order, found, event.data.items)
        if wrong is not None:
            return wrong
    fire(returns.STEPS, found, event.type)
    found.completed_at, found.refund_amount, found.refund_stated = (
        event.time,
        stated,
        stated is not None,
    )
    touch(found)
    order.goods().count_return(found)
    return DONE


def as_came_back(
    order: Order, shares: list[tuple[OrderItem, int]], name: str, came_back: CameBack | None
) -> list[tuple[OrderItem, int]]:
    """The items that a return asks for, no more of each than its waiting completion says came back: others may have the rest."""
    if came_back is None or name not in came_back:
        return shares
    came = match_items(order, came_back[name])
    if isinstance(came, Outcome):
        return shares
    most = {item.id: quantity for item, quantity in came}
    less = [(item, min(quantity, most[item.id])) for item, quantity in shares if item.id in most]
    return less or shares


def _keep_only(order: Order, back: Return, listed: Sequence[Share]) -> Outcome | None:
    """Make a return hold what really came back, and let go of the rest; dead where more is listed than it holds."""
    came = match_items(order, listed)
    if isinstance(came, Outcome):
        return came
    held, left = {share.order_item_id: share.quantity for share in back.shares}, {item.id: n for item, n in came}
    for item, quantity in came:
        if quantity > held.get(item.id, 0):
            return dead(
                Reason.TOO_MANY_ITEMS,
                f"{quantity} of {item.reference or item.id} came back, the return has {held.get(item.id, 0)}",
            )
    for share in list(back.shares):
        keeps = left.get(share.order_item_id, 0)
        if keeps < share.quantity:
            order.goods().let_go(back, share, share.quantity - keeps)
            share.quantity = keeps
            if keeps:
                touch(share)
            else:
                back.shares.remove(share)
                drop(share, order.deleted)
    return None
