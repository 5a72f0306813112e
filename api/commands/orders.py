"""Commands on orders: createOrder and updateOrder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from api.commands import refund_accounts
from api.commands.lookups import listed, name_of, order_by_id, refuse_if_held
from api.commands.order_creation import CREATED, again, body_of, place, placed
from api.commands.request_models import AcceptOrder, CreateOrder, UpdateOrder
from api.commands.write_endpoint import UPDATED, Document, Work, Write, conflict
from api.commands.written_documents import document, documents
from api.errors import ApiError, validation_error
from domain.fulfillment import Fulfillment
from domain.ids import format_id, uuid_of
from domain.order import Order, Status
from domain.permitted_transitions import SHIPPING, movable, order_statuses
from journal.commands import Request, Step
from operations import audit, corrections, refund_decisions
from operations.corrections import CorrectionRefused
from operations.refund_decisions import RefundConflict

_DECISIONS = {Status.CANCELED: "OrderCanceled", Status.CONFIRMED: "OrderConfirmed"}
_MOVES = {
    Status.PREPARING: "FulfillmentCreated",
    Status.SHIPPED: "FulfillmentShipped",
    Status.DELIVERED: "FulfillmentDelivered",
}


def create(write: Write, sent: CreateOrder) -> Work:
    """A new order; the same number and body again are the same order."""
    currency = sent.currency or write.doors.settings.policy.currency
    data = body_of(sent, sent.orderProducts, sent.shippingAddress, sent.totalAmount, currency, sent.customer)

    def work(request: Request) -> tuple[int, Document]:
        number, known = sent.orderNumber, placed(request, sent.orderNumber)
        if known is not None:
            return 201, {"doc": again(request, known, number, data, write.depth), "message": CREATED}
        return 201, {"doc": place(request, number, data, write.depth), "message": CREATED}

    return work


def update(write: Write, order_id: str, sent: UpdateOrder) -> Work:
    """An order is edited, or moves to a status, if it may; with a cancel may come the bank account for its refund."""
    if sent.refundAccount is not None and sent.status != "canceled":
        raise validation_error([("refundAccount", "goes with the status canceled alone")])

    def work(request: Request) -> tuple[int, Document]:
        order = order_by_id(request, order_id)
        _append(request, {order.order_number: order}, steps_of(request, order, sent), write.caller.source)
        refund_accounts.take(write, request, order, sent.refundAccount, "refundAccount.")
        doc = document(request, "orders", order.id, write.depth)
        return 200, {"doc": doc, "message": UPDATED}

    return work


def accept(write: Write, order_id: str, sent: AcceptOrder) -> Work:
    """An underpayment is taken as enough."""

    def work(request: Request) -> tuple[int, Document]:
        order = order_by_id(request, order_id)
        try:
            refund_decisions.accept(request, order, sent.amount, sent.reason, by="api")
        except RefundConflict as error:
            raise conflict(str(error), order.status, order_statuses(order), **error.figures) from None
        doc = document(request, "orders", order.id, write.depth)
        return 200, {"doc": doc, "message": UPDATED}

    return work


def update_many(write: Write, select: Callable[[Request], Sequence[str]], sent: UpdateOrder) -> Work:
    """All orders that `select` names (ids) are edited, or move to a status; those that may not are listed as errors."""

    def work(request: Request) -> tuple[int, Document]:
        orders = request.lock([order_id for name in select(request) if (order_id := uuid_of(name))])
        if sent.refundAccount is not None and (sent.status != Status.CANCELED.value or len(orders) != 1):
            raise validation_error([("refundAccount", "goes with the status canceled, and with one order alone")])
        steps: list[Step] = []
        errors = []
        for order in orders.values():
            try:
                steps += steps_of(request, order, sent, f" {order.order_number}")
            except ApiError as error:
                errors.append({"id": format_id("orders", order.id), "message": error.message, "data": error.data})
        if steps:
            _append(request, {order.order_number: order for order in orders.values()}, steps, write.caller.source)
            for order in orders.values():
                refund_accounts.take(write, request, order, sent.refundAccount, "refundAccount.")
        moved = {step.number for step in steps}
        ids = [order.id for order in orders.values() if order.order_number in moved]
        docs = documents(request, "orders", ids, write.depth) if ids else []
        message = f"Updated {len(docs)} {'Order' if len(docs) == 1 else 'Orders'} successfully."
        return 200, {"docs": docs, "errors": errors, "message": message}

    return work


def _append(request: Request, orders: Mapping[str, Order], steps: Sequence[Step], actor: str) -> None:
    """Journal and apply events of locked orders (by number), and note in the audit who edited which."""
    before = {step.number: audit.standing(orders[step.number]) for step in steps}
    ids = {number: order.id for number, order in orders.items()}
    after = request.append(*steps)
    for step in steps:
        if step.type == "OrderEdited":
            audit.note_event(request, step, before[step.number], after[ids[step.number]], actor)


def steps_of(request: Request, order: Order, sent: UpdateOrder, suffix: str = "") -> list[Step]:
    """The events by which `order` is edited and moves. ApiError 409 says what stands against either."""
    steps = []
    if edits := sent.edits():
        try:
            steps.append(corrections.edit(request, order, edits, by="api", reason=None, suffix=f"  edit{suffix}"))
        except CorrectionRefused as error:
            raise conflict(str(error), order.status, order_statuses(order), **error.more) from None
    if sent.status is not None:
        steps.append(step_to(request, order, sent.status, suffix))
    return steps


def step_to(request: Request, order: Order, status: str, suffix: str = "") -> Step:
    """The event by which `order` moves to `status`. ApiError 409 names what is allowed instead."""
    allowed = order_statuses(order)
    number = order.order_number
    if status in SHIPPING and len(found := movable(order, status)) > 1:
        names = ", ".join("what is open" if one is None else format_id("fulfillments", one.id) for one in found)
        raise conflict(
            f"order {number} has several fulfillments that `{status}` could mean ({names}); "
            "move the one that you mean by PATCH /api/fulfillments/{id}",
            order.status,
            allowed,
        )
    if status in SHIPPING and status not in allowed and order.canceled_at is None:
        refuse_if_held(order, "it")
    if status not in allowed:
        may = ", ".join(allowed) or "nothing"
        raise conflict(
            f"order {number} is {order.status}; it cannot become {status}, but: {may}", order.status, allowed
        )
    if status in _DECISIONS:
        return Step(_DECISIONS[Status(status)], number, {"by": "api"}, suffix)
    return Step(_MOVES[Status(status)], number, _moved(request, order, found[0], suffix), suffix)


def _moved(request: Request, order: Order, parcel: Fulfillment | None, suffix: str) -> dict[str, object]:
    if parcel is not None:
        return {"fulfillment": name_of("fulfillments", parcel)}
    made = format_id("fulfillments", request.will_be("fulfillment", suffix))
    return {"fulfillment": made, "items": listed(order.open_shares())}
