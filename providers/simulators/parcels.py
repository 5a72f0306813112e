"""The part of a simulated tracking service that is the same whatever it speaks: parcels' lives, mishaps, who is told.

A parcel's life begins when it is first asked for, with its label, and is over within seven paces; what happens to it
follows from the seed and its number alone (`providers.simulators.carrier`). Numbers that begin with UNKNOWN stay unknown.

    of a parcel, every time       missing       some of its scans are never told
                                  returned      it goes back to its sender, and arrives there
                                  no_time       some of its scans have no time, where the service has such
                                  afterthought  a scan of before its delivery is told behind it, as if it were later
    of a request, now and then    unavailable   answers 503
                                  rate_limit    answers 429
                                  cut           breaks off its answer
                                  page          answers a page for people
                                  shape         answers in another shape
                                  silent        never answers
                                  expired       does not believe its own access token, once, where it has such
    of a webhook                  twice         is sent twice

The path /_simulator/parcels is not the service's: it tells every parcel that was asked for, with its scans so far.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Protocol

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from providers.simulators.carrier import Step, life, scans_so_far
from providers.simulators.process import Dropped, Mishaps, arguments, serve, share, silence

FATES = ("missing", "returned", "no_time", "afterthought")
REQUESTS = {"unavailable": 5, "rate_limit": 2, "cut": 1, "page": 1, "shape": 1, "silent": 1}  # by weight, of --errors
MISHAPS = (*FATES, *REQUESTS, "expired", "twice")
TICK_S = 0.05  # between two looks at what is to be told
AGAIN_S = 0.5  # until a webhook that nobody took is sent again
WEBHOOK_S = 5.0  # that whoever takes one has


@dataclass(frozen=True, slots=True)
class Told:
    """A scan that the service knows by now; None of `time`: it was told without one."""

    step: Step
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Webhook:
    """One message to whoever wants to be told."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """The way in which one service writes."""

    name: str

    def refusal(self, kind: str, pause: int) -> Response:
        """The answer to a request that meets unavailable, rate_limit or shape."""
        ...

    def webhooks(self, hub: Hub, carrier: str, number: str) -> Sequence[Webhook]:
        """Messages that tell of a parcel's new scan."""
        ...

    def routes(self, hub: Hub) -> list[Route]:
        """The service's own paths."""
        ...


@dataclass(slots=True)
class Hub:
    """One service at work: `errors` is the share of requests with any mishap, `shares` that of each kind."""

    dialect: Dialect
    seed: int = 7
    pace_s: float = 1.0
    errors: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)
    _begun: dict[tuple[str, str], tuple[datetime, float]] = field(default_factory=dict)
    _announced: dict[tuple[str, str], int] = field(default_factory=dict)
    _chance: Mishaps = field(init=False)

    def __post_init__(self) -> None:
        self._chance = Mishaps(self.seed, self.errors)

    # -- parcels

    def known(self, number: str) -> bool:
        """True where the carrier has, or will have, a parcel of this number."""
        return not number.startswith("UNKNOWN")

    def scans(self, carrier: str, number: str) -> list[Told]:
        """The scans so far, as the service lists them; the first question begins the parcel's life."""
        time, start = self._begun.setdefault((carrier, number), (datetime.now(UTC), monotonic()))
        told = scans_so_far(self._life(number), monotonic() - start, self.pace_s)
        found = [Told(step, time + timedelta(seconds=step.happened * self.pace_s)) for step in told]
        if self.fate("no_time", number):
            found = [replace(each, time=None) if each.step.status == "in_transit" else each for each in found]
        return found

    def _life(self, number: str) -> list[Step]:
        """The parcel's whole life: the carrier's, behind its label, with the fates of this service."""
        own = life(self.seed, number, self.shares.get("missing", 0.0))
        steps = [Step("label", "pending", "Label created", own[0].location, 0.0, 0.0)]
        steps += [replace(each, happened=each.happened + 0.5, reported=each.reported + 0.5) for each in own]
        end = steps[-1]
        if self.fate("returned", number):
            sent = replace(end, id="returned", status="return_to_sender", description="Returned to sender")
            steps[-1:] = [sent, replace(end, id="back", happened=end.happened + 0.3, reported=end.reported + 0.3)]
        if self.fate("afterthought", number):
            late = replace(end, id="late", status="out_for_delivery", description="Out for delivery")
            steps.append(replace(late, happened=end.happened + 0.2, reported=end.reported + 0.2))
        return steps

    def fate(self, kind: str, number: str) -> bool:
        """True where a parcel has this fate: by the seed and its number, every time the same."""
        return self._chance.fate(f"{kind} {number}") < self.shares.get(kind, 0.0)

    def parcels(self) -> dict[str, list[dict[str, str | None]]]:
        """Every parcel that was asked for, with what is told of it."""
        return {
            f"{carrier} {number}": [
                {"status": told.step.status, "time": None if told.time is None else told.time.isoformat()}
                for told in self.scans(carrier, number)
            ]
            for carrier, number in list(self._begun)
        }

    # -- mishaps

    def meets(self, kind: str, subject: str) -> bool:
        """True where this request meets a mishap of this kind."""
        part = self.shares.get(kind, 0.0)
        return part > 0 and self._chance.chance(f"{kind} {subject}") < part

    async def mishap(self, request: Request, subject: str) -> Response | None:
        """The answer of a bad day, None where the request is to be answered."""
        kind = self._chance.next(subject, REQUESTS)
        kind = kind or next((each for each in REQUESTS if self.meets(each, subject)), None)
        pause = math.ceil(self.pace_s)
        if kind is None:
            return None
        if kind == "silent":
            await silence(request)
            return self.dialect.refusal("unavailable", pause)
        if kind == "cut":
            return Dropped()
        if kind == "page":
            return Response("<html>We are back soon</html>", media_type="text/html")
        return self.dialect.refusal(kind, pause)

    # -- webhooks

    async def work(self) -> None:
        """Tell whoever wants to know of each new scan, again until it is taken, until cancelled."""
        async with httpx.AsyncClient(timeout=WEBHOOK_S, trust_env=False) as client:
            while True:
                for key in list(self._begun):
                    await self._announce(client, *key)
                await asyncio.sleep(TICK_S)

    async def _announce(self, client: httpx.AsyncClient, carrier: str, number: str) -> None:
        count = len(self.scans(carrier, number))
        if count <= self._announced.get((carrier, number), 0) or not self.known(number):
            return
        for webhook in self.dialect.webhooks(self, carrier, number):
            for _ in range(2 if self.meets("twice", number) else 1):
                if not await _taken(client, webhook):
                    await asyncio.sleep(AGAIN_S)
                    return
        self._announced[carrier, number] = count


async def _taken(client: httpx.AsyncClient, webhook: Webhook) -> bool:
    headers = {"Content-Type": "application/json", **webhook.headers}
    with contextlib.suppress(httpx.HTTPError):
        return (await client.post(webhook.url, content=webhook.body, headers=headers)).is_success
    return False


def application(hub: Hub) -> Starlette:
    """One simulated service: its own paths, and the one that shows its parcels."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        worker = asyncio.create_task(hub.work())
        yield
        worker.cancel()

    async def parcels(request: Request) -> Response:
        return JSONResponse(hub.parcels())

    shown = Route("/_simulator/parcels", parcels, methods=["GET"])
    return Starlette(routes=[shown, *hub.dialect.routes(hub)], lifespan=lifespan)


def run(module: str, dialect: Dialect) -> None:
    """Read the arguments of `python -m MODULE` and answer until a signal ends it."""
    parser = arguments(module, f"The tracking service {dialect.name} in its wire format.")
    parser.add_argument("--pace", type=float, default=1.0, help="seconds; seven are a parcel's life")
    parser.add_argument("--missing", type=share, default=0.0, help="share of parcels that lack scans")
    given = parser.parse_args()
    if not 0 < given.pace < math.inf:
        parser.error(f"argument --pace: {given.pace} is not above 0")
    hub = Hub(dialect, given.seed, given.pace, given.errors, {"missing": given.missing})
    serve(application(hub), given.port, lifespan="on")
