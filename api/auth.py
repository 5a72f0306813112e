"""Authentication: a key, alone or with a customer's token, and what each of them may do.

    secret       a secret key: the whole Server API and every query
    publishable  a publishable key alone: itself, and nothing about orders
    customer     a publishable key with a customer's token: what is theirs

A secret key stays one whatever token comes with it. 401 is for who is not known (no key, a wrong, revoked or
expired one), 403 for who is known and may not; neither says more. Dependencies are objects, because FastAPI
reads the security schemes of the OpenAPI document from them.
"""
# No `from __future__ import annotations`: FastAPI cannot resolve the annotations of an object's __call__ then.

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import jwt
from fastapi import Request
from fastapi.openapi.models import HTTPBearer as BearerScheme
from fastapi.security.base import SecurityBase
from jwt.types import Options

from api.errors import ApiError
from api.key_cache import KnownKeys
from api.rate_limit import Limits
from api.resources import doors_of
from storage.clock import epoch

ALGORITHM = "HS256"
AUDIENCE = "orders"
TOKEN_HEADER = "x-customer-token"  # noqa: S105  a header's name
CLAIMS = ["sub", "iat", "exp", "aud"]
# Times are looked at by PostgreSQL's clock (`_in_time`): the library would take this host's.
DECODED: Options = {"require": CLAIMS, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
LONGEST_S = 86_400  # that a token lasts, whoever signed it: a lost one must not be good for ever
# The shop's id of a customer: no control character, and no half of a surrogate pair, which JSON may spell.
CUSTOMER = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+$"
_CUSTOMER = re.compile(r"(?s:[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]{1,255})")
LEEWAY_S = 1.0  # hosts know PostgreSQL's clock within milliseconds, and a token counts whole seconds


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request. `customer` is the shop's id of the customer, for a caller of that kind alone."""

    kind: Literal["secret", "publishable", "customer"]
    key_id: str  # uuid
    customer: str | None = None

    @property
    def source(self) -> str:
        """The source of the events that this caller causes."""
        return f"api/key_{self.key_id.replace('-', '')}"


def _unknown() -> ApiError:
    return ApiError(
        401,
        "Unauthorized: send a valid API key as `Authorization: Bearer KEY`; `orders keys add` makes one",
        name="UnauthorizedError",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _forbidden(kinds: tuple[str, ...]) -> ApiError:
    takes = "a secret key, or a customer's token beside a publishable one" if "customer" in kinds else "a secret key"
    return ApiError(403, f"You are not allowed to perform this action: it takes {takes}", name="Forbidden")


class _Dependency(SecurityBase):
    """A dependency that answers who calls, if it is one of `kinds`; else it raises 401 or 403."""

    def __init__(self, scheme_name: str, *kinds: str) -> None:
        self.model = BearerScheme()
        self.scheme_name = scheme_name
        self._kinds = kinds

    async def __call__(self, request: Request) -> Caller:
        caller = await identify(request)
        request.state.caller = caller
        limits: Limits = request.app.state.limits
        request.state.allowance = await limits.take(caller.key_id)  # raises 429
        if caller.kind not in self._kinds:
            raise _forbidden(self._kinds)
        return caller


# The names are those of `ACCEPTED` in api/openapi.py.
secret = _Dependency("secret", "secret")
reader = _Dependency("reader", "secret", "customer")
anyone = _Dependency("anyone", "secret", "customer", "publishable")


async def identify(request: Request) -> Caller:
    """The caller of a request; ApiError 401 for nobody we know. Errors: OperationalError, where PostgreSQL is away."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise _unknown()
    known: KnownKeys = request.app.state.keys
    key = await known.find(text.strip())
    if key is None:
        raise _unknown()
    token = request.headers.get(TOKEN_HEADER)
    if key.kind == "secret":
        return Caller("secret", key.id)
    if token is None:
        return Caller("publishable", key.id)
    return Caller("customer", key.id, _customer(token, doors_of(request).settings.token_secret))


def issue(customer: str, secret_text: str, now: datetime, lasts: timedelta) -> tuple[str, datetime]:
    """A token for `customer`, signed with `secret_text`, and when it expires (whole seconds, as a JWT counts)."""
    expires = (now + lasts).replace(microsecond=0)
    claims = {"sub": customer, "iat": int(now.timestamp()), "exp": int(expires.timestamp()), "aud": AUDIENCE}
    return jwt.encode(claims, secret_text, algorithm=ALGORITHM), expires.astimezone(UTC)


def _customer(token: str, secret_text: str | None) -> str:
    """Whose token it is. The algorithm is ours to say, never the token's (RFC 8725, 3.1)."""
    if secret_text is None:
        raise _unknown()
    try:
        claims = jwt.decode(token, secret_text, algorithms=[ALGORITHM], audience=AUDIENCE, options=DECODED)
    except jwt.InvalidTokenError:
        raise _unknown() from None
    customer = claims["sub"]
    if not isinstance(customer, str) or not _CUSTOMER.fullmatch(customer) or not _in_time(claims):
        raise _unknown()
    return customer


def _in_time(claims: dict[str, Any]) -> bool:
    """Whether a token counts now, by the clock that it was dated by."""
    moment = epoch()
    try:
        begins = max(int(claims["iat"]), int(claims.get("nbf", 0)))
        ends = int(claims["exp"])
        return begins <= moment + LEEWAY_S and moment < ends <= int(claims["iat"]) + LONGEST_S
    except (TypeError, ValueError, OverflowError):
        return False
