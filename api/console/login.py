"""In and out of the console: the login, the one-time link, the operator's own page with password and language."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter, Request
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from api.console import words
from api.console.outage import remembered_of
from api.console.render import ConsoleRoute, go, page, status_of
from api.console.session import (
    COOKIE,
    PATH,
    Own,
    Sent,
    Viewer,
    address_of,
    begin,
    check_token,
    end,
    inside,
)
from api.resources import doors_of
from operations import operators
from operations.operators import LoginRefused, OperatorError
from storage.clock import clock

router = APIRouter(prefix=PATH, route_class=ConsoleRoute, include_in_schema=False)
YEAR_S = 365 * 86_400


@router.get("/login")
def show_login(request: Request) -> Response:
    """The page that asks for name and password."""
    return page(request, "login.html", next=inside(request.query_params.get("next", PATH)), name="", message=None)


@router.post("/login")
def log_in(request: Request, form: Sent) -> Response:
    """A session for a name and its password, else the page again with why not."""
    come_back, name = inside(form.get("next")), form.get("name")
    try:
        token = operators.log_in(doors_of(request).engine, name, form.raw("password"), address_of(request), clock())
    except LoginRefused as error:
        return page(request, "login.html", status_of(error), next=come_back, name=name, message=str(error))
    answer = go(come_back)
    begin(request, answer, token)
    return answer


@router.get("/enter")
def show_link(request: Request) -> Response:
    """The page that a link leads to. It takes a click to use the link up: what merely looks at addresses does not."""
    return page(request, "enter.html", token=request.query_params.get("token", ""), message=None)


@router.post("/enter")
def use_link(request: Request, form: Sent) -> Response:
    """A session for a link's token."""
    try:
        with doors_of(request).engine.begin() as conn:
            token = operators.enter(conn, form.get("token"), clock())
    except LoginRefused as error:
        return page(request, "enter.html", status_of(error), token="", message=str(error))
    answer = go(f"{PATH}/account")
    begin(request, answer, token)
    return answer


@router.post("/logout")
def log_out(request: Request, form: Sent) -> Response:
    """The end of the session; while PostgreSQL is away this process and this browser know it no longer."""
    check_token(request, form)
    token = request.cookies.get(COOKIE, "")
    remembered_of(request).end(token)
    with suppress(DBAPIError), doors_of(request).engine.begin() as conn:
        operators.log_out(conn, token)
    answer = go(f"{PATH}/login")
    end(answer)
    return answer


@router.get("/account")
def show_account(request: Request, who: Viewer) -> Response:
    """The operator's own page."""
    return page(request, "account.html", session=who, message=None, done=False)


@router.post("/account")
def set_password(request: Request, who: Own, form: Sent) -> Response:
    """A new password for the operator who is logged in."""
    new = form.raw("new")
    try:
        if new != form.raw("again"):
            raise OperatorError("the two new passwords differ; nothing was changed")
        with doors_of(request).engine.begin() as conn:
            operators.set_password(conn, who, request.cookies.get(COOKIE, ""), form.raw("present"), new)
    except OperatorError as error:
        return page(request, "account.html", status_of(error), session=who, message=str(error), done=False)
    return page(request, "account.html", session=who, message=None, done=True)


@router.post("/language")
def choose_language(request: Request, form: Sent) -> Response:
    """The language that pages have from now on in this browser; nobody need be logged in."""
    chosen, answer = form.get("language"), go(inside(form.get("next")))
    if chosen in words.LANGUAGES:  # another one leaves the page as it was
        answer.set_cookie("orders_language", chosen, max_age=YEAR_S, path=PATH, httponly=True, samesite="strict",
                          secure=request.url.scheme == "https")  # fmt: skip
    return answer
