"""The bank account of an order's refunds: told with a cancel or a return, or by itself; in no event, and answered masked."""

from __future__ import annotations

from api.commands.lookups import not_found, order_by_id
from api.commands.request_models import RefundAccount
from api.commands.write_endpoint import UPDATED, Document, Work, Write
from api.errors import validation_error
from domain.ids import format_id
from domain.order import Order
from journal.commands import Request
from outbound.refund_accounts import Vault
from outbound.refund_accounts import put as keep
from providers.registry import registry

SHOWN = 8  # banks that an error names


def put(write: Write, order_id: str, sent: RefundAccount) -> Work:
    """The account is kept in place of another, and refunds that waited for it go on; a customer's, of an order of theirs."""

    def work(request: Request) -> tuple[int, Document]:
        order = order_by_id(request, order_id)
        if write.caller.customer is not None and order.customer != write.caller.customer:
            raise not_found()
        shown = take(write, request, order, sent)
        return 200, {"doc": {"order": format_id("orders", order.id), **(shown or {})}, "message": UPDATED}

    return work


def take(
    write: Write, request: Request, order: Order, sent: RefundAccount | None, path: str = ""
) -> dict[str, str] | None:
    """Keep the account that came with a request, if one did; what may be shown of it. `path` is the body's field.

    Errors: ApiError 400 for a bank that the payments' providers do not know; AccountsOff; AccountInUse.
    """
    if sent is None:
        return None
    _check_bank(order, sent.bank, f"{path}bank")
    vault = Vault(write.doors.settings.account_keys)
    return keep(request.conn, vault, order.id, order.order_number, sent.as_told(), write.caller.source)


def _check_bank(order: Order, bank: str, path: str) -> None:
    """ApiError unless a provider of the order's payments knows the bank; one that has no codes takes any."""
    took = {payment.provider.lower() for payment in order.transactions if payment.provider}
    known = {each.title: each.refund_rules.banks for each in registry().of_kind("payments")
             if each.name in took and each.refund_rules is not None and each.refund_rules.banks}  # fmt: skip
    if known and not any(bank in banks for banks in known.values()):
        codes = "; ".join(f"{title}: {', '.join(sorted(banks)[:SHOWN])} …" for title, banks in known.items())
        raise validation_error([(path, f"is no bank that the payment's provider knows; use its own code ({codes})")])
