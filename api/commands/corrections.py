"""Commands that correct an order: cancelItems, hold and release."""

from __future__ import annotations

from collections.abc import Callable

from api.commands import refund_accounts
from api.commands.lookups import lines_of, order_by_id
from api.commands.request_models import CancelItems, HoldOrder, RefundAccount, ReleaseOrder
from api.commands.write_endpoint import UPDATED, Document, Work, Write, conflict
from api.commands.written_documents import document
from api.errors import ApiError, validation_error
from domain.order import Order
from domain.permitted_transitions import order_statuses
from events.money import MoneyError
from journal.commands import Request, Step
from operations import corrections
from operations.corrections import CorrectionRefused


def cancel_items(write: Write, order_id: str, sent: CancelItems) -> Work:
    """Some of the items of an order are canceled: all that are listed, or none."""

    def step(request: Request, order: Order) -> Step:
        lines = lines_of(order, sent.items)
        return corrections.cancel_items(
            request, order, lines, by="api", reason=sent.reason, refund_amount=sent.refundAmount
        )

    return _corrected(write, order_id, step, sent.refundAccount)


def hold(write: Write, order_id: str, sent: HoldOrder) -> Work:
    """Somebody holds the order."""

    def step(request: Request, order: Order) -> Step:
        return corrections.hold(request, order, sent.hold, by="api", reason=sent.reason, until=sent.until)

    return _corrected(write, order_id, step)


def release(write: Write, order_id: str, sent: ReleaseOrder) -> Work:
    """Somebody releases a hold of the order."""

    def step(request: Request, order: Order) -> Step:
        return corrections.release(request, order, sent.hold, by="api", reason=sent.reason)

    return _corrected(write, order_id, step)


def _corrected(
    write: Write, order_id: str, make: Callable[[Request, Order], Step], account: RefundAccount | None = None
) -> Work:
    """The order after the event that `make` makes of it, locked; `account` is where its refund goes."""

    def work(request: Request) -> tuple[int, Document]:
        order = order_by_id(request, order_id)
        try:
            step = make(request, order)
        except CorrectionRefused as error:
            raise refused(order, error) from None
        except MoneyError as error:
            raise validation_error([("refundAmount", str(error))]) from None
        corrections.apply(request, order, step, write.caller.source)
        refund_accounts.take(write, request, order, account, "refundAccount.")
        return 200, {"doc": document(request, "orders", order.id, write.depth), "message": UPDATED}

    return work


def refused(order: Order, error: CorrectionRefused) -> ApiError:
    """409: where the order stands, and what it may be asked for."""
    return conflict(str(error), order.status, order_statuses(order), **error.more)
