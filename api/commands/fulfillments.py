"""Commands on fulfillments: createFulfillment, updateFulfillment and correctFulfillment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api.commands.fulfillment_models import CorrectFulfillment
from api.commands.lookups import lines_of, listed, name_of, name_of_item, order_of, part_of, refuse_if_held
from api.commands.request_models import CreateFulfillment, UpdateFulfillment
from api.commands.write_endpoint import UPDATED, Document, Work, Write, conflict
from api.commands.written_documents import document
from api.errors import ApiError, validation_error
from domain.fulfillment import Fulfillment, Status
from domain.ids import format_id
from domain.order import Order, OrderItem
from domain.permitted_transitions import fulfillment_statuses, order_statuses
from journal.commands import Request, Step
from operations import corrections, parcel_corrections
from operations.corrections import CorrectionRefused
from outbound.tracking import trackers

_EVENTS = {
    Status.PACKED: "FulfillmentPacked",
    Status.SHIPPED: "FulfillmentShipped",
    Status.DELIVERED: "FulfillmentDelivered",
    Status.FAILED: "FulfillmentFailed",
}


def create(write: Write, sent: CreateFulfillment) -> Work:
    """A fulfillment of items that are open (in the plan, or in none), or that replaces another; without items, of all of them."""

    def work(request: Request) -> tuple[int, Document]:
        order = order_of(request, sent)
        refuse_if_held(order, "what is open")
        if order.canceled_at is not None or not order.was_covered():
            why = "it was canceled" if order.canceled_at is not None else "it is not paid"
            raise _not_now(order, f"order {order.order_number} cannot be shipped: {why}")
        if sent.reference is not None and order.goods().parcel(sent.reference) is not None:
            raise _not_now(order, f"order {order.order_number} has a fulfillment {sent.reference}; choose another name")
        replaced = None if sent.replaces is None else _replaced(order, sent.replaces)
        if replaced is not None:
            shares = _again(order, replaced, sent)
        else:
            shares = _open(order) if sent.items is None else lines_of(order, sent.items)
            _check_open(order, shares)
        made = request.will_be("fulfillment")
        name = sent.reference or format_id("fulfillments", made)
        data = {"fulfillment": name, "items": listed(shares), **_carrier(sent)}
        if replaced is not None:
            data["replaces"] = name_of("fulfillments", replaced)
        request.append(Step("FulfillmentCreated", order.order_number, data))
        doc = document(request, "fulfillments", made, write.depth)
        return 201, {"doc": doc, **_followed(write, doc, "Fulfillment successfully created.")}

    return work


def update(write: Write, fulfillment_id: str, sent: UpdateFulfillment) -> Work:
    """The fulfillment takes a step, or another carrier and number stand for it."""
    if sent.status is None:
        return _change_tracking(write, fulfillment_id, sent)
    status = Status(sent.status)

    def work(request: Request) -> tuple[int, Document]:
        order, parcel = part_of(request, "fulfillments", fulfillment_id)
        allowed = fulfillment_statuses(order, parcel)
        name = name_of("fulfillments", parcel)
        if status not in allowed and status != Status.FAILED and not parcel.has_left():
            refuse_if_held(order, f"fulfillment {name}")
        if status not in allowed:
            may = ", ".join(allowed) or "nothing"
            raise conflict(
                f"fulfillment {name} is {parcel.status}; it cannot become {status}, but: {may}",
                parcel.status,
                allowed,
            )
        told = {} if status == Status.FAILED else _whole(sent, parcel)
        request.append(Step(_EVENTS[status], order.order_number, {"fulfillment": name, **told}))
        doc = document(request, "fulfillments", parcel.id, write.depth)
        return 200, {"doc": doc, **_followed(write, doc, UPDATED)}

    return work


def correct(write: Write, fulfillment_id: str, sent: CorrectFulfillment) -> Work:
    """A person says where the fulfillment stands."""

    def step(request: Request, order: Order, parcel: Fulfillment) -> Step:
        return parcel_corrections.correct(request, order, parcel, sent.status, by="api", reason=sent.reason)

    return _corrected(write, fulfillment_id, step)


def _change_tracking(write: Write, fulfillment_id: str, sent: UpdateFulfillment) -> Work:
    if sent.carrier is None and sent.trackingNumber is None:
        raise validation_error([("status", "give a `status`, or a `carrier` or `trackingNumber`")])

    def step(request: Request, order: Order, parcel: Fulfillment) -> Step:
        return parcel_corrections.change_tracking(request, order, parcel, sent.carrier, sent.trackingNumber)

    return _corrected(write, fulfillment_id, step)


def _corrected(write: Write, fulfillment_id: str, make: Callable[[Request, Order, Fulfillment], Step]) -> Work:
    """The fulfillment after the event that `make` makes of it, locked."""

    def work(request: Request) -> tuple[int, Document]:
        order, parcel = part_of(request, "fulfillments", fulfillment_id)
        try:
            step = make(request, order, parcel)
        except CorrectionRefused as error:
            raise conflict(str(error), parcel.status, fulfillment_statuses(order, parcel), **error.more) from None
        corrections.apply(request, order, step, write.caller.source)
        doc = document(request, "fulfillments", parcel.id, write.depth)
        return 200, {"doc": doc, **_followed(write, doc, UPDATED)}

    return work


def _followed(write: Write, doc: Document, message: str) -> Document:
    """The answer's message, and who is polled for the parcel; it says where nobody is and its carrier has a number."""
    follows = write.doors.shop.follows
    if not trackers.can_be_followed(doc):
        return {"message": message, "polledBy": None}
    polled_by = trackers.polled_by(follows, doc["carrier"])
    if polled_by is None and follows is not None:
        message += (
            f" Nobody polls a carrier named {doc['carrier']!r}: the parcel is followed by hand, or by webhooks. If that is "
            "another name of one that is polled, add it to ORDERS_CARRIER_NAMES."
        )
    return {"message": message, "polledBy": polled_by}


def _carrier(sent: CreateFulfillment | UpdateFulfillment) -> dict[str, str]:
    told = {"carrier": sent.carrier, "trackingNumber": sent.trackingNumber}
    return {name: value for name, value in told.items() if value is not None}


def _replaced(order: Order, name: str) -> Fulfillment:
    """The fulfillment that is replaced: one that has left. Errors: ApiError 400 where it is none of the order's, else 409."""
    parcel = order.goods().parcel(name)
    if parcel is None:
        raise validation_error([("replaces", f"is no fulfillment of order {order.order_number}")])
    if parcel.status == Status.FAILED:
        raise _not_now(
            order, f"fulfillment {name} failed: its items are open again; create one of these, without `replaces`"
        )
    if not parcel.has_left():
        raise _not_now(order, f"fulfillment {name} is {parcel.status} and has not left; nothing is to be replaced yet")
    return parcel


def _again(order: Order, replaced: Fulfillment, sent: CreateFulfillment) -> list[tuple[OrderItem, int]]:
    """The items that are sent again: no more of each than the parcel holds, and no other one replaces."""
    lines = order.goods().lines
    left = {item_id: share.quantity for item_id, share in replaced.shares.items() if lines[item_id].requires_shipping}
    for other in order.fulfillments:
        if other.replaces is not None and other.lives() and order.goods().parcel(other.replaces) is replaced:
            for item_id, share in other.shares.items():
                left[item_id] = left.get(item_id, 0) - share.quantity
    shares = (
        [(lines[item_id], quantity) for item_id, quantity in left.items() if quantity > 0]
        if sent.items is None
        else lines_of(order, sent.items)
    )
    name = name_of("fulfillments", replaced)
    if not shares:
        raise _not_now(order, f"fulfillment {name} is replaced already: others hold all of its items again")
    for item, quantity in shares:
        most = max(left.get(item.id, 0), 0)
        if quantity > most:
            raise _not_now(
                order,
                f"{quantity} of item {name_of_item(item)} are to replace what fulfillment {name} holds, of which {most} "
                "are not replaced yet",
                item=name_of_item(item),
                replaceable=most,
            )
    return shares


def _whole(sent: UpdateFulfillment, parcel: Fulfillment) -> dict[str, str]:
    """What is told of the carrier: half of it is filled in by what is known, since halves follow nothing."""
    told = _carrier(sent)
    if len(told) == 1 and parcel.carrier is not None and parcel.tracking_number is not None:
        told = {"carrier": parcel.carrier, "trackingNumber": parcel.tracking_number, **told}
    return told


def _open(order: Order) -> list[tuple[OrderItem, int]]:
    shares = order.open_shares()
    if not shares:
        raise _not_now(order, f"order {order.order_number} has nothing open: all its items are in fulfillments")
    return shares


def _check_open(order: Order, shares: list[tuple[OrderItem, int]]) -> None:
    left = {item.id: quantity for item, quantity in order.open_shares()}
    for item, quantity in shares:
        if quantity > left.get(item.id, 0):
            needless = "" if item.requires_shipping else ": it needs no shipping"
            raise _not_now(
                order,
                f"{quantity} of item {name_of_item(item)} were asked for, {left.get(item.id, 0)} are open{needless}",
                item=name_of_item(item),
                open=left.get(item.id, 0),
            )


def _not_now(order: Order, message: str, **more: Any) -> ApiError:
    return conflict(message, order.status, order_statuses(order), **more)
