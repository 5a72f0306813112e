"""updateTransaction: what became of a payment, as if its provider had said so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from api.commands.lookups import the_order
from api.commands.request_models import UpdateTransaction
from api.commands.write_endpoint import UPDATED, Document, Work, Write, conflict
from api.commands.written_documents import document
from domain.order import Order
from domain.permitted_transitions import transaction_statuses
from domain.transaction import Status, Transaction
from journal.commands import Request, Step

_EVENTS = {Status.PAID: "PaymentSucceeded", Status.FAILED: "PaymentFailed", Status.CANCELED: "PaymentCanceled"}


def update(write: Write, sent: UpdateTransaction) -> Work:
    """The payment becomes `status`; the same once more changes nothing, and is answered the same."""

    def work(request: Request) -> tuple[int, Document]:
        order, payment = _payment_of(request, sent.paymentId)
        status = Status(sent.status)
        if status != payment.status:
            _may(order, payment, status)
            data: dict[str, Any] = {"paymentId": payment.payment_id}
            if status == Status.PAID:
                told = {"paymentMethod": sent.paymentMethod, "receiptUrl": sent.receiptUrl}
                data |= {"amount": format(_owed(order), "f"), "currency": payment.currency}
                data |= {name: value for name, value in told.items() if value is not None}
            request.append(Step(_EVENTS[status], order.order_number, data))
        doc = document(request, "transactions", payment.id, write.depth)
        return 200, {"doc": doc, "message": UPDATED}

    return work


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
