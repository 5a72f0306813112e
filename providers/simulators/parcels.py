"""The part of a simulated carrier or tracking service that is the same whatever it speaks: parcels, mishaps, limits, who is told.

A parcel's life begins when it is first asked for, where the service has such with its label, and is over within seven paces, nine where
it is delayed; what happens to it follows from the seed and its number alone (`providers.simulators.lives`, with its fates). Numbers that
begin with UNKNOWN stay unknown.

    of a parcel, every time       missing, and the fates of `lives.FATES`
    of a request, now and then    unavailable   answers 503
                                  rate_limit    answers 429
                                  cut           breaks off its answer
                                  page          answers a page for people
                                  shape         answers in another shape
                                  silent        never answers
                                  expired       does not believe its own access token, once, where it has such
    of a webhook                  twice         is sent twice
    of all                        a rate and a quota, beyond which it answers 429; hours when it is away, or answers nothing

Two paths are not the service's: /_simulator/parcels tells every parcel that was asked for, with its scans so far; of
/_simulator/limits GET tells how it was asked, and PUT changes {"rate", "quota", "away", "mute"} as of now.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol

import httpx
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from providers.simulators.limits import Limits
from providers.simulators.lives import FATES, Step, life, scans_so_far, with_fates
from providers.simulators.process import Dropped, Mishaps, arguments, mishap, serve, share, silence

REQUESTS: Mapping[str, int] = {
    "unavailable": 5,
    "rate_limit": 2,
    "cut": 1,
    "page": 1,
    "shape": 1,
    "silent": 1,
}  # by weight, of --errors
MISHAPS = ("missing", *FATES, *REQUESTS, "expired", "twice")
TICK_S = 0.05  # between two looks at what is to be told
AGAIN_S = 0.5  # until a webhook that nobody took is sent again
WEBHOOK_S = 5.0  # that whoever takes one has


@dataclass(frozen=True, slots=True)
class Told:
    """A scan that the service knows by now; not `timed`: it is told without its time."""

    step: Step
    happened: datetime
    timed: bool = True

    @property
    def time(self) -> datetime | None:
        """The time that is told of it."""
        return self.happened if self.timed else None


@dataclass(frozen=True, slots=True)
class Webhook:
    """One message to whoever wants to be told."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """The way in which one service writes."""

    name: str
    labels: bool  # a parcel's first scan is its label
    requests: Mapping[str, int]  # what its errors are, by weight
    pushes: bool  # it tells of new scans by itself

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
    limits: Limits = field(default_factory=Limits)
    _begun: dict[tuple[str, str], tuple[datetime, float]] = field(default_factory=dict)
    _lives: dict[str, list[Step]] = field(default_factory=dict)
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
        timeless = self.fate("no_time", number)
        return [
            Told(step, step.time(time, self.pace_s), not (timeless and step.status == "in_transit")) for step in told
        ]

    def _life(self, number: str) -> list[Step]:
        """The parcel's whole life, kept: to make one takes a hundred times as long as to answer."""
        if number not in self._lives:
            self._lives[number] = self._made(number)
        return self._lives[number]

    def _made(self, number: str) -> list[Step]:
        """A life, behind its label where the service has such, with its fates."""
        steps = life(self.seed, number, self.shares.get("missing", 0.0))
        if self.dialect.labels:
            label = Step("label", "pending", "Label created", steps[0].location, 0.0, 0.0)
            steps = [label, *(replace(s, happened=s.happened + 0.5, reported=s.reported + 0.5) for s in steps)]
        return with_fates(steps, {kind for kind in FATES if self.fate(kind, number)})

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
        if not self.limits.lets_through(subject, monotonic()):
            return self.dialect.refusal("rate_limit", self.limits.pause_s())
        pause = math.ceil(self.pace_s)
        if self.limits.away:
            return self.dialect.refusal("unavailable", pause)
        if self.limits.mute or self.fate("never", subject):
            await silence(request)
            return self.dialect.refusal("unavailable", pause)
        kind = self._chance.next(subject, self.dialect.requests)
        kind = kind or next((each for each in REQUESTS if self.meets(each, subject)), None)
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
        worker = asyncio.create_task(hub.work()) if hub.dialect.pushes else None
        yield
        if worker is not None:
            worker.cancel()

    async def parcels(request: Request) -> Response:
        return JSONResponse(hub.parcels())

    async def limits(request: Request) -> Response:
        if request.method == "PUT":
            hub.limits.change(orjson.loads(await request.body()))
        return JSONResponse(hub.limits.told())

    own = [
        Route("/_simulator/parcels", parcels, methods=["GET"]),
        Route("/_simulator/limits", limits, methods=["GET", "PUT"]),
    ]
    return Starlette(routes=[*own, *hub.dialect.routes(hub)], lifespan=lifespan)


def run(module: str, dialect: Dialect) -> None:
    """Read the arguments of `python -m MODULE` and answer until a signal ends it."""
    parser = arguments(module, f"{dialect.name.title()} in its wire format, with bad days.")
    parser.add_argument("--pace", type=float, default=1.0, help="seconds; seven are a parcel's life")
    parser.add_argument("--missing", type=share, default=0.0, help="share of parcels that lack scans")
    parser.add_argument("--mishap", action="append", type=a_mishap, default=[], metavar="KIND=SHARE")
    parser.add_argument("--rate", type=int, help="questions in any second, beyond which it answers 429")
    parser.add_argument("--quota", type=int, help="questions in all, beyond which it answers 429")
    given = parser.parse_args()
    if not 0 < given.pace < math.inf:
        parser.error(f"argument --pace: {given.pace} is not above 0")
    shares = {"missing": given.missing, **dict(given.mishap)}
    hub = Hub(dialect, given.seed, given.pace, given.errors, shares, Limits(given.rate, given.quota))
    serve(application(hub), given.port, lifespan="on")


def a_mishap(text: str) -> tuple[str, float]:
    """An option of KIND=SHARE."""
    return mishap(text, MISHAPS)
