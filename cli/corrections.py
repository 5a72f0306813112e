"""`orders edit`, `cancel-items`, `hold`, `release`: corrections of an order that a person makes.

They go the way of every event: checked under the order's lock, journaled and applied in one transaction. The event's `by`
says who did it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.bootstrap import open_shop
from cli.options import Data, Json, Problem, actor, out, print_json
from cli.order_decision import of_order
from cli.terminal import safe
from cli.typed_values import amount_of, name_of, quantity_of, text_of, time_ahead
from domain.balance import balance
from domain.holds import holds
from domain.order import Order, OrderItem
from domain.permitted_transitions import held_back
from journal.commands import Request, Step
from operations import corrections

Named = Annotated[str, typer.Argument(metavar="ORDER", help="The order's number or id (ord_…).")]
Why = Annotated[str | None, typer.Option("--reason", help="Why, for the order's timeline.")]


def cancel_items(
    order: Named,
    item: Annotated[
        list[str],
        typer.Option("--item", metavar="REF=QTY", help="An item's reference or id, and how many; once for each."),
    ],
    refund: Annotated[
        str | None, typer.Option("--refund", metavar="AMOUNT", help="What goes back for them; else their share.")
    ] = None,
    reason: Why = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Cancel some of an order's items that are in no parcel: all that are named, or none.

    Their share of what was paid goes back by itself. Where nothing is left, the order is canceled as a whole, shipping too.
    """
    wanted = [_item(each) for each in item]
    amount = None if refund is None else amount_of(refund, "--refund")

    def step(request: Request, found: Order) -> Step:
        lines = _lines(found, wanted)
        return corrections.cancel_items(request, found, lines, by=actor(), reason=reason, refund_amount=amount)

    after = correct(data, order, step)
    document = {
        "order": after.order_number,
        "status": str(after.status),
        "items": [
            {
                "item": corrections.name_of_item(each),
                "quantity": each.quantity,
                "canceledQuantity": each.canceled_quantity,
            }
            for each in after.items
        ],
        "currency": after.currency,
        "due": balance(after).due,
    }
    if json:
        print_json(document)
        return
    for each in after.items:
        if each.canceled_quantity:
            name = safe(corrections.name_of_item(each))
            out.print(f"{name}: {each.canceled_quantity} of {each.quantity} canceled", soft_wrap=True)
    out.print(
        f"order {safe(after.order_number)} is {after.status}; {balance(after).due:,} {after.currency} of it are due back in all",
        soft_wrap=True,
    )


def edit(
    order: Named,
    name: Annotated[str | None, typer.Option("--name", help="Of the customer.")] = None,
    email: Annotated[str | None, typer.Option("--email", help="Of the customer.")] = None,
    phone: Annotated[str | None, typer.Option("--phone", help="Of the customer.")] = None,
    recipient: Annotated[str | None, typer.Option("--recipient", help="Who the parcel is for.")] = None,
    recipient_phone: Annotated[str | None, typer.Option("--recipient-phone", help="For the carrier.")] = None,
    postal_code: Annotated[str | None, typer.Option("--postal-code", help="Of the address.")] = None,
    address1: Annotated[str | None, typer.Option("--address1", help="Street and number.")] = None,
    address2: Annotated[str | None, typer.Option("--address2", help="Flat, floor.")] = None,
    delivery_message: Annotated[str | None, typer.Option("--delivery-message", help="For the carrier.")] = None,
    customer: Annotated[str | None, typer.Option("--customer", help="Your id of the customer.")] = None,
    notes: Annotated[str | None, typer.Option("--notes", help="Notes on the order.")] = None,
    reason: Why = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Edit what an order says of its customer, and where it goes. What is not given stays; "" empties.

    An address may be edited until a parcel has left. Lines are not edited: cancel items, or the order, and place another.
    """
    snapshot = {"name": name, "email": email, "phone": phone}
    address = {
        "recipientName": recipient,
        "phone": recipient_phone,
        "postalCode": postal_code,
        "address1": address1,
        "address2": address2,
        "deliveryMessage": delivery_message,
    }
    edits: dict[str, Any] = {
        "customerSnapshot": _texts(snapshot),
        "shippingAddress": _texts(address),
        "customer": None if customer is None else name_of(customer, "--customer"),
        "notes": None if notes is None else text_of(notes, "--notes"),
    }
    edits = {field: value for field, value in edits.items() if value not in (None, {})}
    if not edits:
        raise Problem("nothing to edit; give what is to change, such as --address1 '2 Side St'", 2)
    after = correct(
        data, order, lambda request, found: corrections.edit(request, found, edits, by=actor(), reason=reason)
    )
    document = {
        "order": after.order_number,
        "status": str(after.status),
        "customer": after.customer,
        "edited": sorted(edits),
        "flags": [str(flag) for flag in after.flags],
    }
    if json:
        print_json(document)
        return
    out.print(f"order {safe(after.order_number)} is {after.status}; edited: {', '.join(sorted(edits))}", soft_wrap=True)


def _texts(options: Mapping[str, str | None]) -> dict[str, str | None]:
    """What was given of a group; an empty text empties its field."""
    given = {name: text_of(text, name) for name, text in options.items() if text is not None}
    return {name: text or None for name, text in given.items()}


def hold(
    order: Named,
    name: Annotated[str, typer.Option("--hold", metavar="NAME", help="Its name, by which it is released.")] = "staff",
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Release it by itself then, such as 2026-12-01T09:00Z."),
    ] = None,
    reason: Why = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Hold an order: nothing more of it ships until the hold is released.

    Requests to ship are refused. A shipment that the warehouse reports all the same is recorded and flagged. What holds by
    itself (refunded, disputed, payment_reversed) needs no such command.
    """
    name = name_of(name, "--hold")
    ends = None if until is None else time_ahead(until, "--until")

    def step(request: Request, found: Order) -> Step:
        return corrections.hold(request, found, name, by=actor(), reason=reason, until=ends)

    _tell_holds(correct(data, order, step), json)


def release(
    order: Named,
    name: Annotated[
        str | None, typer.Option("--hold", metavar="NAME", help="Which hold; needed where several stand.")
    ] = None,
    reason: Why = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Release a hold of an order: the named one, or the only one.

    Those that nobody made (refunded, disputed, payment_reversed) are released likewise; a later fact holds again.
    """

    def step(request: Request, found: Order) -> Step:
        return corrections.release(request, found, name, by=actor(), reason=reason)

    _tell_holds(correct(data, order, step), json)


def _tell_holds(after: Order, json: bool) -> None:
    standing = holds(after)
    if json:
        print_json({"order": after.order_number, "status": str(after.status), "holds": standing})
        return
    number = safe(after.order_number)
    if standing:
        out.print(f"order {number} is held: {safe(held_back(after) or '')}", soft_wrap=True)
    else:
        out.print(f"order {number} is not held", soft_wrap=True)


def correct(data: Path | None, name: str, step: Callable[[Request, Order], Step]) -> Order:
    """Apply the event that `step` makes of the locked order of that number or id. → the order after it.

    Errors: Problem where there is no such order, or the order does not stand so; nothing was changed then.
    """
    with open_shop(data) as (opened, _):
        return of_order(
            opened, name, lambda request, found: corrections.apply(request, found, step(request, found), actor())
        )


def _lines(order: Order, wanted: Sequence[tuple[str, int]]) -> list[tuple[OrderItem, int]]:
    found: dict[str, tuple[OrderItem, int]] = {}
    for name, quantity in wanted:
        line = order.goods().line(name)
        if line is None:
            known = ", ".join(corrections.name_of_item(one) for one in order.items[:5])
            raise Problem(f"--item {name}: order {order.order_number} has no such item; it has {known or 'none'}", 2)
        found[line.id] = (line, quantity + found.get(line.id, (line, 0))[1])
    return list(found.values())


def _item(text: str) -> tuple[str, int]:
    name, _, quantity = text.rpartition("=")
    if not name:
        raise Problem(f"--item {text}: write it as REFERENCE=QUANTITY, such as --item mug=1", 2)
    return name, quantity_of(quantity, f"--item {name}")
