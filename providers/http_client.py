"""A question to a provider's API, and which failure is which. May be shared by threads.

What the provider answers decides what an order owes, so numbers are read exactly (Decimal), and an answer that does
not fit is no answer.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, TypeVar

import httpx
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from providers.payments import NoAnswer, NotTold

TIMEOUT_S = 10.0
MAX_ANSWER = 4_000_000  # bytes

# Bounded, so that no offset can push it off the calendar.
Time = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC)),
]
Answer = TypeVar("Answer", bound=BaseModel)


class Desk:
    """One provider's API. Opens no connection before the first question."""

    def __init__(
        self,
        name: str,
        base_url: str,
        authorization: str,
        timeout: float = TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name = name
        self._client = httpx.Client(
            base_url=base_url,
            timeout=timeout,
            transport=transport,
            headers={"Authorization": authorization},
            trust_env=False,  # a proxy that is set there cannot reach this machine's own ports
        )

    def get(self, path: str, shape: type[Answer]) -> Answer:
        """The document at `path` as `shape`; NotTold for a 404 that says why, NoAnswer for all else."""
        try:
            response = self._client.get(path)
        except httpx.HTTPError as error:
            raise NoAnswer(f"{self.name}: no answer ({type(error).__name__})") from error
        if response.status_code == httpx.codes.NOT_FOUND and _explains(response):
            raise NotTold(f"{self.name} does not know {path}; whoever told us of it may not be {self.name}")
        if response.status_code != httpx.codes.OK:
            hint = "; check its API key" if response.status_code in (401, 403) else ""
            raise NoAnswer(f"{self.name}: answered {response.status_code}{hint}", _retry_after(response))
        if len(response.content) > MAX_ANSWER:
            raise NoAnswer(f"{self.name}: an answer of {len(response.content)} bytes")
        try:
            return shape.model_validate(json.loads(response.content, parse_float=Decimal))
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, fault["loc"]))
            raise NoAnswer(f"{self.name}: an answer in another shape: {where}: {fault['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise NoAnswer(f"{self.name}: an answer that is no JSON") from error


def _explains(response: httpx.Response) -> bool:
    """Whether a 404 is the provider's own (`code` of Toss, `type` of PortOne), and not that of a wrong URL."""
    try:
        said = response.json()
    except ValueError:
        return False
    code = (said.get("code") or said.get("type")) if isinstance(said, dict) else None
    return isinstance(code, str) and "NOT_FOUND" in code and "PAYMENT" in code


def _retry_after(response: httpx.Response) -> float | None:
    pause = response.headers.get("retry-after", "")
    return float(pause) if re.fullmatch("[0-9]{1,9}", pause) else None
