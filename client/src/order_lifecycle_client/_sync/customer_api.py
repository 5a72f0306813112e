# Written by client/write_sync.py from _async; change that.
"""The changes that a customer may make: a return, and its withdrawal, and the bank account that their refunds go to."""

from __future__ import annotations

from collections.abc import Sequence

from order_lifecycle_client._sync.connection import Connection
from order_lifecycle_client.codec import query_string, segment
from order_lifecycle_client.models import RefundAccount, Return
from order_lifecycle_client.request_types import ItemInput, Reason, RefundAccountInput
from order_lifecycle_client.retry_policy import doc, the_account, write


class CustomerApi:
    """The changes that a customer may make."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create_return(
        self,
        *,
        order: str | None = None,
        order_number: str | None = None,
        reason: Reason,
        items: Sequence[ItemInput] | None = None,
        note: str | None = None,
        carrier: str | None = None,
        tracking_number: str | None = None,
        refund_account: RefundAccountInput | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Return:
        """Ask for items of an order to go back; without `items`, for all that can. Name the order by id or number.

        Errors: NotFound; Conflict where the items cannot be returned, or no more.
        """
        body = {
            "order": order,
            "order_number": order_number,
            "reason": reason,
            "items": items,
            "note": note,
            "carrier": carrier,
            "tracking_number": tracking_number,
            "refund_account": refund_account,
        }
        query = query_string(depth=depth)
        call = write("POST", "/api/returns", doc(Return), body, query=query, idempotency_key=idempotency_key)
        return self._connection.send(call)

    def withdraw_return(
        self, id: str, *, note: str | None = None, depth: int = 0, idempotency_key: str | None = None
    ) -> Return:
        """Withdraw a return until it was received or completed; it is then "rejected", by "customer".

        Errors: NotFound; Conflict, whose data has `receivedAt` where that is why.
        """
        path, query = f"/api/returns/{segment(id)}/withdraw", query_string(depth=depth)
        call = write("POST", path, doc(Return), {"note": note}, query=query, idempotency_key=idempotency_key)
        return self._connection.send(call)

    def put_refund_account(
        self,
        id: str,
        *,
        bank: str,
        number: str,
        holder_name: str,
        holder_phone_number: str | None = None,
        idempotency_key: str | None = None,
    ) -> RefundAccount:
        """Tell the bank account that an order's refunds go to; those that wait for it go out. It is answered masked.

        `bank` is the code of the payment's provider. Errors: NotFound; ValidationFailed for a bank that it does not know;
        Conflict while a refund of the order is under way.
        """
        body = {
            "bank": bank,
            "number": number,
            "holder_name": holder_name,
            "holder_phone_number": holder_phone_number,
        }
        path = f"/api/orders/{segment(id)}/refund-account"
        call = write("PUT", path, the_account, body, idempotency_key=idempotency_key)
        return self._connection.send(call)
