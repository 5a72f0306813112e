"""PortOne's V2 API: `python -m providers.simulators.portone --key test_secret --errors 0.05`.

    GET /payments/ID   a payment, for `Authorization: PortOne KEY`
    PUT /payments/ID   what the payment is now (`payment` writes one)

Errors are PortOne's {"type", "message"}.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from providers.simulators.process import Mishaps, arguments, serve
from providers.simulators.records import Records

PAID = ("PAID", "PARTIAL_CANCELLED", "CANCELLED")
TYPES = {"NOT_FOUND_PAYMENT": "PAYMENT_NOT_FOUND", "UNAUTHORIZED_KEY": "UNAUTHORIZED"}


def payment(
    payment_id: str,
    status: str,
    units: int,
    at: datetime,
    *,
    back: int = 0,
    currency: str = "KRW",
    paid: bool | None = None,
) -> dict[str, Any]:
    """A payment's document as PortOne writes it; `units` and `back` are minor units of `currency`."""
    time = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    came = status in PAID if paid is None else paid
    document: dict[str, Any] = {
        "status": status,
        "id": payment_id,
        "transactionId": f"tx-{payment_id}",
        "amount": {"total": units, "taxFree": 0, "discount": 0, "paid": units if came else 0, "cancelled": back},
        "currency": currency,
        "method": {"type": "PaymentMethodCard"},
        "requestedAt": time,
        "statusChangedAt": time,
    }
    if came:
        document |= {"paidAt": time, "receiptUrl": f"https://receipts.example/{payment_id}"}
    if back:
        document["cancellations"] = [{"status": "SUCCEEDED", "totalAmount": back, "cancelledAt": time}]
    if status == "CANCELLED":
        document["cancelledAt"] = time
    if status == "FAILED":
        document |= {"failedAt": time, "failure": {"reason": "declined", "pgCode": "CARD_DECLINED"}}
    return document


def application(key: str, mishaps: Mishaps) -> Starlette:
    """The API of one shop."""
    records = Records(f"PortOne {key}", mishaps, _fault)

    async def put(request: Request) -> Response:
        return await records.put(request, request.path_params["payment_id"])

    async def get(request: Request) -> Response:
        return await records.answer(request, records.documents.get(request.path_params["payment_id"]))

    return Starlette(
        routes=[
            Route("/payments/{payment_id:path}", get, methods=["GET"]),
            Route("/payments/{payment_id:path}", put, methods=["PUT"]),
        ]
    )


def main() -> None:
    """Read the arguments and answer until a signal ends it."""
    parser = arguments("providers.simulators.portone", "PortOne's V2 API.")
    parser.add_argument("--key", default="test_secret", help="the shop's API secret (default test_secret)")
    given = parser.parse_args()
    serve(application(given.key, Mishaps(given.seed, given.errors)), given.port)


def _fault(status: int, code: str, message: str) -> Response:
    return JSONResponse({"type": TYPES.get(code, code), "message": message}, status)


if __name__ == "__main__":
    main()
