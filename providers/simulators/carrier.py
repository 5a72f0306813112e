"""A carrier: `python -m providers.simulators.carrier --pace 0.5 --errors 0.05 --missing 0.1`.

    GET /v1/parcels/NUMBER   {"number", "scans": [SCAN, …]}, a scan as `scan_document` writes it

A parcel's life begins when it is first asked for, and is delivered within six paces. What happens
to it follows from the seed and its number alone. Numbers that begin with UNKNOWN stay unknown
(404). A restart begins every life anew, at other times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from time import monotonic
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from events.field_types import TrackingStatus
from providers.simulators.process import Dropped, Mishaps, arguments, fault, serve, share, silence

LIFE = 6.0  # paces from the first question to the end
LATE = 0.15  # share of scans that are reported after they happened
DELAYED = 0.2  # share of parcels
TOWNS = ("Seoul", "Incheon", "Daejeon", "Okcheon", "Daegu", "Gwangju", "Busan", "Jeju")
MISHAPS = {"unavailable": 5, "cut": 1, "page": 1, "shape": 1, "silent": 1}


@dataclass(frozen=True, slots=True)
class Step:
    """A scan to come; both times are in paces since the parcel was first asked for."""

    id: str
    status: TrackingStatus
    description: str
    location: str
    happened: float
    reported: float


def life(seed: int, number: str, missing: float = 0.0) -> list[Step]:
    """A parcel's whole life in the order in which it happens. Pure.

    `missing`, the share of parcels that lack scans, only takes steps out.
    """
    chance = Random(f"{seed}:{number}")
    towns = chance.sample(TOWNS, chance.randint(2, 4))
    plan: list[tuple[float, TrackingStatus, str, str]] = [
        (chance.uniform(0.2, 0.6), "picked_up", "Picked up", towns[0])
    ]
    hops = sorted(chance.uniform(1.0, 4.0) for _ in towns)
    plan += [(at, "in_transit", "Left the hub", town) for at, town in zip(hops, towns, strict=True)]
    if chance.random() < DELAYED:
        plan.append((chance.uniform(4.0, 4.3), "delivery_delayed", "Delayed", towns[-1]))
    plan += [
        (chance.uniform(4.5, 4.9), "out_for_delivery", "Out for delivery", towns[-1]),
        (chance.uniform(5.2, 5.7), "delivered", "Delivered", towns[-1]),
    ]
    steps = []
    for place, (happened, status, description, town) in enumerate(plan, 1):
        late = status != "delivered" and chance.random() < LATE
        reported = min(happened + chance.uniform(0.5, 2.0), LIFE) if late else happened
        steps.append(Step(f"scan-{place}", status, description, town, happened, reported))
    return _without_some(steps, Random(f"missing:{seed}:{number}"), missing)


def scans_so_far(steps: list[Step], elapsed: float, pace: float) -> list[Step]:
    """Scans that the carrier tells of a life `elapsed` seconds after the first question. Pure."""
    return [step for step in steps if step.reported * pace <= elapsed]


def scan_document(step: Step, first_asked: datetime, pace: float) -> dict[str, Any]:
    """A scan as it is answered: the same in every answer."""
    time = first_asked + timedelta(seconds=step.happened * pace)
    return {
        "id": step.id,
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "status": step.status,
        "description": step.description,
        "location": step.location,
    }


class Depot:
    """All parcels that were ever asked for, and since when."""

    def __init__(self, seed: int, pace: float, missing: float, errors: float) -> None:
        self._seed, self._pace, self._missing = seed, pace, missing
        self._mishaps = Mishaps(seed, errors)
        self._first_asked: dict[str, tuple[datetime, float]] = {}

    async def answer(self, request: Request) -> Response:
        """Answer GET /v1/parcels/NUMBER with the scans so far."""
        number = request.path_params["number"]
        begun = self._first_asked.setdefault(number, (datetime.now(UTC), monotonic()))
        mishap = self._mishaps.next(number, MISHAPS)
        if mishap == "silent":
            await silence(request)
        if mishap in ("silent", "unavailable"):
            return fault(503, "unavailable", "try again", retry_after=math.ceil(self._pace))
        if mishap == "cut":
            return Dropped()
        if mishap == "page":
            return Response("<html>We are back soon</html>", media_type="text/html")
        if mishap == "shape":
            return JSONResponse({"number": number, "scans": [{"id": 1, "status": "lost"}]})
        if number.startswith("UNKNOWN"):
            return fault(404, "parcel_unknown", f"no parcel has the number {number}")
        return JSONResponse({"number": number, "scans": self._scans(number, *begun)})

    def _scans(self, number: str, time: datetime, start: float) -> list[dict[str, Any]]:
        steps = life(self._seed, number, self._missing)
        told = scans_so_far(steps, monotonic() - start, self._pace)
        return [scan_document(step, time, self._pace) for step in told]


def application(depot: Depot) -> Starlette:
    """The carrier's one page."""
    return Starlette(routes=[Route("/v1/parcels/{number:path}", depot.answer)])


def main() -> None:
    """Read the arguments and answer until a signal ends it."""
    parser = arguments("providers.simulators.carrier", "A carrier with missing and late scans.")
    parser.add_argument("--pace", type=float, default=1.0, help="seconds; six are a parcel's life")
    parser.add_argument("--missing", type=share, default=0.0, help="share of parcels that lack scans")
    given = parser.parse_args()
    if not 0 < given.pace < math.inf:
        parser.error(f"argument --pace: {given.pace} is not above 0")
    serve(application(Depot(given.seed, given.pace, given.missing, given.errors)), given.port)


def _without_some(steps: list[Step], chance: Random, missing: float) -> list[Step]:
    """Of a `missing` share of parcels: nothing but the delivery, or the life with gaps."""
    if chance.random() >= missing:
        return steps
    *before, delivered = steps
    if chance.random() < 1 / 3:
        return [delivered]
    lost = set(chance.sample(before, chance.randint(1, len(before))))
    return [step for step in before if step not in lost] + [delivered]


if __name__ == "__main__":
    main()
