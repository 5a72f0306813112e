"""A payment provider: `python -m providers.simulators.provider --errors 0.05 --state FILE`.

    POST /v1/refunds         {"payment_id", "amount", "currency"} with an Idempotency-Key
    PUT  /v1/payments/ID     {"amount", "currency"}: what was captured, the most that can go back
    GET  /v1/payments/ID     what was refunded of one payment
    GET  /v1/refunds         every refund ever made, with its key; never meets a mishap

The same key and body answers the first refund again; with another body, 422. Refusals are not
remembered under their key. Payments that begin with REFUSE are always refused. A mishap may leave
the refund made and the client without an answer, so that whoever asks carelessly pays twice.
"""

from __future__ import annotations

import sqlite3
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from events.field_types import Amount, Currency, Name
from events.money import Money, MoneyError
from providers.simulators.ledger import Ledger, Refusal
from providers.simulators.process import Dropped, Mishaps, arguments, fault, serve, silence

REFUND_MISHAPS = {
    "not_made": 4,  # says so before it acts
    "lost": 1,  # drops the connection and does not act
    "late": 1,  # acts once the client has given up
    "cut": 2,  # acts, then drops the connection
    "silent": 1,  # acts, and never answers
    "crashed": 2,  # acts, then answers 500
}
QUESTION_MISHAPS = {"unavailable": 2, "cut": 1}


class _Captured(BaseModel):
    amount: Amount
    currency: Currency


class _Wanted(BaseModel):
    payment_id: Name
    amount: Annotated[Amount, Field(gt=0)]
    currency: Currency


class Desk:
    """The provider's HTTP side: reads requests, meets mishaps, asks the ledger."""

    def __init__(self, ledger: Ledger, mishaps: Mishaps) -> None:
        self._ledger, self._mishaps = ledger, mishaps

    async def refund(self, request: Request) -> Response:
        """Answer POST /v1/refunds: give money back."""
        key = request.headers.get("idempotency-key", "")
        body = await request.body()
        mishap = self._mishaps.next(f"refund {key}", REFUND_MISHAPS)
        if mishap == "not_made":
            return fault(503, "not_made", "nothing was refunded; try again")
        if mishap == "lost":
            return Dropped()
        if mishap == "late":
            await silence(request)
        answer = self._act(key, body)
        if mishap == "silent":
            await silence(request)
        if mishap == "cut":
            return Dropped()
        return fault(500, "crashed", "something broke") if mishap == "crashed" else answer

    async def register(self, request: Request) -> Response:
        """Answer PUT /v1/payments/ID: keep what was captured."""
        try:
            captured = _Captured.model_validate_json(await request.body())
            money = Money(captured.amount, captured.currency)
        except (ValidationError, MoneyError) as error:
            return fault(400, "invalid", str(error)[:500])
        self._ledger.register(request.path_params["payment_id"], money)
        return JSONResponse(self._ledger.payment(request.path_params["payment_id"]))

    async def payment(self, request: Request) -> Response:
        """Answer GET /v1/payments/ID: what was refunded."""
        payment_id = request.path_params["payment_id"]
        mishap = self._mishaps.next(f"payment {payment_id}", QUESTION_MISHAPS)
        if mishap is not None:
            return Dropped() if mishap == "cut" else fault(503, "unavailable", "try again")
        found = self._ledger.payment(payment_id)
        return JSONResponse(found) if found else fault(404, "payment_unknown", payment_id)

    async def refunds(self, request: Request) -> Response:
        """Answer GET /v1/refunds: every refund made."""
        return JSONResponse({"refunds": self._ledger.refunds()})

    def _act(self, key: str, body: bytes) -> Response:
        if not key:
            return fault(400, "idempotency_key_missing", "send an Idempotency-Key")
        try:
            wanted = _Wanted.model_validate_json(body)
            money = Money(wanted.amount, wanted.currency)
            return JSONResponse(self._ledger.refund(key, wanted.payment_id, money))
        except (ValidationError, MoneyError) as error:
            return fault(400, "invalid", str(error)[:500])
        except Refusal as refusal:
            return fault(refusal.status, refusal.code, refusal.message)


def application(desk: Desk) -> Starlette:
    """The provider as an application."""
    return Starlette(
        routes=[
            Route("/v1/refunds", desk.refund, methods=["POST"]),
            Route("/v1/refunds", desk.refunds, methods=["GET"]),
            Route("/v1/payments/{payment_id:path}", desk.register, methods=["PUT"]),
            Route("/v1/payments/{payment_id:path}", desk.payment, methods=["GET"]),
        ]
    )


def main() -> None:
    """Read the arguments and answer until a signal ends it."""
    parser = arguments("providers.simulators.provider", "A payment provider that gives money back.")
    parser.add_argument("--state", default=":memory:", metavar="FILE", help="SQLite; default memory")
    given = parser.parse_args()
    try:
        ledger = Ledger(given.state)
    except sqlite3.Error as error:
        parser.error(f"argument --state: {given.state} cannot be used ({error})")
    serve(application(Desk(ledger, Mishaps(given.seed, given.errors))), given.port)


if __name__ == "__main__":
    main()
