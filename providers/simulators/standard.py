"""A shop's own provider, by the documented contract (docs/reference/standard-provider.md).

    POST /v1/refunds         {"payment_id", "amount", "currency"} with an Idempotency-Key
    GET  /v1/payments/ID     one payment, with its refunds and disputes
    GET  /v1/payments        those that changed in a time, since and until, the earliest change first; after: behind that place

Webhooks are our own payment events, signed as Standard Webhooks. A request that is signed must be signed with the key. A
payment that nobody put there was taken elsewhere, at a cash desk: of it any amount is given back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from events.catalogue import NEWEST
from events.envelope import Envelope
from events.field_types import Amount, Currency, Name
from events.money import Money, MoneyError
from providers.base import BadSignature
from providers.payments.standard_webhooks import sign, verify
from providers.simulators.books import Answer, Books, Dispute, Payment, Refund
from providers.simulators.desk import Desk, Wanted

PAGE = 50
ELSEWHERE = "elsewhere"  # method of a payment that nobody put there
ERRORS = {
    "unknown": (404, "payment_unknown", "no such payment"),
    "refused": (409, "refused", "it is never refunded"),
    "busy": (409, "in_progress", "another request with this key is still running"),
    "reused": (422, "idempotency_key_reused", "the key was used for another refund"),
    "rate_limit": (429, "too_many_requests", "ask more slowly"),
    "stored_error": (500, "crashed", "something broke"),
    "unavailable": (503, "not_made", "try again"),
    "stale": (409, "stale", "unused: nothing is compared"),
    "tax_free": (409, "tax_free", "less of it is free of tax"),
    "exceeds": (409, "exceeds_captured", "more than is left of what was captured"),
    "currency": (409, "currency_mismatch", "it was paid in another currency"),
    "invalid": (400, "invalid", "no refund that can be made"),
    "unauthorized": (401, "signature_refused", "signed with another secret"),
}
# what became of a payment → our event
EVENTS = {"paid": "PaymentSucceeded", "failed": "PaymentFailed", "canceled": "PaymentCanceled"}
PENDING = {"authorized": "authorized", "awaiting_deposit": "awaiting_deposit"}


class _Asked(BaseModel):
    payment_id: Name
    amount: Annotated[Amount, Field(gt=0)]
    currency: Currency
    reason: str = ""
    tax_free: Amount = Decimal(0)
    vat: Amount = Decimal(0)


class Standard:
    """The contract's dialect: a `Dialect`."""

    name = "standard"
    late = "succeeded"
    replayed: Mapping[str, str] = {}
    stores_errors = False

    def __init__(self, key: str, secret: str) -> None:
        self._key, self._secret = key, secret

    def refund_id(self, number: int) -> str:
        """An id of this service's own."""
        return f"re_{number:06d}"

    def error(self, kind: str, payment_id: str) -> Answer:
        """The contract's error object of this kind."""
        status, code, message = ERRORS[kind]
        return Answer(status, {"error": code, "message": f"{payment_id}: {message}"})

    def made(self, books: Books, payment: Payment, refund: Refund) -> Answer:
        """The refund as the answer to its making."""
        return Answer(200, refund_object(payment, refund))

    def webhooks(self, books: Books, payment: Payment, refund: Refund | None, change: str) -> list[tuple[str, Any]]:
        """One of our payment events."""
        about: dict[str, Any] = {"paymentId": payment.payment_id}
        if refund is not None:
            failed = refund.status == "failed"
            about |= {"refund": refund.refund_id, "amount": format(refund.amount, "f"), "requestedAt": _time(refund.at)}
            about |= {"code": "account_closed"} if failed else {"status": refund.status}
            kind = "RefundFailed" if failed else "PaymentRefunded"
            return [_event(f"{refund.refund_id}:{refund.status}", kind, about)]
        kind, amount = EVENTS.get(change, "PaymentPending"), format(payment.amount, "f")
        if kind == "PaymentSucceeded":
            amount = format(payment.captured, "f")
            about |= {"amount": amount, "currency": payment.currency, "provider": self.name}
        elif kind == "PaymentPending":
            about |= {"amount": amount, "kind": PENDING.get(change, "processing")}
        return [_event(f"{payment.payment_id}:{change}", kind, about, payment.order_number)]

    def disputed(self, payment: Payment, dispute: Dispute) -> list[tuple[str, Any]]:
        """PaymentDisputed, with its outcome once there is one."""
        about = {"paymentId": payment.payment_id, "dispute": dispute.dispute_id, "amount": format(dispute.amount, "f")}
        outcome = {} if dispute.state == "open" else {"outcome": dispute.state}
        return [_event(f"{dispute.dispute_id}:{dispute.state}", "PaymentDisputed", about | outcome)]

    def signed(self, own_id: str, body: bytes) -> dict[str, str]:
        """The headers of Standard Webhooks, made now."""
        return sign(body, own_id, (self._secret,))

    def routes(self, desk: Desk) -> list[Route]:
        """The paths of the contract."""
        api = _Api(desk, self)
        return [
            Route("/v1/refunds", self._checked(api.refund), methods=["POST"]),
            Route("/v1/payments", self._checked(api.payments), methods=["GET"]),
            Route("/v1/payments/{payment_id:path}", self._checked(api.payment), methods=["GET"]),
        ]

    def _checked(self, answer: Any) -> Any:
        """The answer to whoever signs with the key, or not at all."""

        async def checked(request: Request) -> Response:
            if "webhook-signature" in request.headers:
                content = await request.body() if request.method == "POST" else _path(request)
                try:
                    verify(content, request.headers, (self._key,), datetime.now(UTC), self.name)
                except BadSignature:
                    return _json(self.error("unauthorized", request.url.path))
            found: Response = await answer(request)
            return found

        return checked


class _Api:
    def __init__(self, desk: Desk, dialect: Standard) -> None:
        self._desk, self._books, self._dialect = desk, desk.books, dialect

    async def refund(self, request: Request) -> Response:
        body, key = await request.body(), request.headers.get("idempotency-key")
        try:
            asked = _Asked.model_validate_json(body)
            money = Money(asked.amount, asked.currency)
        except (ValidationError, MoneyError):
            return _json(self._dialect.error("invalid", ""))
        if not key:
            return _json(self._dialect.error("invalid", asked.payment_id))
        payment = self._books.payment(asked.payment_id)
        if payment is not None and payment.currency != money.currency:
            return _json(self._dialect.error("currency", asked.payment_id))
        if payment is None or payment.method == ELSEWHERE:
            self._books.put(self._elsewhere(asked, money))
        wanted = Wanted(asked.payment_id, asked.amount, asked.reason, key, tax_free=asked.tax_free, vat=asked.vat)
        return await self._desk.give_back(wanted, key, body)

    def _elsewhere(self, asked: _Asked, money: Money) -> Payment:
        """A payment that was taken elsewhere, of which so much may go back on top of what went."""
        own_id, now = asked.payment_id, time.time()
        there, free = self._books.gone(own_id) + money.amount, self._books.gone_tax_free(own_id) + asked.tax_free
        return Payment(own_id, None, there, money.currency, ELSEWHERE, "paid", there, now, now, free)

    async def payment(self, request: Request) -> Response:
        payment_id = request.path_params["payment_id"]
        if mishap := self._desk.question(payment_id):
            return mishap
        payment = self._books.payment(payment_id)
        if payment is None:
            return _json(self._dialect.error("unknown", payment_id))
        return JSONResponse(payment_object(self._books, payment))

    async def payments(self, request: Request) -> Response:
        if mishap := self._desk.list_question("payments"):
            return mishap
        since, until = (datetime.fromisoformat(request.query_params[name]).timestamp() for name in ("since", "until"))
        at, _, behind = request.query_params.get("after", "").partition(":")
        place = (float(at), behind) if at else (0.0, "")
        rows = [row for row in self._books.between(since, until, by="changed") if row > place]
        told = [payment_object(self._books, self._books.known(own_id)) for _, own_id in rows[:PAGE]]
        more = len(rows) > PAGE
        return JSONResponse({"payments": told, "after": "{!r}:{}".format(*rows[PAGE - 1]) if more else None})


# -- objects -------------------------------------------------------------------------------------------------


def payment_object(books: Books, payment: Payment) -> dict[str, Any]:
    """A payment as the contract has it."""
    came = payment.state == "paid"
    return {
        "payment_id": payment.payment_id,
        "order_number": payment.order_number,
        "currency": payment.currency,
        "status": payment.state if payment.state in ("paid", "failed", "canceled") else "pending",
        "amount": format(payment.captured if came else payment.amount, "f"),
        "time": _time(payment.at if came else payment.changed),
        "refunds": [refund_object(payment, each) for each in books.refunds(payment.payment_id)],
        "disputes": [
            {
                "dispute_id": each.dispute_id,
                "amount": format(each.amount, "f"),
                "status": each.state,
                "time": _time(each.at),
            }
            for each in books.disputes(payment.payment_id)
        ],
    }


def refund_object(payment: Payment, refund: Refund) -> dict[str, Any]:
    """A refund as the contract has it."""
    told = {
        "refund_id": refund.refund_id,
        "payment_id": payment.payment_id,
        "amount": format(refund.amount, "f"),
        "currency": payment.currency,
        "time": _time(refund.at),
        "status": refund.status,
        "key": refund.key,
    }
    return told | ({"code": "account_closed"} if refund.status == "failed" else {})


def _event(own_id: str, kind: str, about: dict[str, Any], order: str | None = None) -> tuple[str, Any]:
    told = Envelope(own_id, "bank", kind, datetime.now(UTC), order, about, NEWEST.get(kind, 1))
    return own_id, told.as_document()


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _path(request: Request) -> bytes:
    raw, query = request.scope["raw_path"], request.scope["query_string"]
    return bytes(raw + (b"?" + query if query else b""))


def _json(answer: Answer) -> Response:
    return JSONResponse(answer.document, answer.status)
