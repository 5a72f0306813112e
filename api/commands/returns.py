"""Commands on returns: createReturn, updateReturn, withdrawReturn and returnWithRefund."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from api.commands import refund_accounts
from api.commands.lookups import lines_of, listed, name_of, name_of_item, not_found, order_of, part_of
from api.commands.request_models import CreateReturn, ReturnWithRefund, UpdateReturn, WithdrawReturn
from api.commands.write_endpoint import UPDATED, Document, Work, Write, conflict
from api.commands.written_documents import document
from api.errors import ApiError, validation_error
from domain.goods_row import most_for, share_of
from domain.ids import format_id
from domain.movements import plain
from domain.order import Order, OrderItem
from domain.permitted_transitions import order_statuses, return_statuses, returnable
from domain.refunds import captured
from domain.return_window import return_window_closed
from domain.returns import Return, Status
from events.money import MoneyError, check
from journal.commands import Request, Step
from operations import returns as decisions
from operations.corrections import CorrectionRefused

CREATED = "Return successfully created."
_EVENTS = {
    Status.APPROVED: "ReturnApproved",
    Status.PROCESSING: "ReturnProcessingStarted",
    Status.COMPLETED: "ReturnCompleted",
    Status.REJECTED: "ReturnRejected",
}
_TERMS = ("items", "refundAmount", "restockingFee")  # of a completion


def create(write: Write, sent: CreateReturn) -> Work:
    """A return is requested; a customer's, of an order of theirs."""

    def work(request: Request) -> tuple[int, Document]:
        order = order_of(request, sent, write.caller.customer)
        request.append(_requested(request, order, sent, _shares(request, order, sent)))
        refund_accounts.take(write, request, order, sent.refundAccount, "refundAccount.")
        doc = document(request, "returns", request.will_be("return"), write.depth)
        return 201, {"doc": doc, "message": CREATED}

    return work


def update(write: Write, return_id: str, sent: UpdateReturn) -> Work:
    """The return takes a step, or was received; what is so already, as our own policy may have had it, is answered the same."""
    status, terms = sent.status, [name for name in _TERMS if getattr(sent, name) is not None]
    if terms and status != "completed":
        raise validation_error([(name, "goes with the status completed alone") for name in terms])
    if {"refundAmount", "restockingFee"} <= set(terms):
        raise validation_error([("restockingFee", "give either `refundAmount` or `restockingFee`")])

    def work(request: Request) -> tuple[int, Document]:
        order, back = part_of(request, "returns", return_id)
        allowed, name = return_statuses(back), name_of("returns", back)
        steps: list[Step] = []
        if sent.carrier is not None or sent.trackingNumber is not None:
            steps.append(_tracked(order, back, sent))
        if sent.received and (step := decisions.receive(order, back, "api", "  received")) is not None:
            steps.append(step)
        if status is None:
            if steps:
                request.append(*steps)
            return 200, {"doc": document(request, "returns", back.id, write.depth), "message": UPDATED}
        if status not in (*allowed, back.status) or (terms and status == back.status):
            may = ", ".join(allowed) or "nothing"
            raise conflict(
                f"return {name} is {back.status}; it cannot become {status}, but: {may}", back.status, allowed
            )
        if status != back.status:
            told = _terms(order, back, sent) if terms else {}
            by = {} if status == "completed" else {"by": "api"}
            steps.append(Step(_EVENTS[Status(status)], order.order_number, {"return": name, **by, **told}))
        if steps:
            request.append(*steps)
        doc = document(request, "returns", back.id, write.depth)
        return 200, {"doc": doc, "message": UPDATED}

    return work


def _tracked(order: Order, back: Return, sent: UpdateReturn) -> Step:
    """The event that says who brings a return back; the half that is not sent stays. ApiError 400 where there is none yet."""
    carrier, number = sent.carrier or back.carrier, sent.trackingNumber or back.tracking_number
    if carrier is None or number is None:
        missing = "carrier" if carrier is None else "trackingNumber"
        raise validation_error(
            [(missing, "Field required: a carrier and a number are one pair, and it is not known yet")]
        )
    told = {"return": name_of("returns", back), "by": "api", "carrier": carrier, "trackingNumber": number}
    return Step("ReturnTrackingChanged", order.order_number, told, "  tracked")


def withdraw(write: Write, return_id: str, sent: WithdrawReturn) -> Work:
    """The customer withdraws a return, of an order of theirs; one that is withdrawn is answered the same."""

    def work(request: Request) -> tuple[int, Document]:
        order, back = part_of(request, "returns", return_id)
        if write.caller.customer is not None and order.customer != write.caller.customer:
            raise not_found()
        try:
            step = decisions.withdraw(order, back, sent.note)
        except CorrectionRefused as error:
            raise conflict(str(error), back.status, return_statuses(back), **error.more) from None
        if step is not None:
            request.append(step)
        return 200, {"doc": document(request, "returns", back.id, write.depth), "message": UPDATED}

    return work


def _terms(order: Order, back: Return, sent: UpdateReturn) -> dict[str, Any]:
    """What of a return came back, and what is given back for it; ApiError where it holds less, or that is too much."""
    lines = order.goods().lines
    held = {share.order_item_id: share.quantity for share in back.shares}
    came = [(lines[line], n) for line, n in held.items()] if sent.items is None else lines_of(order, sent.items)
    for item, quantity in came:
        if quantity > held.get(item.id, 0):
            raise _not_now(
                order,
                f"{quantity} of item {name_of_item(item)} came back, but return {name_of('returns', back)} has "
                f"{held.get(item.id, 0)}; what else came back needs a return of its own",
                item=name_of_item(item),
                held=held.get(item.id, 0),
            )
    told: dict[str, Any] = {} if sent.items is None else {"items": listed(came)}
    amount = sent.refundAmount
    if sent.restockingFee is not None:
        share = share_of(order, came)
        _check_amount(order, "restockingFee", sent.restockingFee)
        if sent.restockingFee > share:
            raise _not_now(
                order,
                f"restockingFee: {sent.restockingFee} is more than the {share} that they give back",
                refundable=share,
            )
        amount = share - sent.restockingFee
    if amount is not None:
        _check_refund(order, amount, came)
        told["refundAmount"] = plain(amount)
    return told


def with_refund(write: Write, sent: ReturnWithRefund) -> Work:
    """A return from its request to its end, at once; its refund is recorded and goes out by itself.

    Request and end are events of the caller, and the approval where our policy does not give it (ORDERS_RETURNS=staff); the
    start of its processing follows by itself (domain/reactions.py).
    """

    def work(request: Request) -> tuple[int, Document]:
        order = order_of(request, sent)
        shares = _shares(request, order, sent)
        if sent.refundAmount is not None:
            _check_refund(order, sent.refundAmount, shares)
        requested = _requested(request, order, sent, shares)
        name = {"return": requested.data["return"]}
        end = {} if sent.refundAmount is None else {"refundAmount": plain(sent.refundAmount)}
        number, before = order.order_number, {payment.id: payment.refund_target for payment in order.transactions}
        approved = Step("ReturnApproved", number, name, " approve")
        told = request.append(
            requested,
            *(() if request.context.policy.returns == "auto" else (approved,)),
            Step("ReturnCompleted", number, {**name, **end}, " complete"),
            to_the_end=True,
        )
        refund_accounts.take(write, request, order, sent.refundAccount, "refundAccount.")
        payment = next(
            (one for one in reversed(captured(told[order.id])) if one.refund_target > before.get(one.id, 0)), None
        )
        return 201, {
            "return": document(request, "returns", request.will_be("return"), write.depth),
            "transaction": payment and document(request, "transactions", payment.id, write.depth),
            "message": CREATED,
        }

    return work


def _shares(request: Request, order: Order, sent: CreateReturn) -> list[tuple[OrderItem, int]]:
    """The lines that are asked back, so many of each; ApiError 409 where they cannot be, or no more."""
    left = returnable(order)
    if sent.items is None:
        shares = [(item, left[item.id]) for item in order.items if item.id in left]
        if not shares:
            raise _not_now(order, f"order {order.order_number} has no items that can be returned: none was delivered, "
                           "or other returns have them")  # fmt: skip
    else:
        shares = lines_of(order, sent.items)
    for item, quantity in shares:
        if quantity > left.get(item.id, 0):
            raise _not_now(
                order,
                f"{quantity} of item {name_of_item(item)} were asked back, {left.get(item.id, 0)} can be: "
                f"{item.delivered_quantity} were delivered, {item.delivered_quantity - left.get(item.id, 0)} of them "
                "are in other returns",
                item=name_of_item(item),
                returnable=left.get(item.id, 0),
            )
    _check_window(request, order, shares)
    return shares


def _requested(request: Request, order: Order, sent: CreateReturn, shares: Sequence[tuple[OrderItem, int]]) -> Step:
    """The event of the request."""
    data: dict[str, Any] = {
        "return": format_id("returns", request.will_be("return")),
        "reason": sent.reason,
        "items": listed(shares),
        "note": sent.note,
        "carrier": sent.carrier,
        "trackingNumber": sent.trackingNumber,
    }
    return Step("ReturnRequested", order.order_number, {k: v for k, v in data.items() if v is not None})


def _check_window(request: Request, order: Order, shares: list[tuple[OrderItem, int]]) -> None:
    closed = return_window_closed(order, [item for item, _ in shares], request.now, request.context.policy)
    if closed is not None:
        raise conflict(
            f"order {order.order_number}: the return window of these items closed at {closed.isoformat()}",
            order.status,
            order_statuses(order),
            name="return_window_closed",
            closedAt=closed,
        )


def _check_amount(order: Order, name: str, amount: Decimal) -> None:
    try:
        check(amount, order.currency or "")
    except MoneyError as error:
        raise validation_error([(name, str(error))]) from None


def _check_refund(order: Order, amount: Decimal, lines: Iterable[tuple[OrderItem, int]]) -> None:
    """Refuse to give back more than is left of the payments, or than so many of these lines may."""
    currency = order.currency or ""
    _check_amount(order, "refundAmount", amount)
    # What is due back already goes back, whether the provider has reported it or not.
    left = sum((one.amount - max(one.refunded_amount, one.refund_target) for one in captured(order)), Decimal(0))
    if amount > left:
        raise _not_now(
            order,
            f"refundAmount: {amount} {currency} is more than the {left} {currency} that were captured and not refunded",
            refundable=left,
        )
    most = most_for(order, lines)
    if amount > most:
        raise _not_now(
            order,
            f"refundAmount: {amount} {currency} is more than the {most} {currency} that these items may give back",
            refundable=most,
        )


def _not_now(order: Order, message: str, **more: Any) -> ApiError:
    return conflict(message, order.status, order_statuses(order), **more)
