"""Client of the simulated carrier (`providers.simulators.carrier`); a model for real ones."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import httpx
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from events.catalogue import Name, Text, TrackingStatus
from providers.carriers import CarrierError, ParcelUnknown, Scan

TIMEOUT_S = 5.0

# Bounded, so that no offset can push it off the calendar.
Time = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC)),
]


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
    """A `Carrier`. Opens no connection before the first question; may be shared by threads."""

    def __init__(
        self,
        base_url: str,
        timeout: float = TIMEOUT_S,
        *,
        name: str = "simulated",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name = name
        self._timeout = timeout
        # Without the environment: a proxy that is set there cannot reach this machine's own ports.
        self._client = httpx.Client(base_url=base_url, timeout=timeout, transport=transport, trust_env=False)

    def track(self, number: str) -> list[Scan]:
        """All scans known, oldest first; CarrierError says what happened instead."""
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
        try:
            return self._client.get(f"/v1/parcels/{quote(number, safe='')}")
        except httpx.ConnectError as error:
            raise self._failed(number, f"could not be reached ({error})") from error
        except httpx.TimeoutException as error:
            raise self._failed(number, f"gave no answer within {self._timeout:g} s") from error
        except httpx.HTTPError as error:
            what = f"broke off the answer ({type(error).__name__}: {error})"
            raise self._failed(number, what) from error

    def _refusal(self, number: str, response: httpx.Response) -> CarrierError:
        """What an answer other than 200 means; a 404 counts only where the carrier says why."""
        status = response.status_code
        if status == httpx.codes.NOT_FOUND:
            try:
                if _Fault.model_validate_json(response.content).error == "parcel_unknown":
                    return ParcelUnknown(f"{self.name}: parcel {number} is unknown, or not known yet")
            except ValidationError:
                pass
            return self._failed(number, "answered 404, but not about the parcel; check its URL")
        pause = response.headers.get("retry-after", "")
        seconds = float(pause) if re.fullmatch("[0-9]{1,9}", pause) else None
        return self._failed(number, f"answered {status} {response.reason_phrase}", seconds)

    def _failed(self, number: str, what: str, retry_after: float | None = None) -> CarrierError:
        return CarrierError(f"{self.name}: {what}; parcel {number} is asked for again", retry_after)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    if fault["type"] == "json_invalid":
        return f"a body that is no JSON ({fault['msg']})"
    return f"in another shape: {'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}"
