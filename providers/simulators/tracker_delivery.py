"""tracker.delivery's API in its wire format: `python -m providers.simulators.tracker_delivery`.

    POST /oauth2/token   an access token, for Basic authorization with the client's id and secret
    POST /graphql        Query.track and Mutation.registerTrackWebhook, for `Authorization: Bearer TOKEN`

It is no GraphQL server: it answers the two operations of `providers.carriers.tracker_delivery_api`, with every field
that it knows. A registered URL is called for each new scan until its time is up. Errors come with status 200.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from events.field_types import TrackingStatus
from providers.carriers import tracker_delivery
from providers.simulators.parcels import REQUESTS, Hub, Told, Webhook, run

ID, SECRET = str(tracker_delivery.CLIENT_ID.example), str(tracker_delivery.CLIENT_SECRET.example)
TOKEN_S = 3600
KST = timezone(timedelta(hours=9))
# The code, and its name as a carrier writes it. A return to the sender has none of its own.
STATUSES: dict[TrackingStatus, tuple[str, str]] = {
    "pending": ("INFORMATION_RECEIVED", "접수"),
    "picked_up": ("AT_PICKUP", "집하완료"),
    "in_transit": ("IN_TRANSIT", "간선상차"),
    "delivery_delayed": ("EXCEPTION", "배송지연"),
    "out_for_delivery": ("OUT_FOR_DELIVERY", "배달출발"),
    "delivery_failed": ("ATTEMPT_FAIL", "미배달"),
    "return_to_sender": ("EXCEPTION", "반송"),
    "delivered": ("DELIVERED", "배달완료"),
}


class TrackerDelivery:
    """tracker.delivery's dialect: a `Dialect`."""

    name = "tracker_delivery"
    labels = True
    requests = REQUESTS
    pushes = True

    def __init__(self, client_id: str = ID, client_secret: str = SECRET) -> None:
        self._basic = f"Basic {b64encode(f'{client_id}:{client_secret}'.encode()).decode()}"
        self._tokens: set[str] = set()
        self._made = 0
        self._registered: dict[tuple[str, str], dict[str, datetime]] = {}  # parcel → URL → until when

    def refusal(self, kind: str, pause: int) -> Response:
        """The API's error, or a parcel in another shape."""
        if kind == "shape":
            return JSONResponse({"data": {"track": {"trackingNumber": 7}}})
        if kind == "rate_limit":
            return JSONResponse({"message": "Too Many Requests"}, 429, {"Retry-After": str(pause)})
        return _errors("INTERNAL", "Please try again in a few minutes.")

    def webhooks(self, hub: Hub, carrier: str, number: str) -> Sequence[Webhook]:
        """The callbacks that are registered for the parcel, and not over."""
        body = orjson.dumps({"carrierId": carrier, "trackingNumber": number})
        now = datetime.now(UTC)
        urls = self._registered.get((carrier, number), {})
        return [Webhook(url, body) for url, until in urls.items() if until > now]

    def routes(self, hub: Hub) -> list[Route]:
        """tracker.delivery's own paths: access tokens, and GraphQL."""

        async def token(request: Request) -> Response:
            form = parse_qs((await request.body()).decode())
            if request.headers.get("authorization") != self._basic or form.get("grant_type") != ["client_credentials"]:
                return JSONResponse({"error": "invalid_client"}, 400)
            self._made += 1
            made = f"token-{self._made}"
            self._tokens.add(made)
            return JSONResponse({"access_token": made, "expires_in": TOKEN_S, "token_type": "Bearer"})

        async def graphql(request: Request) -> Response:
            asked = orjson.loads(await request.body())
            given = asked["variables"].get("input", asked["variables"])
            if hub.meets("expired", given["trackingNumber"]):
                self._tokens.clear()
            if request.headers.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
                return _errors("UNAUTHENTICATED", "Unauthenticated")
            if "registerTrackWebhook" in asked["query"]:
                return JSONResponse({"data": {"registerTrackWebhook": self._register(given)}})
            mishap = await hub.mishap(request, given["trackingNumber"])
            return mishap or self._track(hub, given["carrierId"], given["trackingNumber"])

        return [
            Route("/oauth2/token", token, methods=["POST"]),
            Route("/graphql", graphql, methods=["POST"]),
        ]

    def _register(self, given: dict[str, str]) -> bool:
        until = datetime.fromisoformat(given["expirationTime"])
        parcel = (given["carrierId"], given["trackingNumber"])
        self._registered.setdefault(parcel, {})[given["callbackUrl"]] = until
        return True

    def _track(self, hub: Hub, carrier: str, number: str) -> Response:
        if not hub.known(number):
            return _errors("NOT_FOUND", "운송장 미등록")
        events = [_event(told) for told in hub.scans(carrier, number)]
        edges = [{"node": event, "cursor": str(place)} for place, event in enumerate(events)]
        track = {"trackingNumber": number, "lastEvent": events[-1], "events": {"edges": edges}}
        return JSONResponse({"data": {"track": track}})


def _event(told: Told) -> dict[str, Any]:
    code, name = STATUSES[told.step.status]
    time = None if told.time is None else told.time.astimezone(KST).isoformat(timespec="milliseconds")
    return {
        "status": {"code": code, "name": name},
        "time": time,
        "location": {"countryCode": "KR", "postalCode": None, "name": told.step.location},
        "contact": None,
        "description": f"{name} ({told.step.id})",
    }


def _errors(code: str, message: str) -> Response:
    return JSONResponse({"data": None, "errors": [{"message": message, "extensions": {"code": code}}]})


if __name__ == "__main__":
    run("providers.simulators.tracker_delivery", TrackerDelivery())
