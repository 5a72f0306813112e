"""updateTransaction: what became of a payment, as if its provider had said so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from api.commands.lookups import the_order
from api.commands.request_models import UpdateTransaction
from api.commands.write_endpoint import UPDATED, Document, Work, Write, conflict
from api.commands.written_documents import document
from api.errors import validation_error
from domain.order import Order
from domain.permitted_transitions import transaction_statuses
from domain.transaction import BY_HAND, Status, Transaction
from journal.commands import Request, Step

NAME_LENGTH = 255  # of a payment's id
_EVENTS = {Status.PAID: "PaymentSucceeded", Status.FAILED: "PaymentFailed", Status.CANCELED: "PaymentCanceled"}


def update(write: Write, sent: UpdateTransaction) -> Work:
    """The payment becomes `status`; the same once more changes nothing, and is answered the same.

    `paid` of one that brought too little: the rest came past its provider, and is a payment of its own, `manual:PAYMENT`.
    """

    def work(request: Request) -> tuple[int, Document]:
        order, payment = _payment_of(request, sent.paymentId)
        status = Status(sent.status)
        if status == payment.status == Status.PAID:
            payment_id = _rest_by_hand(request, order, payment, sent)
            return 200, {"doc": document(request, "transactions", payment_id, write.depth), "message": UPDATED}
        if status != payment.status:
            _may(order, payment, status)
            data: dict[str, Any] = {"paymentId": payment.payment_id}
            if status == Status.PAID:
                data |= _paid(_owed(order), payment.currency, sent)
            request.append(Step(_EVENTS[status], order.order_number, data))
        doc = document(request, "transactions", payment.id, write.depth)
        return 200, {"doc": doc, "message": UPDATED}

    return work


def _rest_by_hand(request: Request, order: Order, payment: Transaction, sent: UpdateTransaction) -> str:
    """The id of the payment that brought the rest of the order, or of `payment` itself where nothing was missing."""
    name = f"{BY_HAND}{payment.payment_id.removeprefix(BY_HAND)}"  # of one that is of that kind, itself
    known = next((one for one in order.transactions if one.payment_id == name), None)
    owed = _owed(order)
    if order.canceled_at is not None or owed <= 0:
        return payment.id if known is None else known.id
    if len(name) > NAME_LENGTH:
        raise validation_error(
            [("paymentId", f"is too long for {BY_HAND}PAYMENT; tell the rest as a payment of its own")]
        )
    before = known.amount if known is not None and known.paid_at is not None else Decimal(0)
    data = {"paymentId": name, **_paid(before + owed, payment.currency, sent)}
    told = request.append(Step("PaymentSucceeded", order.order_number, data))
    return next(one.id for one in told[order.id].transactions if one.payment_id == name)


def _paid(amount: Decimal, currency: str, sent: UpdateTransaction) -> dict[str, Any]:
    told = {"paymentMethod": sent.paymentMethod, "receiptUrl": sent.receiptUrl}
    return {"amount": format(amount, "f"), "currency": currency} | {n: v for n, v in told.items() if v is not None}


def _payment_of(request: Request, payment_id: str) -> tuple[Order, Transaction]:
    order = the_order(request, payment_id, "payment")
    return order, next(one for one in order.transactions if one.payment_id == payment_id)


def _may(order: Order, payment: Transaction, status: str) -> None:
    """ApiError 409 unless the payment may become `status`."""
    allowed = transaction_statuses(payment)
    if order.canceled_at is not None or _owed(order) <= 0:
        allowed = [one for one in allowed if one != Status.PAID]
    if status in allowed:
        return
    who = f"payment {payment.payment_id} is {payment.status}"
    if status == Status.CANCELED and payment.paid_at is not None:
        why = f"{who}: money that was captured is not canceled but refunded; cancel the order, or return its items"
    elif status == Status.PAID and payment.paid_at is None:
        why = f"{who}, and nothing is owed on order {order.order_number}, which is {order.status}"
    else:
        why = f"{who}; it cannot become {status}, but: {', '.join(allowed) or 'nothing'}"
    raise conflict(why, payment.status, allowed)


def _owed(order: Order) -> Decimal:
    """What no payment has brought yet."""
    return order.price() - order.captured()
