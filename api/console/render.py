r"""Pages of the console: Jinja2 templates, rendered so that no value of others can do harm, and the headers of each answer.

Every value that a template prints goes through `harmless` and is then escaped: what a browser would not show, or what turns
the direction of all that follows, is spelled out (`\u202e`), and a text longer than LONGEST is cut, and says so. So a
template need not think of it, and cannot forget it. Scripts and styles are files of ours alone; the policy allows no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.console import words
from api.console.outage import Away
from api.console.session import PATH, TOKEN_FIELD, NotLoggedIn, come_back_to, form_token
from events.errors import OrdersError
from events.money import MoneyError, exponent
from telemetry.harmless import visible

LONGEST = 2_000  # characters of one value
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
FILES = {"console.css": "text/css", "htmx.min.js": "text/javascript", "icon.svg": "image/svg+xml"}


class Whole(str):
    """A text that a template prints as it is, escaped and nothing else: the content of a field that is edited."""

    __slots__ = ()


def harmless(value: Any) -> Any:
    r"""A value as a template prints it, before it is escaped.

    >>> harmless("a\x1b[2J\u202eb"), harmless("x" * 3000)[-20:]
    ('a\\x1b[2J\\u202eb', 'xx… (3,000 characters)')
    """
    if value is None:
        return ""
    if isinstance(value, Markup | Whole | int | float) or hasattr(value, "__html__"):
        return value
    text = str(value)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text):,} characters)"
    return visible(text)


def time_of(moment: datetime | None) -> Markup | str:
    """A moment in UTC, to the second."""
    if moment is None:
        return "–"
    at = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S}")


def money_of(amount: Any, currency: str | None = None) -> str:
    """An amount with its currency, thousands apart, with the decimals that it has or its currency wants.

    >>> money_of(Decimal("12000"), "KRW"), money_of(Decimal("5"), "USD"), money_of(None)
    ('12,000 KRW', '5.00 USD', '–')
    """
    if amount is None:
        return "–"
    value = Decimal(str(amount))
    digits = max(-int(value.normalize().as_tuple().exponent), 0)
    with suppress(MoneyError):
        digits = max(digits, exponent(currency or ""))
    return f"{value:,.{digits}f} {currency or ''}".strip()


def commands_of(text: Any) -> Markup:
    """A sentence with what it has between backticks set as code, harmless and escaped as every value.

    >>> commands_of("run `orders beat` <now>")
    Markup('run <code>orders beat</code> &lt;now&gt;')
    """
    parts = str(harmless(text)).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part)
        if n % 2 and n + 1 < len(parts)
        else Markup("{}{}").format("`" if n % 2 else "", part)
        for n, part in enumerate(parts)
    )


@cache
def environment() -> Environment:
    """The templates of the console, made ready once per process."""
    made = Environment(
        loader=PackageLoader("api.console", "templates"),
        autoescape=True,
        finalize=harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "at": time_of,
        "commands": commands_of,
        "money": money_of,
        "whole": Whole,
        "error_told": words.error_told,
    }
    made.globals |= {"asset": asset, "query": _query}
    return made


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """The answer that a template makes, in the language of the request."""
    language = language_of(request)
    told = {
        "t": words.teller(language),
        "language": language,
        "languages": words.LANGUAGES,
        "here": request.url.path,
        "come_back": come_back_to(request),
        "asked": dict(request.query_params),
        "who": getattr(request.state, "operator", None),
        "pauses": getattr(request.state, "pauses", ()),
        "form_token": form_token(request),
        "TOKEN_FIELD": TOKEN_FIELD,
        "pages": words.PAGES,
    }
    body = environment().get_template(template).render(**told | values)
    return HTMLResponse(body, status, {"Content-Security-Policy": POLICY, "Content-Language": language})


def language_of(request: Request) -> str:
    """The language of a request: what was chosen, else what the browser prefers of those there are, else English."""
    if (chosen := request.cookies.get("orders_language")) in words.LANGUAGES:
        return str(chosen)
    for part in request.headers.get("accept-language", "").split(","):
        wanted = part.partition(";")[0].strip().lower().partition("-")[0]
        if wanted in words.LANGUAGES:
            return wanted
    return "en"


def go(address: str) -> Response:
    """Send the browser on to another page of the console."""
    return RedirectResponse(address, 303)


class ConsoleRoute(APIRoute):
    """A route whose refusals are pages: what went wrong, what it left, and the next step."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """The handler, with every error that a person can mend turned into a page."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except NotLoggedIn as error:
                address = f"{PATH}/login?{urlencode({'next': error.come_back})}"
                if request.headers.get("hx-request"):  # a part of a page: the whole of it has to go
                    return Response(status_code=401, headers={"HX-Redirect": address})
                return go(address)
            except OrdersError as error:
                return refusal(request, str(error), error.code, status_of(error))
            except HTTPException as error:
                return refusal(request, str(error.detail), "not_found", error.status_code)
            except (OperationalError, InterfaceError):
                away = Away()
                return refusal(request, str(away), away.code, status_of(away))

        return answered


def status_of(error: OrdersError | None) -> int:
    """The HTTP status of a page after what was asked of it; one that is refused and names no status is a conflict."""
    return 200 if error is None else error.status or 409


def refusal(request: Request, message: str, code: str, status: int) -> Response:
    """The page of a request that was refused."""
    return page(request, "error.html", status, message=_begun(message), code=code)


def _begun(message: str) -> str:
    r"""A message as a sentence begins: with a capital, unless a name comes first, which stays as it is.

    >>> _begun("there is no such page"), _begun("nosuch: there is no such order"), _begun("rpl_1 is done")
    ('There is no such page', 'nosuch: there is no such order', 'rpl_1 is done')
    """
    first = message.partition(" ")[0].rstrip(",;")
    return message[:1].upper() + message[1:] if first.isalpha() else message


@cache
def static(name: str) -> tuple[bytes, str]:
    """The content and the media type of one of FILES. Errors: KeyError."""
    kind = FILES[name]
    return files("api.console").joinpath("static", name).read_bytes(), kind


@cache
def asset(name: str) -> str:
    """The address of one of FILES; another content has another address, so that browsers may keep it for ever."""
    return f"{PATH}/static/{name}?v={hashlib.sha256(static(name)[0]).hexdigest()[:16]}"


def _query(asked: dict[str, str], **other: Any) -> str:
    """A query string of what was asked, with some of it otherwise; what is None is left out."""
    told = {**asked, **other}
    return urlencode({name: str(value) for name, value in told.items() if value not in (None, "")})
