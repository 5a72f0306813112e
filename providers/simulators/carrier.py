"""A carrier: `python -m providers.simulators.carrier --pace 0.5 --errors 0.05 --missing 0.1`.

    GET /v1/parcels/NUMBER   {"number", "scans": [SCAN, …]}, a scan as `scan_document` writes it

It speaks the protocol of `providers.carriers.simulated`. A number that it does not know is answered 404, `parcel_unknown`. A
restart begins every life anew, at other times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from providers.simulators.parcels import REQUESTS, Hub, Told, Webhook, run
from providers.simulators.process import fault


class Carrier:
    """The protocol of carriers by URL: a `Dialect`."""

    name = "carrier"
    labels = False
    pushes = False
    requests: Mapping[str, int] = {kind: weight for kind, weight in REQUESTS.items() if kind != "rate_limit"}

    def refusal(self, kind: str, pause: int) -> Response:
        """The carrier's error, or a parcel in another shape."""
        if kind == "shape":
            return JSONResponse({"number": 7, "scans": [{"id": 1, "status": "lost"}]})
        if kind == "rate_limit":
            return fault(429, "rate_limited", "fewer questions, please", retry_after=pause)
        return fault(503, "unavailable", "try again", retry_after=pause)

    def webhooks(self, hub: Hub, carrier: str, number: str) -> Sequence[Webhook]:
        """None: it is asked."""
        return []

    def routes(self, hub: Hub) -> list[Route]:
        """The carrier's one page."""

        async def parcel(request: Request) -> Response:
            number = request.path_params["number"]
            mishap = await hub.mishap(request, number)
            if mishap is not None:
                return mishap
            if not hub.known(number):
                return fault(404, "parcel_unknown", f"no parcel has the number {number}")
            return JSONResponse({"number": number, "scans": [scan_document(told) for told in hub.scans("", number)]})

        return [Route("/v1/parcels/{number:path}", parcel)]


def scan_document(told: Told) -> dict[str, Any]:
    """A scan as it is answered: the same in every answer."""
    time = told.happened.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    step = told.step
    return {
        "id": step.id,
        "time": time,
        "status": step.status,
        "description": step.description,
        "location": step.location,
    }


if __name__ == "__main__":
    run("providers.simulators.carrier", Carrier())
