"""A request's body: read whole before anything else sees it, within a limit; and a query that came as a body.

The official SDK of Payload sends long queries as POST with X-Payload-HTTP-Method-Override: GET and the query,
form-encoded, as its body (payloadcms/payload, packages/payload/src/utilities/handleEndpoints.ts).
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bulkheads import BODY
from api.errors import ApiError, unavailable
from api.request_context import not_text

LIMIT = 1 << 20  # bytes
ALL_BYTES = 64 << 20  # of the bodies that are being read at once, in this process
FORM = "application/x-www-form-urlencoded"
_BODILESS = ("GET", "HEAD", "OPTIONS")
_OF_THE_BODY = {b"content-length", b"content-type", b"transfer-encoding", b"x-payload-http-method-override"}


class WholeBody:
    """Hands the application a body in one piece, or answers 413 itself."""

    def __init__(self, app: ASGIApp, limit: int = LIMIT) -> None:
        self._app, self._limit = app, limit
        self._held = 0  # bytes of bodies that are not whole yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what has no body passes through."""
        if scope["type"] != "http" or scope["method"] in _BODILESS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            body = await self._read(receive, headers)
            if scope["method"] == "POST" and headers.get("x-payload-http-method-override", "").upper() == "GET":
                _become_a_query(scope, headers, body)
                body = b""
        except ApiError as error:
            await error.answer()(scope, receive, send)
            return
        scope[BODY] = body
        await self._app(scope, _once(body, receive), send)

    async def _read(self, receive: Receive, headers: Headers) -> bytes:
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._limit:
            raise self._too_large()
        chunks, size = [], 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk = message.get("body", b"")
                size += len(chunk)
                self._held += len(chunk)
                if size > self._limit:
                    raise self._too_large()
                if self._held > ALL_BYTES:
                    raise unavailable("Too many large bodies are on their way; send it again in a moment")
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
        finally:
            self._held -= size

    def _too_large(self) -> ApiError:
        return ApiError(
            413, f"The body is larger than {self._limit} bytes; send less at a time", name="PayloadTooLarge"
        )


def _become_a_query(scope: Scope, headers: Headers, body: bytes) -> None:
    """Turn the request into the GET that it means; in place, so that the frame around it sees what was served."""
    if headers.get("content-type", FORM).partition(";")[0].strip().lower() != FORM:
        raise ApiError(400, f"X-Payload-HTTP-Method-Override: send the query as {FORM}", name="BadRequest")
    if (fault := not_text({"query_string": body})) is not None:
        raise fault
    scope["method"] = "GET"
    scope["query_string"] = b"&".join(filter(None, (scope["query_string"], body.strip())))
    scope["headers"] = [(name, value) for name, value in scope["headers"] if name.lower() not in _OF_THE_BODY]


def _once(body: bytes, receive: Receive) -> Receive:
    """The body as one message; after it whatever the server still has to say."""
    given = False

    async def next_message() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return next_message
