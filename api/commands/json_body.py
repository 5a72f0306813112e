"""JSON bodies as they were sent: numbers become Decimal or int, never float; Payload's form field `_payload` too.

A body that is no JSON is refused by the endpoint's dependency, after the caller was asked who they are:
so nobody without a key learns anything from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope

from api.errors import ApiError
from events.errors import OrdersError

NUMBER = 64  # characters of a number, and how far from 1 it may lie in powers of ten: beyond is no quantity or money
FORM_FIELD = "_payload"  # where Payload's forms carry the JSON


class Sent(Request):
    """A request whose body was read: `canonical` is the same for bodies that mean the same JSON."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        self.parsed: Any = None
        self.canonical = b""
        self.fault: ApiError | None = None

    async def json(self) -> Any:
        """The body with exact numbers."""
        return self.parsed


class ExactRoute(APIRoute):
    """A route whose body is read exactly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, given a `Sent`."""
        handle = super().get_route_handler()

        async def exactly(request: Request) -> Response:
            return await handle(await _sent(request))

        return exactly


async def _sent(request: Request) -> Sent:
    fault = None
    form = request.headers.get("content-type", "").lower().startswith("multipart/form-data")
    try:
        raw = await _payload(request) if form else await request.body()
    except HTTPException as error:
        raw, fault = b"", ApiError(400, f"Invalid form: {error.detail}")
    # As FastAPI reads a body by its type, and the form's JSON is one, whatever the request said.
    headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
    sent = Sent({**request.scope, "headers": [*headers, (b"content-type", b"application/json")]}, request.receive)
    sent._body = raw
    sent.fault = fault
    if raw:
        try:
            sent.parsed = parse(raw)
            sent.canonical = canonical(sent.parsed)
        except InvalidJson as error:
            sent.fault, sent.parsed = ApiError(400, str(error)), None
    return sent


async def _payload(request: Request) -> bytes:
    """The JSON in a form's `_payload`."""
    async with request.form(max_files=0) as form:
        field = form.get(FORM_FIELD)
    if not isinstance(field, str):
        raise HTTPException(400, f"send the JSON in a field named {FORM_FIELD}")
    return field.encode("utf-8", "surrogatepass")


class InvalidJson(OrdersError, ValueError):
    """The body is no JSON that can be kept."""

    code = "json_invalid"
    remedy = "Send one JSON document in UTF-8, with numbers of at most 64 characters."
    status = 400


def parse(raw: bytes) -> Any:
    """JSON as Python objects; numbers as int or Decimal. InvalidJson, also for a number out of any measure."""
    try:
        return json.loads(raw.decode(), parse_float=_decimal, parse_int=_integer, parse_constant=_no_constant)
    except InvalidJson:
        raise
    except (ValueError, RecursionError):
        raise InvalidJson("Invalid JSON") from None


def canonical(value: Any) -> bytes:
    """One text for all JSON of the same meaning: keys sorted, 1.50 as 1.5. InvalidJson for what UTF-8 cannot hold."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        raise InvalidJson("Invalid JSON") from None


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"\x00{value.normalize():f}"  # as no text that is taken: those hold no NUL
    raise TypeError


def _decimal(text: str) -> Decimal | int:
    try:
        value = Decimal(text) if len(text) <= NUMBER else None
    except InvalidOperation:
        value = None
    if value is None or (value and abs(value.adjusted()) > NUMBER):
        raise InvalidJson(f"Invalid JSON: {text[:20]}… is out of range")
    return int(value) if value == value.to_integral_value() and abs(value) < _EXACT else value


def _integer(text: str) -> Decimal | int:
    return int(text) if len(text) <= 18 else _decimal(text)


def _no_constant(text: str) -> Any:
    raise InvalidJson(f"Invalid JSON: {text} is no number")


_EXACT = 10**18  # integers that orjson writes as they are
