# Written by client/write_sync.py from _async; change that.
"""Refunds: money that goes back without a return, and what a person decides about one that is under way."""

from __future__ import annotations

from order_lifecycle_client._sync.connection import Connection
from order_lifecycle_client.codec import query_string, segment
from order_lifecycle_client.models import Refund, RefundCreated
from order_lifecycle_client.request_types import Allocation, Amount, RefundAccountInput, RefundReason
from order_lifecycle_client.retry_policy import doc, write


class Refunds:
    """The changes to refunds, by the shop's backend."""

    _connection: Connection

    def create_refund(
        self,
        *,
        order: str | None = None,
        order_number: str | None = None,
        amount: Amount,
        reason: RefundReason,
        transaction: str | None = None,
        note: str | None = None,
        refund_account: RefundAccountInput | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> RefundCreated:
        """Give money back without a return; of `transaction` (its id or payment id), else of the last payment.

        `refund_account`: where it goes, of a payment by virtual account.

        Errors: NotFound; ValidationFailed; Conflict, whose data has the figures, where that is more than may go back.
        """
        body = {
            "order": order,
            "order_number": order_number,
            "amount": amount,
            "reason": reason,
            "transaction": transaction,
            "note": note,
            "refund_account": refund_account,
        }
        query, read = query_string(depth=depth), RefundCreated.model_validate
        call = write("POST", "/api/refunds", read, body, query=query, idempotency_key=idempotency_key)
        return self._connection.send(call)

    def settle_refund(
        self, id: str, *, method: str, note: str | None = None, depth: int = 0, idempotency_key: str | None = None
    ) -> Refund:
        """Tell that a refund was paid back by hand, past the provider.

        Errors: NotFound; Conflict while an attempt is under way or in doubt, and where it went back.
        """
        body, query = {"method": method, "note": note}, query_string(depth=depth)
        path = f"/api/refunds/{segment(id)}/settle"
        call = write("POST", path, doc(Refund), body, query=query, idempotency_key=idempotency_key)
        return self._connection.send(call)

    def allocate_refund(
        self, id: str, *, reason: Allocation, depth: int = 0, idempotency_key: str | None = None
    ) -> Refund:
        """Say what a refund was for that somebody made at the provider. Errors: NotFound; Conflict where it is ours."""
        body, query = {"reason": reason}, query_string(depth=depth)
        path = f"/api/refunds/{segment(id)}/allocate"
        call = write("POST", path, doc(Refund), body, query=query, idempotency_key=idempotency_key)
        return self._connection.send(call)

    def retry_refund(self, id: str, *, depth: int = 0, idempotency_key: str | None = None) -> Refund:
        """Try a refund again that failed; the answer is the refund that goes out, which may be another one.

        Errors: NotFound; Conflict where it waits for no retry.
        """
        path, query = f"/api/refunds/{segment(id)}/retry", query_string(depth=depth)
        call = write("POST", path, doc(Refund), {}, query=query, idempotency_key=idempotency_key)
        return self._connection.send(call)
