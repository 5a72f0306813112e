"""Refusals, in the one shape that every door answers: {"errors": [{"message", "name"?, "data"?}]}.

    ApiError          what a handler raises to refuse
    QueryError (queries/errors.py)        → 400, a ValidationError where it names fields
    another OrdersError with a status → that, and its code as the name
    RequestValidationError (FastAPI)      → 400 ValidationError, or "Invalid JSON"
    OperationalError, InterfaceError, TimeoutError (SQLAlchemy), Clash → 503 with Retry-After:
                      PostgreSQL is away, a statement or lock took too long, a rival was faster
    DataError (SQLAlchemy) → 400: a value that PostgreSQL cannot store, such as a NUL or a number out of range

Whatever else is raised becomes a 500 that says no more than the request's id (api/request_context.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from starlette.exceptions import HTTPException

from api.responses import Json
from events.errors import OrdersError
from events.field_types import said
from journal.batch import Clash
from queries.errors import QueryError

RETRY_S = 2  # what a 503 asks to wait: a failover or a restart takes about as long
_log = structlog.get_logger("api")

# Every `name` that an answer may have: its status, what it says, and what to do. Stable, for programs.
NAMES = {
    "ValidationError": (400, "Fields are wrong; `data.errors` has a path and a message for each", "Correct those fields."),
    "BadRequest": (400, "The request cannot be read as it was sent", "Do as the message says."),
    "QueryTooCostly": (400, "The query costs more than this caller may ask for", "Ask for fewer conditions or relationships."),
    "UnauthorizedError": (401, "No valid key, token or signature came with it", "Send a valid one; see `orders keys add`."),
    "Forbidden": (403, "This key may not do that", "Use a secret key, or the token of the customer that it is about."),
    "NotFound": (404, "No webhooks are taken under this name", "Set the provider's secret, or correct its address."),
    "Conflict": (409, "The present state does not allow it", "`data.status` is the state, `data.allowed` what it may become."),
    "order_number_taken": (409, "Another order has this number", "Make a new number."),
    "payment_id_taken": (409, "The payment belongs to another order", "Send the payment's own id."),
    "order_held": (409, "The order is held: nothing of it may ship", "`data.holds` names the holds; release them by `POST /api/orders/{id}/release`."),
    "return_window_closed": (409, "The items may not come back any more", "`data.closedAt` is when their window closed."),
    "PayloadTooLarge": (413, "The body is too large", "Send less at a time."),
    "TooManyRequests": (429, "The requests of this minute are spent", "Wait for `Retry-After` seconds."),
    "InternalError": (500, "Something went wrong here", "Ask for help, and name the `X-Request-Id`."),
    "Unavailable": (503, "PostgreSQL is away or busy; nothing was changed", "Send the same request after `Retry-After` seconds."),
}  # fmt: skip


class ApiError(OrdersError):
    """A refusal over HTTP: its status, one sentence with the remedy, and what a program may want to know."""

    code = "request_refused"
    remedy = "Do as the message says; `name` is one of those below."
    status: int

    def __init__(
        self,
        status: int,
        message: str,
        *,
        name: str | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.name, self.data, self.headers = status, message, name, data, headers

    def answer(self) -> Json:
        """The answer that the caller gets."""
        error = {"message": self.message}
        if self.name is not None:
            error["name"] = self.name
        if self.data is not None:
            error["data"] = self.data
        return Json({"errors": [error]}, self.status, dict(self.headers or {}))


def validation_error(faults: Sequence[tuple[str, str]]) -> ApiError:
    """400 ValidationError of `faults`: each the path of a field (`items.0.quantity`) and what is wrong with it."""
    paths = ", ".join(dict.fromkeys(path for path, _ in faults if path))
    return ApiError(
        400,
        f"The following fields are invalid: {paths}" if paths else faults[0][1],
        name="ValidationError",
        data={"errors": [{"path": path, "message": message} for path, message in faults]},
    )


def unavailable(message: str) -> ApiError:
    """503: nothing was changed, and the same request may be sent again."""
    return ApiError(503, message, name="Unavailable", headers={"Retry-After": str(RETRY_S)})


def too_many(message: str, wait_s: int) -> ApiError:
    """429: this caller has asked too much, and waits for so many seconds."""
    return ApiError(429, message, name="TooManyRequests", headers={"Retry-After": str(wait_s)})


def install(app: FastAPI, allowed: Mapping[str, str] | None = None) -> None:
    """Answer every refusal of `app` in the one shape; `allowed` names the methods of paths that have several routes."""

    @app.exception_handler(ApiError)
    async def refused(_: Request, error: ApiError) -> Json:
        return error.answer()

    @app.exception_handler(QueryError)
    async def misasked(_: Request, error: QueryError) -> Json:
        return (validation_error(error.faults) if error.faults else ApiError(error.status, error.message)).answer()

    @app.exception_handler(OrdersError)
    async def ours(_: Request, error: OrdersError) -> Json:
        if error.status is None:
            raise error
        return ApiError(error.status, str(error), name=error.code).answer()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Json:
        return _invalid(error).answer()

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Json:
        headers = dict(error.headers or {})
        if error.status_code == 405:  # a path that stands there as it is comes before one with an id in it
            template = getattr(request.scope.get("route"), "path", "")
            known = allowed or {}
            if told := known.get(request.url.path) or known.get(template):
                headers["Allow"] = told
        return ApiError(error.status_code, str(error.detail), headers=headers).answer()

    async def away(_: Request, error: Exception) -> Json:
        cause = getattr(error, "orig", None) or error
        _log.warning("unavailable", kind=type(cause).__name__, error=str(cause).strip().partition("\n")[0])
        return unavailable("The service is busy or restarting; send the same request again in a moment").answer()

    for kind in (OperationalError, InterfaceError, PoolExhausted, Clash):
        app.add_exception_handler(kind, away)

    @app.exception_handler(DataError)
    async def unstorable(_: Request, error: DataError) -> Json:
        _log.warning("refused by the database", kind=type(error.orig).__name__)  # whoever took it should have seen it
        return ApiError(400, "A value is out of range or cannot be stored", name="ValidationError").answer()

    @app.exception_handler(DBAPIError)
    async def database(request: Request, error: DBAPIError) -> Json:
        if error.connection_invalidated:  # PostgreSQL went away in the middle of a statement
            return await away(request, error)
        raise error


def _invalid(error: RequestValidationError) -> ApiError:
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return ApiError(400, "Invalid JSON")
    return validation_error([(_path(fault["loc"]), said(fault)) for fault in faults])


def _path(location: Sequence[str | int]) -> str:
    """`items.0.quantity` of ("body", "items", 0, "quantity"): where it came in is no part of a field's name."""
    return ".".join(str(part) for part in location[1:])
