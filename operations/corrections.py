"""Corrections of an order that people ask for, by API and command line alike: checked under its lock, then an event.

An event of a correction waits where it does not apply yet; a request is refused instead, in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from domain.edits import ADDRESS
from domain.goods_row import most_for
from domain.holds import holds
from domain.ids import format_id
from domain.movements import plain
from domain.order import Order, OrderItem
from events.money import check
from journal.commands import CommandError, Request, Step
from operations import acts, audit

Lines = Sequence[tuple[OrderItem, int]]
_PERSONAL = text("select fields from personal where id = cast(:id as uuid)")


class CorrectionRefused(CommandError):
    """The order does not stand so that it could be corrected so; nothing was recorded.

    `more` holds what a program may want to know: values by name.
    """

    code = "correction_refused"
    remedy = "Look at the order: the message says what stands against it, and what is possible."
    status = 409

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(message)
        self.more = more


def cancel_items(
    request: Request, order: Order, lines: Lines, *, by: str, reason: str | None, refund_amount: Decimal | None
) -> Step:
    """The event that takes these items out of a locked order.

    Errors: CorrectionRefused where the order was canceled, fewer of an item are open, or `refund_amount` is more than they
            may give back; MoneyError where it has more decimals than the order's currency.
    """
    number, currency = order.order_number, order.currency or ""
    if order.canceled_at is not None:
        raise CorrectionRefused(f"order {number} was canceled as a whole; there is nothing left to take out of it")
    order.goods()  # counts what is in parcels
    for item, quantity in lines:
        left = max(item.cancelable(), 0)
        if quantity > left:
            held = f"{item.taken} are in parcels" if item.requires_shipping else f"{item.claimed} are in returns"
            canceled = f", {item.canceled_quantity} are canceled" if item.canceled_quantity else ""
            raise CorrectionRefused(
                f"{quantity} of item {name_of_item(item)} of order {number} cannot be canceled, but {left}: "
                f"{item.quantity} were ordered, {held}{canceled}. What was delivered can be "
                "returned; a parcel that has not left can be failed first",
                item=name_of_item(item),
                open=left,
            )
    names = {name_of_item(item): quantity for item, quantity in lines}
    if refund_amount is not None:
        check(refund_amount, currency)
        if refund_amount > (most := most_for(order, lines)):
            raise CorrectionRefused(
                f"refundAmount: {refund_amount} {currency} is more than the {most} {currency} that these items may give back",
                refundable=most,
            )
    return _step(
        "ItemsCanceled",
        number,
        cancellation=format_id("item-cancels", request.will_be("item cancel")),
        items=[{"item": name, "quantity": quantity} for name, quantity in names.items()],
        by=by,
        reason=reason,
        refundAmount=None if refund_amount is None else plain(refund_amount),
    )


def edit(
    request: Request, order: Order, edits: Mapping[str, Any], *, by: str, reason: str | None, suffix: str = ""
) -> Step:
    """The event that edits a locked order: `edits` has a value per field of `events.corrections.EDITABLE`.

    Of a group of fields, such as an address, what is left out stays, and None empties it.
    Errors: CorrectionRefused for an address once a parcel has left, or the order was canceled.
    """
    number = order.order_number
    if ADDRESS in edits:
        if order.canceled_at is not None:
            raise CorrectionRefused(f"order {number} was canceled; nothing of it ships, so it keeps its address")
        if left := [parcel for parcel in order.fulfillments if parcel.has_left()]:
            names = [parcel.reference or format_id("fulfillments", parcel.id) for parcel in left]
            raise CorrectionRefused(
                f"the address of order {number} cannot be edited: {', '.join(names)} left for the one that it has. Ask the "
                "carrier to redirect it; other fields may be edited",
                shipped=names,
            )
    told = dict(edits)
    if any(isinstance(value, Mapping) for value in edits.values()):
        known = _personal(request.conn, order)
        for name, value in edits.items():
            if isinstance(value, Mapping):
                whole = {**(known.get(name) or {}), **value}
                told[name] = {part: text for part, text in whole.items() if text is not None}
    return replace(_step("OrderEdited", number, by=by, reason=reason, **told), suffix=suffix)


def _personal(conn: Connection, order: Order) -> dict[str, Any]:
    """The personal fields that the order shows; {} where they were erased."""
    found: dict[str, Any] | None = conn.execute(_PERSONAL, {"id": order.personal_id}).scalar()
    return found or {}


def hold(request: Request, order: Order, name: str, *, by: str, reason: str | None, until: datetime | None) -> Step:
    """The event that holds a locked order.

    Errors: CorrectionRefused where the order was canceled, or `until` is not ahead.
    """
    number = order.order_number
    if order.canceled_at is not None:
        raise CorrectionRefused(f"order {number} was canceled; nothing of it ships")
    if until is not None and until <= request.now:
        raise CorrectionRefused(f"until: {until.isoformat()} is not ahead; give a later time, or none", until=until)
    ends = None if until is None else until.isoformat()
    return _step("OrderHeld", number, hold=name, by=by, reason=reason, until=ends)


def release(request: Request, order: Order, name: str | None, *, by: str, reason: str | None) -> Step:
    """The event that releases a hold of a locked order: that of this name, or the only one.

    Errors: CorrectionRefused where the order has no such hold, or several and none was named.
    """
    number, standing = order.order_number, holds(order)
    if not standing:
        raise CorrectionRefused(f"order {number} is not held", holds=standing)
    if name is None and len(standing) > 1:
        raise CorrectionRefused(f"order {number} has several holds ({', '.join(standing)}): say which", holds=standing)
    if name is not None and name not in standing:
        raise CorrectionRefused(
            f"order {number} has no hold {name} that stands; it has {', '.join(standing)}", holds=standing
        )
    return _step("OrderReleased", number, hold=name or standing[0], by=by, reason=reason)


def apply(request: Request, order: Order, step: Step, actor: str) -> Order:
    """Journal and apply the event of a correction to its locked order, which is used up, and note in the audit who did it.

    → the order after it. Errors: as `Request.append`.
    """
    before = audit.standing(order)
    after = request.append(step)[order.id]
    audit.note_event(request, step, before, after, actor)
    return after


def _step(kind: str, number: str, *, reason: str | None, **data: Any) -> Step:
    data["reason"] = acts.reason_if_said(reason)
    return Step(kind, number, {name: value for name, value in data.items() if value is not None})


def name_of_item(item: OrderItem) -> str:
    """The name of an item in events."""
    return item.reference or format_id("order-items", item.id)
