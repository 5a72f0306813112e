"""Carriers that speak the protocol of `providers.simulators.carrier`: the demo's, and services of one's own.

    GET /v1/parcels/NUMBER    {"number", "scans": [{"id", "time", "status", "description", "location"}]}

A 404 counts only with {"error": "parcel_unknown"}. ORDERS_CARRIERS names the carriers, with a URL each.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from pydantic import BaseModel, Field, ValidationError

from events.field_types import Name, Text, TrackingStatus
from providers import http_client
from providers.base import AbilityByName, NoAnswer, ParcelUnknown, Provider, RateLimited, Scan
from providers.http_client import Time
from settings.fields import Setting, urls_by_name

if TYPE_CHECKING:
    import httpx

CARRIERS = Setting(
    "ORDERS_CARRIERS", "", "carriers to poll, NAME=URL comma-separated (the simulated carrier's protocol)", urls_by_name,
    url=True, example="simulated=http://127.0.0.1:9001",
)  # fmt: skip


class _Scan(BaseModel):
    id: Annotated[Name, Field(max_length=100)]
    time: Time
    status: TrackingStatus
    description: Text | None = None
    location: Text | None = None


class _Answer(BaseModel):
    number: str
    scans: Annotated[list[_Scan], Field(max_length=1000)]


class _Fault(BaseModel):
    error: str


class SimulatedCarrier:
    """A `TrackingClient`. Opens no connection before the first question; may be shared by threads."""

    def __init__(
        self,
        base_url: str,
        timeout: float | None = None,
        *,
        name: str = "simulated",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name = name
        self._timeout = http_client.TIMEOUT_S if timeout is None else timeout
        self._client = http_client.connection(base_url, timeout, transport)

    def track(self, number: str) -> list[Scan]:
        """All scans known, oldest first; NoAnswer says what happened instead."""
        import httpx

        response = self._ask(number)
        if response.status_code != httpx.codes.OK:
            raise self._refusal(number, response)
        try:
            answer = _Answer.model_validate_json(response.content)
        except ValidationError as error:
            raise self._failed(number, f"answered {_first_fault(error)}") from error
        if answer.number != number:
            raise self._failed(number, f"answered about another parcel, {answer.number[:80]!r}")
        scans = [Scan(s.id, s.time.astimezone(UTC), s.status, s.description, s.location) for s in answer.scans]
        return sorted(scans, key=lambda scan: (scan.time, scan.id))

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _ask(self, number: str) -> httpx.Response:
        import httpx

        try:
            return self._client.get(f"/v1/parcels/{quote(number, safe='')}")
        except httpx.ConnectError as error:
            raise self._failed(number, f"could not be reached ({error})") from error
        except httpx.TimeoutException as error:
            raise self._failed(number, f"gave no answer within {self._timeout:g} s") from error
        except httpx.HTTPError as error:
            what = f"broke off the answer ({type(error).__name__}: {error})"
            raise self._failed(number, what) from error

    def _refusal(self, number: str, response: httpx.Response) -> NoAnswer:
        """What an answer other than 200 means; a 404 counts only where the carrier says why."""
        import httpx

        status = response.status_code
        if status == httpx.codes.NOT_FOUND:
            try:
                if _Fault.model_validate_json(response.content).error == "parcel_unknown":
                    return ParcelUnknown(f"{self.name}: parcel {number} is unknown, or not known yet")
            except ValidationError:
                pass
            return self._failed(number, "answered 404, but not about the parcel; check its URL")
        pause = http_client.retry_after(response)
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return RateLimited(f"{self.name}: answered {status} {response.reason_phrase}", pause)
        return self._failed(number, f"answered {status} {response.reason_phrase}", pause)

    def _failed(self, number: str, what: str, retry_after: float | None = None) -> NoAnswer:
        return NoAnswer(f"{self.name}: {what}; parcel {number} is asked for again", retry_after)


PROVIDER = Provider(
    name="simulated",
    kind="carrier",
    title="Carriers by URL",
    settings=(CARRIERS,),
    tracks=AbilityByName(lambda name, url, values: SimulatedCarrier(url, name=name), CARRIERS),
    note="the demo's carrier, and services of your own that speak its protocol",
)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    if fault["type"] == "json_invalid":
        return f"a body that is no JSON ({fault['msg']})"
    return f"in another shape: {'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}"
