"""One call of the API, without the network: what is sent, what the answer means, whether and when to try again.

Tried again are no answer, 429 and 5xx, after the `Retry-After` that came, else after a wait that doubles from half a
second to eight, by chance somewhere in its upper half. Every other refusal would only be repeated. A write carries an
idempotency key of its own, made once per call, so that a try whose answer was lost is not done twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Generic, Optional, TypeVar
from uuid import uuid4

import httpx
from pydantic import Field, ValidationError, create_model

from order_lifecycle_client.codec import decode, encode
from order_lifecycle_client.errors import BY_STATUS, ApiError, Conflict, NotFound, Unavailable
from order_lifecycle_client.models import Document, Order, Page, RefundAccount, TimelineEntry
from order_lifecycle_client.request_types import Where

TIMEOUT_S = 30.0  # an attempt; the API cancels what takes it longer than 20 s itself
CONNECT_S = 5.0
RETRIES = 4  # after the first try
FIRST_WAIT_S, MOST_WAIT_S = 0.5, 8.0
MOST_ASKED_S = 60.0  # a longer Retry-After is for the caller to wait
LONG_QUERY = 4_096  # characters; a longer one travels in the body, for proxies cut long addresses off

# What may pass by itself; another error of httpx's is a mistake that stays one.
NO_ANSWER = (
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.ProxyError,
    httpx.RemoteProtocolError,
    httpx.DecodingError,
)

T = TypeVar("T")
D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[Any], T]
    query: str = ""
    body: bytes | None = None
    idempotency_key: str | None = None  # of a write

    def request(self) -> Mapping[str, Any]:
        """As httpx takes it."""
        headers = {"Content-Type": "application/json"} if self.body is not None else {}
        if self.idempotency_key is not None:
            headers["Idempotency-Key"] = self.idempotency_key
        if self.method == "GET" and len(self.query) > LONG_QUERY:
            form = {
                "Content-Type": "application/x-www-form-urlencoded",
                "X-Payload-HTTP-Method-Override": "GET",
            }
            return {"method": "POST", "url": self.path, "headers": form, "content": self.query.encode()}
        url = f"{self.path}?{self.query}" if self.query else self.path
        return {"method": self.method, "url": url, "headers": headers, "content": self.body}

    def result(self, answer: httpx.Response) -> T:
        """The result that the answer brings. Errors: ApiError where it is a refusal, or nothing that this API answers."""
        if not answer.is_success:
            raise self.refusal(answer)
        try:
            return self.read(decode(answer.content))
        except (ValueError, LookupError, TypeError) as error:  # pydantic's ValidationError is a ValueError
            what = f"{len(error.errors())} fields" if isinstance(error, ValidationError) else type(error).__name__
            message = f"{self.method} {self.path}: the answer is none of this API's ({what}); is base_url right?"
            raise ApiError(message, **self._about(answer)) from error

    def refusal(self, answer: httpx.Response) -> ApiError:
        """The error of an answer that is none."""
        status = answer.status_code
        kind = Unavailable if status >= 500 else BY_STATUS.get(status, ApiError)
        told = _first_error(answer)
        message = told.get("message") or f"{self.method} {self.path} was answered {status} {answer.reason_phrase}"
        if answer.is_redirect:
            message += f", to {answer.headers.get('location', 'nowhere')}; give that host as base_url"
        return kind(str(message), name=told.get("name"), data=told.get("data"), **self._about(answer))

    def unanswered(self, error: httpx.RequestError) -> Unavailable:
        """The error of no answer."""
        return Unavailable(
            f"{self.method} {self.path}: no answer ({type(error).__name__}: {error})",
            idempotency_key=self.idempotency_key,
        )

    def _about(self, answer: httpx.Response) -> dict[str, Any]:
        return {
            "status_code": answer.status_code,
            "request_id": answer.headers.get("x-request-id"),
            "retry_after": _retry_after(answer),
            "idempotency_key": self.idempotency_key,
        }


def ask(path: str, read: Callable[[Any], T], query: str = "") -> Call[T]:
    """A call that changes nothing."""
    return Call("GET", path, read, query)


def after(where: Where | None, id: str) -> Where:
    """`where`, of the documents whose ids come after `id`."""
    told = dict(where or {})
    return {**told, "and": [*told.get("and", ()), {"id": {"greater_than": id}}]}


def write(
    method: str,
    path: str,
    read: Callable[[Any], T],
    body: Any = None,
    *,
    query: str = "",
    idempotency_key: str | None = None,
) -> Call[T]:
    """A call that changes something. What is None in `body` is left out."""
    if isinstance(body, Mapping):
        body = {name: value for name, value in body.items() if value is not None}
    sent = None if body is None else encode(body)
    return Call(method, path, read, query, sent, idempotency_key or uuid4().hex)


def wait_before(retry: int, error: ApiError) -> float | None:
    """Seconds before that retry, the first is 0; None where trying again is no use."""
    if not (isinstance(error, Unavailable) or error.status_code == 429):
        return None
    most = min(FIRST_WAIT_S * 2**retry, MOST_WAIT_S)
    if error.retry_after is None:
        return random.uniform(most / 2, most)
    if error.retry_after > MOST_ASKED_S:
        return None
    return error.retry_after + random.uniform(0, FIRST_WAIT_S)  # so that those who were sent away together come apart


# -- how answers are read ----------------------------------------------------------------------------------


def doc(model: type[D]) -> Callable[[Any], D]:
    """The answer of a write: the document as it is now."""
    return lambda body: model.model_validate(body["doc"])


def the_account(body: Any) -> RefundAccount:
    """The answer of a bank account that was told."""
    return RefundAccount.model_validate(body["doc"])


def docs(model: type[D]) -> Callable[[Any], list[D]]:
    """The answer of a bulk write."""
    return lambda body: [model.model_validate(each) for each in body["docs"]]


def the_only_order(body: Any) -> Order:
    """The order of a bulk update that meant one. Errors: NotFound, Conflict."""
    if body["errors"]:
        told = body["errors"][0]
        raise Conflict(told["message"], status_code=409, name="Conflict", data=told.get("data"))
    if not body["docs"]:
        raise NotFound("Not Found", status_code=404)
    return Order.model_validate(body["docs"][0])


def total(body: Any) -> int:
    """The answer of a count."""
    return int(body["totalDocs"])


def page_of(model: type[D]) -> Callable[[Any], Page[D]]:
    """The answer of a query."""
    return Page[model].model_validate  # type: ignore[valid-type]


def timeline(body: Any) -> Page[TimelineEntry]:
    """The answer of a timeline."""
    return Page[TimelineEntry].model_validate(body)


@cache
def partial(model: type[D]) -> type[D]:
    """`model` where a query left fields out: those are None."""
    fields: dict[str, Any] = {
        name: (Optional[field.annotation], Field(default=None, alias=field.alias))  # noqa: UP045  made at run time
        for name, field in model.model_fields.items()
        if field.is_required() and name != "id"
    }
    return create_model(model.__name__, __base__=model, **fields)


def _first_error(answer: httpx.Response) -> Mapping[str, Any]:
    """The error that the API told; {} where somebody else answered."""
    try:
        found = decode(answer.content)
    except ValueError:
        return {}
    errors = found.get("errors") if isinstance(found, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    return first if isinstance(first, dict) else {}


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds; the header holds them, or a date (RFC 9110, 10.2.3)."""
    told = answer.headers.get("retry-after", "").strip()
    if told.isdecimal():
        return float(told)
    try:
        return max(0.0, (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a zone
        return None
