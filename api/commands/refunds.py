"""Commands on refunds: createRefund, settleRefund, allocateRefund and retryRefund."""

from __future__ import annotations

from collections.abc import Callable

from api.commands import refund_accounts
from api.commands.lookups import order_of, wanted_id
from api.commands.request_models import AllocateRefund, CreateRefund, SettleRefund
from api.commands.write_endpoint import UPDATED, Document, Work, Write, conflict
from api.commands.written_documents import document, documents
from api.errors import ApiError, validation_error
from domain.ids import format_id
from domain.order import Order
from domain.permitted_transitions import order_statuses
from domain.transaction import Transaction
from events.money import MoneyError
from journal.commands import Request
from operations import refund_decisions
from operations.refund_decisions import Asked, RefundAbsent, RefundConflict

CREATED = "Refund successfully created."
BY = "api"


def create(write: Write, sent: CreateRefund) -> Work:
    """Money goes back without a return; `doc` is null where what was given back before covers it."""

    def work(request: Request) -> tuple[int, Document]:
        order = order_of(request, sent)
        payment = None if sent.transaction is None else _payment(order, sent.transaction)
        try:
            asked = refund_decisions.ask(
                request, order, sent.amount, sent.reason, by=BY, payment=payment, note=sent.note
            )
        except MoneyError as error:
            raise validation_error([("amount", str(error))]) from None
        except RefundConflict as error:
            raise conflict(str(error), order.status, order_statuses(order), **error.figures) from None
        refund_accounts.take(write, request, order, sent.refundAccount, "refundAccount.")
        ids = asked.refund_ids
        found = {each["id"]: each for each in documents(request, "refunds", ids, write.depth)} if ids else {}
        docs = [found[format_id("refunds", each)] for each in ids]
        return 201, {
            "doc": docs[0] if docs else None,
            "alsoOf": docs[1:],
            "givenBackBefore": asked.given_back_before,
            "message": _said(asked, order.currency),
        }

    return work


def settle(write: Write, name: str, sent: SettleRefund) -> Work:
    """A person paid the refund back past the provider."""
    return _changed(
        write,
        name,
        lambda request, own: refund_decisions.settle(request, own, sent.method, by=BY, note=sent.note),
    )


def allocate(write: Write, name: str, sent: AllocateRefund) -> Work:
    """A person says what a refund was for that was made at the provider."""
    return _changed(write, name, lambda request, own: refund_decisions.allocate(request, own, sent.reason, by=BY))


def retry(write: Write, name: str) -> Work:
    """A refund that failed is tried again; the answer is the refund that goes out."""
    return _changed(write, name, lambda request, own: refund_decisions.retry(request, own, by=BY))


def _changed(write: Write, name: str, decide: Callable[[Request, str], str]) -> Work:
    own = wanted_id("refunds", name)

    def work(request: Request) -> tuple[int, Document]:
        if own is None:
            raise ApiError(404, "Not Found")
        try:
            refund_id = decide(request, own)
        except RefundAbsent:
            raise ApiError(404, "Not Found") from None
        except RefundConflict as error:
            figures = dict(error.figures)
            raise conflict(str(error), str(figures.pop("status", "")), [], **figures) from None
        return 200, {"doc": document(request, "refunds", refund_id, write.depth), "message": UPDATED}

    return work


def _payment(order: Order, name: str) -> Transaction:
    """The order's transaction of that id, ours or the provider's. Errors: ApiError 400 that lists those there are."""
    own = wanted_id("transactions", name)
    for payment in order.transactions:
        if name == payment.payment_id or own == payment.id:
            return payment
    known = ", ".join(each.payment_id for each in order.transactions[:5]) or "none"
    raise validation_error([("transaction", f"is no payment of order {order.order_number}; it has {known}")])


def _said(asked: Asked, currency: str | None) -> str:
    """The message: what was created, and what was given back before, whoever gave it."""
    if not asked.given_back_before:
        return CREATED
    before = f"{asked.given_back_before:f} {currency} were given back before"
    if not asked.covered:
        return f"{CREATED} {before}."
    goes_out = "nothing more goes out" if not asked.refund_ids else "the rest goes out"
    return f"{CREATED} {before}; they cover {asked.covered:f} of it, and {goes_out}."
