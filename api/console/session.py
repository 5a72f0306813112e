"""Sessions of the console: who is logged in, what they may do, and that a form was sent from a page of ours.

The cookie is HttpOnly, SameSite=Strict, and Secure where the page came by https. A form carries a token that follows from
the cookie's, which no script and no other site can read, so there is nothing to keep; besides, a browser says where a form comes
from (Sec-Fetch-Site, Origin), and one that comes from elsewhere is refused. All of it is compared in constant time.
"""
# No `from __future__ import annotations`: FastAPI reads the annotations of the dependencies.

import hmac
from typing import Annotated
from urllib.parse import parse_qsl, quote, urlsplit

from anyio import fail_after, to_thread
from fastapi import Depends, Request
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from api.console import outage
from api.console.outage import Away, remembered_of
from api.resources import doors_of
from events.errors import OrdersError
from operations import operators, pauses
from operations.operators import LASTS, Session
from storage.clock import clock

COOKIE = "orders_console"
PATH = "/console"
TOKEN_FIELD = "form_token"  # noqa: S105  a field's name
MOST_FIELDS = 2_000


class NotLoggedIn(OrdersError):
    """Nobody is logged in, or the session is over: the browser is sent to the login page, and comes back after it."""

    code = "console_login"
    remedy = "Log in; `orders operators link NAME` makes a link that lets you in."
    status = 401

    def __init__(self, come_back: str) -> None:
        super().__init__("log in first")
        self.come_back = come_back


class NotAllowed(OrdersError):
    """The operator's role does not reach so far, or the form was not sent from a page of the console."""

    code = "console_forbidden"
    remedy = "Ask an admin for another role, or load the page anew and send the form again."
    status = 403


class Form:
    """The fields of a form, the last of a name alone unless all are asked for."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def get(self, name: str) -> str:
        """The text of a field without blanks around it, "" where it is absent."""
        return next((value.strip() for key, value in reversed(self._pairs) if key == name), "")

    def raw(self, name: str) -> str:
        """The text of a field as it was sent, such as a password."""
        return next((value for key, value in reversed(self._pairs) if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for key, value in self._pairs if key == name]

    def but(self, *names: str) -> list[tuple[str, str]]:
        """The fields, for a form that is sent once more, without those named."""
        return [(key, value) for key, value in self._pairs if key not in names]


async def read_form(request: Request) -> Form:
    """The form in a request's body, sent from a page of ours. Errors: NotAllowed."""
    if _from_elsewhere(request):
        raise NotAllowed("this form was sent from another site; open the console, and send it from there")
    body = (await request.body()).decode("utf-8", "replace").replace("\x00", "\ufffd")
    try:
        return Form(parse_qsl(body, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise NotAllowed(f"the form has more than {MOST_FIELDS} fields; choose less at a time") from None


def _from_elsewhere(request: Request) -> bool:
    """True of a form that another site sent, as far as the browser tells.

    Our pages have no referrer to give, so that browsers write `null` as their forms' origin: then Sec-Fetch-Site counts.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin not in (None, "null") and urlsplit(origin or "").netloc != request.headers.get("host")


Sent = Annotated[Form, Depends(read_form)]


async def logged_in(request: Request) -> Session:
    """The session of a request. Errors: NotLoggedIn."""
    token = request.cookies.get(COOKIE)
    remembered = remembered_of(request)
    found = None
    if token and not remembered.is_ended(token):
        try:
            found = await to_thread.run_sync(_look_up, request, token, abandon_on_cancel=True)
        except DBAPIError:
            request.state.operator = remembered.find(token)  # so that the page that says so has its menu
            raise
    if found is None:
        remembered.forget(token or "")
        raise NotLoggedIn(come_back_to(request))
    remembered.note(token or "", found)
    request.state.operator = found
    return found


def _look_up(request: Request, token: str) -> Session | None:
    with doors_of(request).engine.begin() as conn:
        found = operators.session(conn, token, clock())
        if found is not None:
            request.state.pauses = pauses.listed(conn)  # they are told on every page while they stand
    return found


async def watching(request: Request) -> Session:
    """The session of a request for the health of the system; a remembered one where PostgreSQL gives no answer.

    Errors: NotLoggedIn; Away where the session is not remembered either.
    """
    remembered = remembered_of(request)
    if not remembered.silent:
        try:
            with fail_after(outage.ANSWER_S):
                return await logged_in(request)
        except DBAPIError:
            pass
        except TimeoutError:
            remembered.be_silent()
    token = request.cookies.get(COOKIE, "")
    if not token or remembered.is_ended(token):
        raise NotLoggedIn(come_back_to(request))
    if (found := remembered.find(token)) is None:
        raise Away
    request.state.operator = found
    return found


Viewer = Annotated[Session, Depends(logged_in)]
Watcher = Annotated[Session, Depends(watching)]


async def sent_by_operator(request: Request, who: Viewer, form: Sent) -> Session:
    """The session of a form that changes something. Errors: NotAllowed without its token, or for a viewer."""
    check_token(request, form)
    if not who.acts:
        raise NotAllowed(f"{who.name} is a viewer, and may look at everything but change nothing")
    return who


async def sent_by_admin(request: Request, who: Viewer, form: Sent) -> Session:
    """The session of a form that an admin alone may send. Errors: NotAllowed without its token, or for others."""
    check_token(request, form)
    if not who.administers:
        raise NotAllowed(f"{who.name} is no admin, and this is for admins alone")
    return who


async def sent_by_anyone(request: Request, who: Viewer, form: Sent) -> Session:
    """The session of a form about the operator alone, such as a logout. Errors: NotAllowed without its token."""
    check_token(request, form)
    return who


Acting = Annotated[Session, Depends(sent_by_operator)]
Administering = Annotated[Session, Depends(sent_by_admin)]
Own = Annotated[Session, Depends(sent_by_anyone)]


def check_token(request: Request, form: Form) -> None:
    """Refuse a form that does not carry the token of the session. Errors: NotAllowed."""
    expected = form_token(request)
    if not expected or not hmac.compare_digest(form.get(TOKEN_FIELD).encode(), expected.encode()):
        raise NotAllowed("this form is of another session; load its page anew, and send it again")


def form_token(request: Request) -> str:
    """The token that forms of this session carry, "" where there is no session."""
    token = request.cookies.get(COOKIE)
    return hmac.digest(token.encode(), b"orders console form", "sha256").hex() if token else ""


def begin(request: Request, answer: Response, token: str) -> None:
    """Have the browser keep the session of that token."""
    answer.set_cookie(
        COOKIE, token, max_age=int(LASTS.total_seconds()), path=PATH, httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip


def end(answer: Response) -> None:
    """Have the browser forget its session."""
    answer.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")


def address_of(request: Request) -> str:
    """The caller's address, for the back-off of logins."""
    return request.client.host if request.client is not None else ""


def inside(address: str) -> str:
    """An address to go on to after the login: a page of the console, whatever was asked for."""
    return (
        address
        if address.startswith((f"{PATH}/", f"{PATH}?")) and "//" not in address and "\\" not in address
        else PATH
    )


def come_back_to(request: Request) -> str:
    """The address of the page that was asked for, to come back to; the first page where a script or a form asked for it."""
    if request.method != "GET" or request.headers.get("hx-request"):
        return PATH
    query = f"?{request.url.query}" if request.url.query else ""
    return quote(request.url.path + query, safe="/?=&%.,:-_")
