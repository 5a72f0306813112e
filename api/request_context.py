"""The frame of every request: its id, its line in the log, the headers of its answer, and a 500 that tells nothing.

Pure ASGI. The log line names the route and not the path, the key's id and not the key: no customer, no address
and no query stands in it.
"""

from __future__ import annotations

import os
import re
from time import perf_counter
from urllib.parse import unquote_to_bytes

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ApiError
from telemetry import traces
from telemetry.meters import REQUESTS

GONE = 499  # in the log: the caller hung up before there was an answer (nginx's number)
_METHODS = frozenset(("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"))  # a caller may make up any other
_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
_CLOSED = "default-src 'none'; frame-ancestors 'none'"
# The documentation page has a script and styles of its own in it, and loads the rest from here.
_PAGE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)
_log = structlog.get_logger("api")


class Frame:
    """Outermost of our middleware: whatever the application raises ends here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; other kinds of connection pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif traces.tracer is None or scope["path"].startswith("/health"):
            await self._serve(scope, receive, send, traces.NOTHING)
        else:
            with (
                traces.request(Headers(scope=scope).get("traceparent")) as span,
                structlog.contextvars.bound_contextvars(trace_id=traces.trace_id(traces.here())),
            ):
                await self._serve(scope, receive, send, span)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, span: traces.Span) -> None:
        started = perf_counter()
        request_id = _request_id(Headers(scope=scope))
        method = scope["method"]
        # A HEAD is a GET whose body stays here. The server's own scope keeps the method: it counts bytes by it.
        inner = {**scope, "method": "GET"} if method == "HEAD" else scope
        state = inner.setdefault("state", {})
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _dress(MutableHeaders(scope=message), request_id, state)
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            served = self._app if (fault := not_text(inner)) is None else fault.answer()
            await served(inner, receive, answer)
        except ClientDisconnect:
            status = GONE
        except Exception:
            _log.exception("failed", route=_route(inner))
            if status:  # the answer is on its way already: the server has to break it off
                raise
            error = ApiError(500, f"Something went wrong here; ask for request {request_id}", name="InternalError")
            await error.answer()(inner, receive, answer)
        finally:
            caller, took_s = state.get("caller"), perf_counter() - started
            known, route = method if method in _METHODS else "other", _route(inner)
            REQUESTS.observe(took_s, route, known, str(status or GONE))
            span.answered(known, route, status or GONE)
            _log.info(
                "request",
                method=method,
                route=route,
                status=status or GONE,
                ms=round(took_s * 1000, 1),
                key=caller.source.rpartition("/")[2] if caller else None,
            )
            structlog.contextvars.reset_contextvars(**bound)


def not_text(scope: Scope) -> ApiError | None:
    """A refusal of a path or query whose %-escapes are no UTF-8: else one name would stand for many."""
    for what, raw in (("path", scope.get("raw_path") or b""), ("query", scope["query_string"])):
        if b"%" in raw:
            try:
                unquote_to_bytes(raw).decode()
            except UnicodeDecodeError as error:
                part = error.object[max(0, error.start - 20) : error.end + 20].decode(errors="backslashreplace")
                message = f"The {what} holds what is no UTF-8, at {part}; escape the UTF-8 of a name: é is %C3%A9"
                return ApiError(400, message, name="BadRequest")
    return None


def _request_id(headers: Headers) -> str:
    """The caller's own, where it is one that can stand in a log and a header; else a new one."""
    told = headers.get("x-request-id", "")
    return told if _SANE.fullmatch(told) else os.urandom(12).hex()


def _dress(headers: MutableHeaders, request_id: str, state: Scope) -> None:
    headers["X-Request-Id"] = request_id
    headers.update(_HEADERS)
    headers.setdefault("Cache-Control", "no-store")
    page = headers.get("content-type", "").startswith("text/html")
    headers.setdefault("Content-Security-Policy", _PAGE if page else _CLOSED)
    if (allowance := state.get("allowance")) is not None:
        headers.update(allowance.headers())


def _route(scope: Scope) -> str:
    """`/api/orders/{id}`, or what stands for a path that nobody serves."""
    return getattr(scope.get("route"), "path_format", None) or "unknown"
