"""The order, the items and the parts that a request names: found and locked, or refused in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.commands.request_models import Line, OfOrder
from api.commands.write_endpoint import conflict
from api.errors import ApiError, validation_error
from domain.holds import holds
from domain.ids import WrongKind, format_id, parse_id
from domain.order import Order, OrderItem
from domain.permitted_transitions import held_back, order_statuses
from journal.commands import Request
from operations.corrections import name_of_item as name_of_item

_BY = {"fulfillments": "fulfillment", "returns": "return"}


def not_found() -> ApiError:
    """404; what is not the caller's is answered as what is not there."""
    return ApiError(404, "Not Found")


def order_by_id(request: Request, name: str) -> Order:
    """The order of that id, locked."""
    return the_order(request, wanted_id("orders", name), "id")


def wanted_id(collection: str, name: str) -> str | None:
    """The UUID of an id of this collection, None where it is no id. Errors: 404 where it is one of another kind."""
    try:
        return parse_id(collection, name)
    except WrongKind as error:
        raise ApiError(404, str(error)) from None


def the_order(request: Request, name: str | None, by: str) -> Order:
    """The one order of that name (`Request.lock` says what `by` may be), locked."""
    for order in request.lock([name], by).values() if name else ():
        return order
    raise not_found()


def order_of(request: Request, sent: OfOrder, customer: str | None = None) -> Order:
    """The order that a body names, locked; with `customer`, only if it is theirs."""
    if (sent.order is None) == (sent.orderNumber is None):
        raise validation_error([("order", "give either `order`, the order's id, or `orderNumber`")])
    if sent.orderNumber is None:
        order = order_by_id(request, sent.order or "")
    else:
        order = the_order(request, sent.orderNumber, "number")
    if customer is not None and order.customer != customer:
        raise not_found()
    return order


def part_of(request: Request, collection: str, name: str) -> tuple[Order, Any]:
    """(its order, locked; the fulfillment or return of that id)."""
    own = wanted_id(collection, name)
    order = the_order(request, own, _BY[collection])
    parts: Sequence[Any] = getattr(order, collection)
    part = next((part for part in parts if part.id == own), None)
    if part is None:  # a plan may have gone since it was looked up
        raise not_found()
    return order, part


def lines_of(order: Order, lines: Sequence[Line]) -> list[tuple[OrderItem, int]]:
    """(item, quantity) of the order for what a body lists; an item that is listed twice is added up."""
    found: dict[str, tuple[OrderItem, int]] = {}
    faults = []
    for number, line in enumerate(lines):
        item = order.goods().line(line.orderItem)
        if item is None:
            known = ", ".join(name_of_item(one) for one in order.items[:5])
            faults.append((f"items.{number}.orderItem", f"is no item of order {order.order_number}; it has {known}"))
        else:
            found[item.id] = (item, line.quantity + found.get(item.id, (item, 0))[1])
    if faults:
        raise validation_error(faults)
    return list(found.values())


def name_of(collection: str, part: Any) -> str:
    """The name of a fulfillment or a return in events."""
    return part.reference or format_id(collection, part.id)


def listed(shares: Sequence[tuple[OrderItem, int]]) -> list[dict[str, Any]]:
    """`items` of an event."""
    return [{"item": name_of_item(item), "quantity": quantity} for item, quantity in shares]


def refuse_if_held(order: Order, what: str) -> None:
    """Refuse to ship what is held. Errors: ApiError 409 `order_held`, with the names of the holds."""
    why = held_back(order)
    if why is not None:
        raise conflict(
            f"{what} cannot be shipped: order {order.order_number} is held by {why}",
            order.status,
            order_statuses(order),
            name="order_held",
            holds=holds(order),
        )
