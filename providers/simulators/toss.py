"""Toss Payments' API: `python -m providers.simulators.toss --key test_sk --errors 0.05`.

    GET /v1/payments/KEY            a payment by its paymentKey, for Basic authorization with the secret key
    GET /v1/payments/orders/ORDER   and by its orderId
    PUT /v1/payments/KEY            what the payment is now (`payment` writes one)

Errors are Toss's {"code", "message"}.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta, timezone
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from providers.simulators.process import Mishaps, arguments, serve
from providers.simulators.records import Records

KST = timezone(timedelta(hours=9))
APPROVED = ("DONE", "CANCELED", "PARTIAL_CANCELED")


def payment(
    key: str, order: str, status: str, amount: int, at: datetime, *, back: int = 0, approved: bool | None = None
) -> dict[str, Any]:
    """A payment's document as Toss writes it; `back` went back, and `approved` says whether it ever was paid."""
    time = at.astimezone(KST).isoformat(timespec="seconds")
    paid = status in APPROVED if approved is None else approved
    return {
        "version": "2022-11-16",
        "paymentKey": key,
        "orderId": order,
        "orderName": "tea",
        "status": status,
        "currency": "KRW",
        "method": "카드",
        "totalAmount": amount,
        "balanceAmount": amount - back,
        "requestedAt": time,
        "approvedAt": time if paid else None,
        "cancels": [{"cancelAmount": back, "canceledAt": time}] if back else None,
        "failure": {"code": "REJECT_CARD_COMPANY", "message": "declined"} if status == "ABORTED" else None,
        "receipt": {"url": f"https://dashboard.tosspayments.com/receipt/{key}"} if paid else None,
        "secret": f"ps_{key}",
    }


def application(key: str, mishaps: Mishaps) -> Starlette:
    """The API of one shop."""
    records = Records(f"Basic {b64encode(f'{key}:'.encode()).decode()}", mishaps, _fault)

    async def put(request: Request) -> Response:
        return await records.put(request, request.path_params["key"])

    async def by_key(request: Request) -> Response:
        return await records.answer(request, records.documents.get(request.path_params["key"]))

    async def by_order(request: Request) -> Response:
        order = request.path_params["order"]
        found = (each for each in reversed(records.documents.values()) if each.get("orderId") == order)
        return await records.answer(request, next(found, None))

    return Starlette(
        routes=[
            Route("/v1/payments/orders/{order:path}", by_order, methods=["GET"]),
            Route("/v1/payments/{key:path}", by_key, methods=["GET"]),
            Route("/v1/payments/{key:path}", put, methods=["PUT"]),
        ]
    )


def main() -> None:
    """Read the arguments and answer until a signal ends it."""
    parser = arguments("providers.simulators.toss", "Toss Payments' API.")
    parser.add_argument("--key", default="test_sk", help="the shop's secret key (default test_sk)")
    given = parser.parse_args()
    serve(application(given.key, Mishaps(given.seed, given.errors)), given.port)


def _fault(status: int, code: str, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, status)


if __name__ == "__main__":
    main()
