"""HTTP to a provider's API, and which failure is which. May be shared by threads.

What the provider answers decides what an order owes, so numbers are read exactly (Decimal), and an answer that does
not fit is no answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from providers.base import NoAnswer, NotTold, RefundNotMade, RefundUnknown
from providers.refund_rules import RefundRules

if TYPE_CHECKING:
    import httpx  # takes half a second, and reading the settings imports every provider

TIMEOUT_S = 10.0  # of connecting, and of each pause in an answer
MAX_ANSWER = 4_000_000  # bytes
CODE = re.compile(r"[\w.-]{1,100}")

# Bounded, so that no offset can push it off the calendar.
Time = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC)),
]
Answer = TypeVar("Answer", bound=BaseModel)


def connection(
    base_url: str,
    timeout: float | None = None,
    transport: httpx.BaseTransport | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx.Client:
    """The pool of connections to one API, which opens none before the first question; `timeout` in s, else TIMEOUT_S."""
    import httpx

    return httpx.Client(
        base_url=base_url,
        timeout=TIMEOUT_S if timeout is None else timeout,
        transport=transport,
        headers=dict(headers or {}),
        trust_env=False,  # a proxy that is set there cannot reach this machine's own ports
    )


class HttpClient:
    """One provider's API. Opens no connection before the first question.

    `unknown` is asked about the JSON object of each 404: whether it is the provider's own word that it does not know
    what was asked for, and not that of a wrong URL.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        headers: Mapping[str, str],
        timeout: float | None = None,
        transport: httpx.BaseTransport | None = None,
        *,
        unknown: Callable[[Mapping[str, Any]], bool],
    ) -> None:
        self.name = name
        self._unknown = unknown
        self._client = connection(base_url, timeout, transport, headers)

    def get(
        self,
        path: str,
        shape: type[Answer],
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The document at `path` as `shape`; NotTold for a 404 that says why, NoAnswer for all else."""
        import httpx

        try:
            response = self._client.get(path, params=query, headers=headers)
        except httpx.HTTPError as error:
            raise NoAnswer(f"{self.name}: no answer ({type(error).__name__})") from error
        if response.status_code == httpx.codes.NOT_FOUND and self._unknown(_object(response)):
            raise NotTold(f"{self.name} does not know {path}; whoever told us of it may not be {self.name}")
        if response.status_code != httpx.codes.OK:
            hint = "; check its API key" if response.status_code in (401, 403) else ""
            raise NoAnswer(f"{self.name}: answered {response.status_code}{hint}", retry_after(response))
        return self._read(response, shape)

    def refund(
        self, path: str, document: Any, shape: type[Answer], headers: Mapping[str, str], rules: RefundRules
    ) -> Answer:
        """The answer to a POST that gives money back. Raises RefundError only.

        What surely did not reach the provider is RefundNotMade; what its answer means, `rules` say, by the `error`,
        `code` or `type` in it and by its status.
        """
        import httpx

        try:
            body = {"content": document} if isinstance(document, bytes) else {"json": document}
            response = self._client.post(path, headers=dict(headers), timeout=rules.answer_s, **body)
        except not_sent() as error:
            raise RefundNotMade(f"{self.name}: could not be reached ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise RefundUnknown(f"{self.name}: no answer ({type(error).__name__})") from error
        if not response.is_success:
            told = _object(response)
            code = next((c for n in ("error", "code", "type") if CODE.fullmatch(c := str(told.get(n, "")))), None)
            says = " ".join(str(told[n]) for n in ("message", "pgCode", "pgMessage") if told.get(n))
            raise rules.failure(self.name, response.status_code, code, says)
        try:
            return self._read(response, shape)
        except NoAnswer as error:
            raise RefundUnknown(str(error)) from error

    def known(self, path: str, shape: type[Answer], headers: Mapping[str, str] | None = None) -> Answer | None:
        """The document at `path`, for whoever refunds; None where the provider does not know it. Raises RefundUnknown."""
        try:
            return self.get(path, shape, headers=headers)
        except NotTold:
            return None
        except NoAnswer as error:
            raise RefundUnknown(str(error)) from error

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _read(self, response: httpx.Response, shape: type[Answer]) -> Answer:
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


def not_sent() -> tuple[type[httpx.HTTPError], ...]:
    """Failures before the first byte of a request went out."""
    import httpx

    return (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


def payment_not_found(told: Mapping[str, Any]) -> bool:
    """True where a 404's object names a payment that was not found, in its `code` or `type`."""
    code = told.get("code") or told.get("type")
    return isinstance(code, str) and "NOT_FOUND" in code and "PAYMENT" in code


def _object(response: httpx.Response) -> dict[str, Any]:
    """The JSON object that an error came with, {} where it is none."""
    try:
        said = response.json()
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def retry_after(response: httpx.Response) -> float | None:
    """The pause in seconds that an answer asks for; None where it names none."""
    return pause_of(response.headers.get("retry-after", ""))


def pause_of(header: str) -> float | None:
    """The seconds that a Retry-After header says (RFC 9110, 10.2.3), None where it says none; a date says none."""
    return float(header) if re.fullmatch("[0-9]{1,9}", header) else None
