"""Toss Payments' API in its wire format.

    GET  /v1/payments/KEY            a payment by its paymentKey, for Basic authorization with the secret key
    GET  /v1/payments/orders/ORDER   and by its orderId
    POST /v1/payments/KEY/cancel     all or a part goes back, with an Idempotency-Key
    GET  /v1/transactions            payments and cancellations of a time
    PUT  /v1/payments/KEY            not Toss's: the API answers this document from now on (`payment` writes one)

Webhooks are PAYMENT_STATUS_CHANGED, and not signed. Errors are Toss's {"code", "message"}.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from providers.movements import reference_in
from providers.simulators.books import Answer, Books, Dispute, Payment, Refund
from providers.simulators.desk import Desk, Wanted
from providers.simulators.records import Records

KST = timezone(timedelta(hours=9))
APPROVED = ("DONE", "CANCELED", "PARTIAL_CANCELED")
STATUSES = {
    "paid": "DONE",
    "failed": "ABORTED",
    "canceled": "CANCELED",
    "authorized": "WAITING_FOR_DEPOSIT",
    "awaiting_deposit": "WAITING_FOR_DEPOSIT",
}
DEPOSIT = timedelta(days=7)  # that a virtual account takes a deposit
STATES = {"pending": "IN_PROGRESS", "succeeded": "DONE", "failed": "ABORTED", "canceled": "ABORTED"}
ERRORS = {
    "unknown": (404, "NOT_FOUND_PAYMENT", "존재하지 않는 결제 정보 입니다."),
    "refused": (403, "EXCEED_MAX_REFUND_DUE", "환불 가능한 기간이 지났습니다."),
    "busy": (409, "IDEMPOTENT_REQUEST_PROCESSING", "이전 멱등 요청이 처리중입니다."),
    "reused": (400, "INVALID_REQUEST", "잘못된 요청입니다."),
    "rate_limit": (429, "TOO_MANY_REQUESTS", "요청이 너무 많습니다."),
    "stored_error": (500, "FAILED_INTERNAL_SYSTEM_PROCESSING", "내부 시스템 처리 작업이 실패했습니다."),
    "unavailable": (503, "UNAVAILABLE", "try again"),
    "stale": (400, "NOT_MATCHES_REFUNDABLE_AMOUNT", "잔액 결과가 일치하지 않습니다."),
    "tax_free": (403, "NOT_CANCELABLE_AMOUNT", "취소 할 수 없는 면세 금액 입니다."),
    "exceeds": (403, "NOT_CANCELABLE_AMOUNT", "취소 할 수 없는 금액 입니다."),
    "unauthorized": (401, "UNAUTHORIZED_KEY", "인증되지 않은 시크릿 키 혹은 클라이언트 키 입니다."),
}


class Toss:
    """Toss Payments' dialect: a `Dialect`."""

    name = "toss"
    late = "pending"
    replayed: Mapping[str, str] = {}
    stores_errors = True

    def __init__(self, key: str, secret: str) -> None:
        self._key = f"Basic {b64encode(f'{key}:'.encode()).decode()}"

    def refund_id(self, number: int) -> str:
        """A transaction key as Toss's cancellations have it."""
        return f"{number:032X}"

    def error(self, kind: str, payment_id: str) -> Answer:
        """Toss's error object of this kind."""
        status, code, message = ERRORS[kind]
        return Answer(status, {"code": code, "message": message})

    def made(self, books: Books, payment: Payment, refund: Refund) -> Answer:
        """The payment, with the cancellation in it."""
        return Answer(200, document(books, payment))

    def webhooks(self, books: Books, payment: Payment, refund: Refund | None, change: str) -> list[tuple[str, Any]]:
        """A webhook tells the payment's state, and anybody could have sent it."""
        told = {"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": datetime.now(KST).replace(tzinfo=None).isoformat()}
        own_id = f"{payment.payment_id}-{refund.refund_id if refund else ''}-{change}"
        return [(own_id, {**told, "data": document(books, payment)})]

    def disputed(self, payment: Payment, dispute: Dispute) -> list[tuple[str, Any]]:
        """Nothing: Toss tells of no disputes."""
        return []

    def signed(self, own_id: str, body: bytes) -> dict[str, str]:
        """The id of a transmission, by which a repeated one is known."""
        return {"tosspayments-webhook-transmission-id": own_id}

    def routes(self, desk: Desk) -> list[Route]:
        """Toss's own paths, for whoever has the key."""
        records = Records(self._key, desk.mishaps, _fault)

        async def put(request: Request) -> Response:
            return await records.put(request, request.path_params["key"])

        async def by_key(request: Request) -> Response:
            key = request.path_params["key"]
            return await answer(request, records.documents.get(key), desk.books.payment(key))

        async def by_order(request: Request) -> Response:
            order = request.path_params["order"]
            said = (each for each in reversed(records.documents.values()) if each.get("orderId") == order)
            kept = (each for each in reversed(desk.books.payments()) if each.order_number == order)
            return await answer(request, next(said, None), next(kept, None))

        async def answer(request: Request, said: dict[str, Any] | None, kept: Payment | None) -> Response:
            if said is not None or kept is None:
                return await records.answer(request, said)
            refusal = desk.refusal(request, self._key) or desk.question(kept.payment_id)
            return refusal or JSONResponse(document(desk.books, kept))

        async def cancel(request: Request) -> Response:
            return desk.refusal(request, self._key) or await _cancel(desk, request)

        async def transactions(request: Request) -> Response:
            refusal = desk.refusal(request, self._key) or desk.list_question("transactions")
            return refusal or JSONResponse(_transactions(desk.books, request.query_params))

        return [
            Route("/v1/payments/orders/{order:path}", by_order, methods=["GET"]),
            Route("/v1/payments/{key:path}/cancel", cancel, methods=["POST"]),
            Route("/v1/payments/{key:path}", by_key, methods=["GET"]),
            Route("/v1/payments/{key:path}", put, methods=["PUT"]),
            Route("/v1/transactions", transactions, methods=["GET"]),
        ]


async def _cancel(desk: Desk, request: Request) -> Response:
    key, body = request.path_params["key"], await request.body()
    payment, asked = desk.books.payment(key), orjson.loads(body)
    if payment is not None and payment.method == "virtual_account" and "refundReceiveAccount" not in asked:
        return JSONResponse({"code": "INVALID_REFUND_ACCOUNT_INFO", "message": "환불 계좌를 입력하세요."}, 400)

    def amount(name: str) -> Decimal | None:
        return None if asked.get(name) is None else Decimal(str(asked[name]))

    reason = asked.get("cancelReason", "")
    wanted = Wanted(key, amount("cancelAmount"), reason, reference_in(reason), amount("refundableAmount"))
    wanted = replace(wanted, tax_free=amount("taxFreeAmount") or Decimal(0))
    return await desk.give_back(wanted, request.headers.get("idempotency-key"), body)


def _transactions(books: Books, asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """Transactions of a time, oldest first: one per payment, one per cancellation."""
    since, until = (_seconds(asked.get(name)) for name in ("startDate", "endDate"))
    span = since or 0.0, until or float("inf")
    rows = sorted([*((at, f"T{own}", own) for at, own in books.between(*span)), *books.refunds_between(*span)])
    keys = [own for _, own, _ in rows]
    after = keys.index(asked["startingAfter"]) + 1 if asked.get("startingAfter") in keys else 0
    return [_transaction(books, *row) for row in rows[after : after + int(asked.get("limit", 100))]]


def _transaction(books: Books, at: float, own: str, payment_id: str) -> dict[str, Any]:
    """A transaction: a payment's approval, or a cancellation, which tells what was canceled."""
    payment = books.known(payment_id)
    refund = next((each for each in books.refunds(payment_id) if each.refund_id == own), None)
    status = STATUSES[payment.state]
    if refund is not None:
        status = "CANCELED" if books.gone(payment_id) >= payment.captured else "PARTIAL_CANCELED"
    return {
        "mId": "tosstest",
        "transactionKey": own,
        "paymentKey": payment_id,
        "orderId": payment.order_number or payment_id,
        "method": "가상계좌" if payment.method == "virtual_account" else "카드",
        "customerKey": None,
        "useEscrow": False,
        "receiptUrl": f"https://dashboard.tosspayments.com/receipt/{payment_id}",
        "status": status,
        "amount": _number(payment.amount if refund is None else refund.amount),
        "transactionAt": _time(at),
        "currency": payment.currency,
    }


def _seconds(date: str | None) -> float | None:
    return None if date is None else datetime.fromisoformat(date).replace(tzinfo=KST).timestamp()


# -- documents -----------------------------------------------------------------------------------------------


def document(books: Books, found: Payment) -> dict[str, Any]:
    """A payment of the books as Toss writes it."""
    refunds = books.refunds(found.payment_id)
    gone = sum((each.amount for each in refunds if each.status == "succeeded"), Decimal(0))
    status = STATUSES[found.state]
    if gone:
        status = "CANCELED" if gone >= found.captured else "PARTIAL_CANCELED"
    made = payment(
        found.payment_id,
        found.order_number or found.payment_id,
        status,
        _number(found.amount),
        datetime.fromtimestamp(found.at, KST),
        back=_number(gone),
        approved=found.captured > 0,
        currency=found.currency,
    )
    left = found.captured
    cancels = []
    for each in refunds:
        left -= each.amount if each.status == "succeeded" else Decimal(0)
        cancels.append(
            {
                "transactionKey": each.refund_id,
                "cancelReason": each.reason,
                "cancelAmount": _number(each.amount),
                "taxFreeAmount": _number(each.tax_free),
                "refundableAmount": _number(left),
                "canceledAt": _time(each.at),
                "cancelStatus": STATES[each.status],
                "cancelRequestId": None,
            }
        )
    if found.method == "virtual_account":
        made |= virtual_account(datetime.fromtimestamp(found.at, KST))
    return {**made, "cancels": cancels or None}


def virtual_account(issued: datetime) -> dict[str, Any]:
    """The fields of a payment into a virtual account, issued then; Toss writes its times without their zone."""
    due = (issued.astimezone(KST) + DEPOSIT).replace(tzinfo=None).isoformat(timespec="seconds")
    account = {"accountType": "일반", "accountNumber": "X6505636518308", "bankCode": "88", "customerName": "김토스"}
    return {"method": "가상계좌", "virtualAccount": {**account, "dueDate": due}}


def payment(
    key: str,
    order: str,
    status: str,
    amount: float,
    at: datetime,
    *,
    back: float | tuple[float, ...] = 0,
    approved: bool | None = None,
    currency: str = "KRW",
) -> dict[str, Any]:
    """A payment's document as Toss writes it; `approved` says whether it ever was paid.

    `back` went back, at once or in several cancellations.
    """
    gone = back if isinstance(back, tuple) else (back,) if back else ()
    moment = at.astimezone(KST).isoformat(timespec="seconds")
    paid = status in APPROVED if approved is None else approved
    canceled = {"cancelReason": "returned", "canceledAt": moment, "cancelStatus": "DONE"}
    made = {
        "version": "2022-11-16",
        "paymentKey": key,
        "orderId": order,
        "orderName": "tea",
        "status": status,
        "currency": currency,
        "method": "카드",
        "totalAmount": amount,
        "balanceAmount": _number(
            Decimal(str(amount)) - sum(Decimal(str(each)) for each in gone)
        ),  # floats: 15 decimals
        "requestedAt": moment,
        "approvedAt": moment if paid else None,
        "cancels": [
            {"transactionKey": f"T-{nth}", "cancelAmount": each, **canceled} for nth, each in enumerate(gone, 1)
        ]
        or None,
        "failure": {"code": "REJECT_CARD_COMPANY", "message": "declined"} if status == "ABORTED" else None,
        "receipt": {"url": f"https://dashboard.tosspayments.com/receipt/{key}"} if paid else None,
        "secret": f"ps_{key}",
    }
    return made | virtual_account(at) if status == "WAITING_FOR_DEPOSIT" else made


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, KST).isoformat(timespec="seconds")


def _number(amount: Decimal) -> int | float:
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _fault(status: int, code: str, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, status)
