"""EasyPost's trackers in their wire format: `python -m providers.simulators.easypost`.

    POST /v2/trackers       {"tracker": {"tracking_code", "carrier"}}: the tracker, made if there was none
    GET  /v2/trackers/ID    the tracker

For `Authorization: Bearer KEY`. With a webhook's URL each new scan is told there as tracker.updated, signed with
X-Hmac-Signature. Errors are EasyPost's {"error": {"code", "message", "errors"}}.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from events.field_types import TrackingStatus
from providers.carriers import easypost
from providers.simulators.parcels import REQUESTS, Hub, Told, Webhook, run

KEY, SECRET = str(easypost.API_KEY.example), str(easypost.SECRETS.example)
STATUSES: dict[TrackingStatus, str] = {
    "pending": "pre_transit",
    "picked_up": "in_transit",
    "in_transit": "in_transit",
    "delivery_delayed": "in_transit",
    "out_for_delivery": "out_for_delivery",
    "delivery_failed": "failure",
    "return_to_sender": "return_to_sender",
    "delivered": "delivered",
}


class EasyPost:
    """EasyPost's dialect: a `Dialect`."""

    name = "easypost"
    labels = True
    requests = REQUESTS
    pushes = True

    def __init__(self, key: str = KEY, secret: str = SECRET, webhook: str | None = None) -> None:
        self._key, self._secret, self._webhook = key, secret, webhook
        self._numbers: dict[str, tuple[str, str]] = {}  # tracker → (carrier, number)
        self._told = 0

    def refusal(self, kind: str, pause: int) -> Response:
        """EasyPost's error, or a tracker in another shape."""
        if kind == "shape":
            return JSONResponse({"object": "Tracker", "tracking_code": 7, "tracking_details": "soon"})
        if kind == "rate_limit":
            return _error(429, "RATE_LIMITED", "Please slow down.", {"Retry-After": str(pause)})
        return _error(503, "SERVICE.UNAVAILABLE", "The service is not available.")

    def webhooks(self, hub: Hub, carrier: str, number: str) -> Sequence[Webhook]:
        """One event that holds the whole tracker, signed."""
        if self._webhook is None:
            return []
        self._told += 1
        now = _time(datetime.now(UTC))
        event = {
            "id": f"evt_{self._told:032x}",
            "object": "Event",
            "mode": "test",
            "description": "tracker.updated",
            "created_at": now,
            "updated_at": now,
            "previous_attributes": {},
            "result": self._tracker(hub, carrier, number),
        }
        body = orjson.dumps(event)
        made = hmac.new(unicodedata.normalize("NFKD", self._secret).encode(), body, hashlib.sha256).hexdigest()
        return [Webhook(self._webhook, body, {"X-Hmac-Signature": f"hmac-sha256-hex={made}"})]

    def routes(self, hub: Hub) -> list[Route]:
        """EasyPost's own paths, for whoever has the key."""

        async def make(request: Request) -> Response:
            asked = orjson.loads(await request.body()).get("tracker", {})
            carrier, number = str(asked.get("carrier")), str(asked.get("tracking_code"))
            return await answer(request, carrier, number)

        async def retrieve(request: Request) -> Response:
            found = self._numbers.get(request.path_params["id"])
            if found is None:
                return _error(404, "NOT_FOUND", "The requested resource could not be found.")
            return await answer(request, *found)

        async def answer(request: Request, carrier: str, number: str) -> Response:
            if request.headers.get("authorization") != f"Bearer {self._key}":
                return _error(401, "APIKEY.INACTIVE", "This api key is no longer active.")
            return await hub.mishap(request, number) or JSONResponse(self._tracker(hub, carrier, number))

        return [
            Route("/v2/trackers", make, methods=["POST"]),
            Route("/v2/trackers/{id}", retrieve, methods=["GET"]),
        ]

    def _tracker(self, hub: Hub, carrier: str, number: str) -> dict[str, Any]:
        """A tracker as EasyPost writes it; one that the carrier does not know is `unknown`, and has no details."""
        own_id = f"trk_{hashlib.sha256(f'{carrier} {number}'.encode()).hexdigest()[:32]}"
        self._numbers[own_id] = (carrier, number)
        details = [_detail(told) for told in hub.scans(carrier, number)] if hub.known(number) else []
        return {
            "id": own_id,
            "object": "Tracker",
            "mode": "test",
            "tracking_code": number,
            "carrier": carrier,
            "status": details[-1]["status"] if details else "unknown",
            "tracking_details": details,
        }


def _detail(told: Told) -> dict[str, Any]:
    place = {"object": "TrackingLocation", "city": told.step.location, "state": None, "country": "KR", "zip": None}
    return {
        "object": "TrackingDetail",
        "message": told.step.description,
        "status": STATUSES[told.step.status],
        "datetime": None if told.time is None else _time(told.time),
        "tracking_location": place,
    }


def _time(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "errors": []}}, status, headers)


if __name__ == "__main__":
    run("providers.simulators.easypost", EasyPost())
