"""PortOne's V2 API in its wire format; every answer fits its OpenAPI document.

    GET  /payments/ID          a payment, for `Authorization: PortOne KEY`
    GET  /payments             payments whose state changed in a time; the body stands in `requestBody` of the query
    POST /payments/ID/cancel   all or a part goes back, with an Idempotency-Key
    PUT  /payments/ID          not PortOne's: the API answers this document from now on, word for word (`payment` writes one)

Webhooks (Transaction.Paid, .PartialCancelled, .Cancelled, .CancelPending) are signed as Standard Webhooks. Errors are
PortOne's {"type", "message"}.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from standardwebhooks import Webhook
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from events.money import Money
from providers.movements import reference_in
from providers.payments.portone_rules import UNITS
from providers.simulators.books import Answer, Books, Dispute, Payment, Refund
from providers.simulators.desk import Desk, Wanted
from providers.simulators.records import Records

PAID = ("PAID", "PARTIAL_CANCELLED", "CANCELLED")
TYPES = {"NOT_FOUND_PAYMENT": "PAYMENT_NOT_FOUND", "UNAUTHORIZED_KEY": "UNAUTHORIZED"}
STATUSES = {
    "paid": "PAID",
    "failed": "FAILED",
    "canceled": "CANCELLED",
    "authorized": "READY",
    "pending": "PAY_PENDING",
    "awaiting_deposit": "VIRTUAL_ACCOUNT_ISSUED",
}
STATES = {"pending": "REQUESTED", "succeeded": "SUCCEEDED", "failed": "FAILED", "canceled": "FAILED"}
ERRORS = {
    "unknown": (404, "PAYMENT_NOT_FOUND", "no such payment"),
    "refused": (409, "MAX_CANCEL_COUNT_REACHED", "cancellations were tried too often"),
    "busy": (409, "IDEMPOTENCY_OUTSTANDING_REQUEST", "the first request with this key is still running"),
    "reused": (400, "INVALID_REQUEST", "the Idempotency-Key was used with another request"),
    "rate_limit": (429, "TOO_MANY_REQUESTS", "too many requests"),
    "stored_error": (502, "PG_PROVIDER", "the payment gateway reports an error"),
    "unavailable": (503, "UNAVAILABLE", "try again"),
    "stale": (409, "CANCELLABLE_AMOUNT_CONSISTENCY_BROKEN", "another amount can be canceled"),
    "tax_free": (409, "CANCEL_TAX_FREE_AMOUNT_EXCEEDS_CANCELLABLE_TAX_FREE_AMOUNT", "another part is tax-free"),
    "exceeds": (409, "CANCEL_AMOUNT_EXCEEDS_CANCELLABLE_AMOUNT", "more than can be canceled"),
    "unauthorized": (401, "UNAUTHORIZED", "the API secret is missing or wrong"),
}
WEBHOOKS = {
    "paid": "Paid",
    "opened": "CancelPending",
    "pending": "PayPending",
    "awaiting_deposit": "VirtualAccountIssued",
}
DEPOSIT_S = 7 * 86_400  # that a virtual account takes a deposit


class PortOne:
    """PortOne's dialect: a `Dialect`."""

    name = "portone"
    late = "pending"
    replayed: Mapping[str, str] = {}
    stores_errors = True

    def __init__(self, key: str, secret: str) -> None:
        self._key, self._secret = f"PortOne {key}", secret

    def refund_id(self, number: int) -> str:
        """An id as PortOne's cancellations have it."""
        return str(uuid.UUID(int=number, version=4))

    def error(self, kind: str, payment_id: str) -> Answer:
        """PortOne's error object of this kind."""
        status, type_, message = ERRORS[kind]
        more = {"pgCode": "9999", "pgMessage": "일시적인 오류"} if type_ == "PG_PROVIDER" else {}
        return Answer(status, {"type": type_, "message": f"{message} ({payment_id})", **more})

    def made(self, books: Books, payment: Payment, refund: Refund) -> Answer:
        """The cancellation, in its envelope."""
        return Answer(200, {"cancellation": cancellation(payment, refund)})

    def webhooks(self, books: Books, payment: Payment, refund: Refund | None, change: str) -> list[tuple[str, Any]]:
        """A webhook says where to look, and no more; that a cancellation failed has none, and is seen by asking."""
        if change == "failed" and refund is not None:
            return []
        whole = books.gone(payment.payment_id) >= payment.captured > 0
        kind = WEBHOOKS.get(change) or ("Cancelled" if whole else "PartialCancelled")
        about = {"storeId": "store-1", "paymentId": payment.payment_id, "transactionId": f"tx-{payment.payment_id}"}
        if refund is not None:
            about["cancellationId"] = refund.refund_id
        document = {"type": f"Transaction.{kind}", "timestamp": _time(time.time()), "data": about}
        return [(f"wh-{payment.payment_id}-{refund.refund_id if refund else ''}-{change}", document)]

    def disputed(self, payment: Payment, dispute: Dispute) -> list[tuple[str, Any]]:
        """Transaction.DisputeCreated or .DisputeResolved, which does not say how it ended."""
        kind = "DisputeCreated" if dispute.state == "open" else "DisputeResolved"
        about = {"storeId": "store-1", "paymentId": payment.payment_id, "transactionId": f"tx-{payment.payment_id}"}
        document = {"type": f"Transaction.{kind}", "timestamp": _time(time.time()), "data": about}
        return [(f"wh-{dispute.dispute_id}-{dispute.state}", document)]

    def signed(self, own_id: str, body: bytes) -> dict[str, str]:
        """The headers of Standard Webhooks, made now."""
        now = datetime.now(UTC)
        made = Webhook(self._secret).sign(own_id, now, body.decode())
        return {"webhook-id": own_id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": made}

    def routes(self, desk: Desk) -> list[Route]:
        """PortOne's own paths, for whoever has the key."""
        records = Records(self._key, desk.mishaps, _fault)

        async def put(request: Request) -> Response:
            return await records.put(request, request.path_params["payment_id"])

        async def get(request: Request) -> Response:
            payment_id = request.path_params["payment_id"]
            found = desk.books.payment(payment_id)
            if found is None or payment_id in records.documents:
                return await records.answer(request, records.documents.get(payment_id))
            if refusal := desk.refusal(request, self._key):
                return refusal
            return desk.question(payment_id) or JSONResponse(document(desk.books, found))

        async def some(request: Request) -> Response:
            if refusal := desk.refusal(request, self._key) or desk.list_question("payments"):
                return refusal
            return JSONResponse(_page(desk.books, orjson.loads(request.query_params.get("requestBody", "{}"))))

        async def cancel(request: Request) -> Response:
            if refusal := desk.refusal(request, self._key):
                return refusal
            return await _cancel(desk, request)

        return [
            Route("/payments/{payment_id:path}/cancel", cancel, methods=["POST"]),
            Route("/payments", some, methods=["GET"]),
            Route("/payments/{payment_id:path}", get, methods=["GET"]),
            Route("/payments/{payment_id:path}", put, methods=["PUT"]),
        ]


async def _cancel(desk: Desk, request: Request) -> Response:
    payment_id, body = request.path_params["payment_id"], await request.body()
    payment = desk.books.payment(payment_id)
    asked = orjson.loads(body)
    currency = payment.currency if payment else "KRW"

    def major(name: str) -> Decimal | None:
        return UNITS.money(asked[name], currency).amount if name in asked else None

    if payment is not None and payment.method == "virtual_account" and "refundAccount" not in asked:
        return JSONResponse(
            {"type": "INVALID_REQUEST", "message": "refundAccount is needed for a virtual account"}, 400
        )
    reason = asked.get("reason", "")
    wanted = Wanted(payment_id, major("amount"), reason, reference_in(reason), major("currentCancellableAmount"))
    wanted = replace(wanted, tax_free=major("taxFreeAmount") or Decimal(0), vat=major("vatAmount") or Decimal(0))
    return await desk.give_back(wanted, request.headers.get("idempotency-key"), body)


def _page(books: Books, asked: dict[str, Any]) -> dict[str, Any]:
    page, wanted = asked.get("page") or {}, asked.get("filter") or {}
    size, number = int(page.get("size", 10)), int(page.get("number", 0))
    since = datetime.fromisoformat(wanted["from"]).timestamp() if "from" in wanted else 0.0
    until = datetime.fromisoformat(wanted["until"]).timestamp() if "until" in wanted else float("inf")
    found = [own_id for _, own_id in books.between(since, until, "changed")]
    items = [document(books, books.known(own_id)) for own_id in found[number * size : (number + 1) * size]]
    return {"items": items, "page": {"number": number, "size": size, "totalCount": len(found)}}


# -- documents -----------------------------------------------------------------------------------------------


def document(books: Books, found: Payment) -> dict[str, Any]:
    """A payment of the books as PortOne writes it."""
    refunds = books.refunds(found.payment_id)
    gone = sum((each.amount for each in refunds if each.status == "succeeded"), Decimal(0))
    status = STATUSES.get(found.state, "READY")
    if gone:
        status = "CANCELLED" if gone >= found.captured else "PARTIAL_CANCELLED"
    made = payment(
        found.payment_id,
        status,
        UNITS.units(Money(found.amount, found.currency)),
        datetime.fromtimestamp(found.at, UTC),
        back=UNITS.units(Money(gone, found.currency)),
        currency=found.currency,
        paid=found.captured > 0,
    )
    made |= {"statusChangedAt": _time(found.changed), "updatedAt": _time(found.changed)}
    made["amount"]["taxFree"] = UNITS.units(Money(found.tax_free, found.currency))
    if found.method == "virtual_account":
        made["method"] = virtual_account(found.at)
    if refunds:
        made["cancellations"] = [cancellation(found, each) for each in refunds]
    if status == "CANCELLED":
        made["cancelledAt"] = _time(found.changed)
    if status == "PAID":
        made["disputes"] = [_dispute(each) for each in books.disputes(found.payment_id)]
    return made


def _dispute(told: Dispute) -> dict[str, Any]:
    made = {"pgDisputeId": told.dispute_id, "reason": "fraudulent", "createdAt": _time(told.at)}
    return {**made, "status": "UNRESOLVED" if told.state == "open" else "RESOLVED"}


def cancellation(found: Payment, refund: Refund) -> dict[str, Any]:
    """A cancellation as PortOne writes it."""
    made = {
        "status": STATES[refund.status],
        "id": refund.refund_id,
        "totalAmount": UNITS.units(Money(refund.amount, found.currency)),
        "taxFreeAmount": UNITS.units(Money(refund.tax_free, found.currency)),
        "vatAmount": UNITS.units(Money(refund.vat, found.currency)),
        "reason": refund.reason,
        "requestedAt": _time(refund.at),
        "trigger": "API" if refund.key else "CONSOLE",
    }
    return made | ({"cancelledAt": _time(refund.at)} if refund.status == "succeeded" else {})


def virtual_account(issued: float) -> dict[str, Any]:
    """The method of a payment into a virtual account, issued then."""
    times = {"issuedAt": _time(issued), "expiredAt": _time(issued + DEPOSIT_S)}
    return {"type": "PaymentMethodVirtualAccount", "bank": "SHINHAN", "accountNumber": "10012345678901", **times}


def payment(
    payment_id: str,
    status: str,
    units: int,
    at: datetime,
    *,
    back: int | tuple[int, ...] = 0,
    currency: str = "KRW",
    paid: bool | None = None,
) -> dict[str, Any]:
    """A payment's document as PortOne writes it; `units` and `back` are minor units of `currency`.

    `back` went back, at once or in several cancellations.
    """
    gone = (back,) if isinstance(back, int) and back else back or ()
    moment = _time(at.timestamp())
    came = status in PAID if paid is None else paid
    made: dict[str, Any] = {
        "status": status,
        "id": payment_id,
        "transactionId": f"tx-{payment_id}",
        "merchantId": "merchant-1",
        "storeId": "store-1",
        "channel": {"type": "TEST", "id": "channel-1", "pgProvider": "TOSSPAYMENTS", "pgMerchantId": "tosstest"},
        "version": "V2",
        "orderName": "tea",
        "customer": {},
        "origin": {"platformType": "PC", "ipAddress": "127.0.0.1"},
        "amount": {
            "total": units,
            "taxFree": 0,
            "discount": 0,
            "paid": units if came else 0,
            "cancelled": sum(gone),
            "cancelledTaxFree": 0,
        },
        "currency": currency,
        "method": {"type": "PaymentMethodCard"},
        "requestedAt": moment,
        "updatedAt": moment,
        "statusChangedAt": moment,
    }
    if came:
        made |= {"paidAt": moment, "receiptUrl": f"https://receipts.example/{payment_id}"}
    if status == "PAID":
        made["disputes"] = []
    if status in ("CANCELLED", "PARTIAL_CANCELLED"):
        made |= {"cancelledAt": moment, "cancellations": []}
    if gone:
        kept = {"taxFreeAmount": 0, "vatAmount": 0, "reason": "returned", "requestedAt": moment, "cancelledAt": moment}
        made["cancellations"] = [
            {"status": "SUCCEEDED", "id": f"cancel-{nth}", "totalAmount": amount, **kept}
            for nth, amount in enumerate(gone, 1)
        ]
    if status == "VIRTUAL_ACCOUNT_ISSUED":
        made["method"] = virtual_account(at.timestamp())
    if status == "FAILED":
        made |= {"failedAt": moment, "failure": {"reason": "declined", "pgCode": "CARD_DECLINED"}}
    return made


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fault(status: int, code: str, message: str) -> Response:
    return JSONResponse({"type": TYPES.get(code, code), "message": message}, status)
