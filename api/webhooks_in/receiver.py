"""The routes of webhooks in. The raw body is verified before it is parsed; 2xx means committed in the journal.

202 new · 200 a duplicate · 400 malformed · 401 bad or stale signature · 404 not configured · 413 too large
(api/body_middleware.py) · 503 PostgreSQL is away: send it again.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.errors import ApiError, validation_error
from api.responses import Json
from api.webhooks_in import Inbound
from api.webhooks_in.group_commit import Verdict
from events.envelope import EnvelopeError
from providers.base import PATH_SECRET, BadSignature, Kind, WebhookReceiver
from providers.webhook_verification import NO_JSON
from storage.clock import clock
from telemetry import traces

router = APIRouter(prefix="/webhooks", tags=["Webhooks in"])

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Delivered before: committed then, and counted as a duplicate now"},
    202: {"description": "New, and committed in the journal"},
    400: {"description": "Verified, but no event that can be kept"},
    401: {"description": "The signature is missing, wrong, or over five minutes off"},
    429: {"description": "One address sent too many webhooks that its provider does not sign"},
    404: {"description": "No such provider or carrier is configured here"},
}
BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


@router.post("/payments/{provider}", status_code=202, responses=ANSWERS, openapi_extra=BODY)
async def receive_payment_webhook(provider: str, request: Request) -> Response:
    """Take a payment provider's webhook; `orders doctor` and the table of providers say which there are."""
    return await _take(request, provider, "payments")


@router.post("/carriers/{carrier}", status_code=202, responses=ANSWERS, openapi_extra=BODY)
async def receive_carrier_webhook(carrier: str, request: Request) -> Response:
    """Take a carrier's webhook; the table of providers says which carriers there are."""
    return await _take(request, carrier, "carrier")


@router.post("/carriers/{carrier}/{secret:path}", status_code=202, responses=ANSWERS, openapi_extra=BODY)
async def receive_unsigned_carrier_webhook(carrier: str, secret: str, request: Request) -> Response:
    """Take the webhook of a carrier that signs none: the path ends with a secret."""
    return await _take(request, carrier, "carrier", secret)


def _inbound(request: Request) -> Inbound:
    inbound: Inbound = request.app.state.inbound
    return inbound


async def _take(request: Request, name: str, kind: Kind, secret: str = "") -> Response:
    inbound = _inbound(request)
    receive = inbound.receivers[kind].get(name)
    if receive is None:
        raise ApiError(404, f"No webhooks are taken here under this name; {inbound.hint(kind, name)}", name="NotFound")
    with traces.span("webhook receipt", provider=name) as span:
        return await _receive(request, inbound, receive, name, secret, span)


async def _receive(
    request: Request, inbound: Inbound, receive: WebhookReceiver, name: str, secret: str, span: traces.Span
) -> Response:
    body = await request.body()
    try:
        notice = receive(body, {**request.headers, PATH_SECRET: secret}, clock())
    except BadSignature as error:
        raise ApiError(401, str(error), name="UnauthorizedError") from None
    except EnvelopeError as error:
        fault = (error.field, str(error).partition(": ")[2])
        raise (ApiError(400, "Invalid JSON") if fault[1].startswith(NO_JSON) else validation_error([fault])) from None
    if notice.unsigned:
        inbound.arrivals.take(request.client.host if request.client else "")
    span.note(event_id=notice.envelope.id, event_type=notice.envelope.type)
    verdict = await inbound.journaler.accept(notice, name, len(body))
    span.note(outcome=verdict)
    if verdict is Verdict.NEW:
        return Json({"id": notice.envelope.id, "status": "accepted"}, 202)
    reason = {"reason": "body_differs"} if verdict is Verdict.BODY_DIFFERS else {}
    return Json({"id": notice.envelope.id, "status": "duplicate", **reason}, 200)
