"""Endpoints that check a key and make tokens for a shop's customers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from api.auth import CUSTOMER, LONGEST_S, Caller, anyone, issue, secret
from api.errors import ApiError
from api.path_converters import own_name
from api.resources import doors_of
from api.responses import Json
from domain.ids import format_id
from storage.clock import clock

HOUR_S = 3_600
router = APIRouter(prefix="/api", tags=["Keys"])

CustomerId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=255,
        pattern=CUSTOMER,
        description="The shop's own id of the customer, as in an order's `customer`.",
    ),
]


class TokenRequest(BaseModel):
    """The wish of how long a token is to last."""

    model_config = ConfigDict(extra="forbid")
    expiresIn: int = Field(  # noqa: N815
        default=HOUR_S, ge=60, le=LONGEST_S, strict=True, description="Seconds until it expires; a day at most."
    )


class Token(BaseModel):
    """A customer's token, and its end."""

    token: str = Field(description="Goes with each request, in the header X-Customer-Token.")
    expiresAt: datetime  # noqa: N815


class Me(BaseModel):
    """The caller, as the API knows it."""

    key: str = Field(description="The id of the key.", examples=["key_019a0b7c4d5e7f6081929394a5b6c7d8"])
    kind: str = Field(description="secret, publishable, or customer: a publishable key with a customer's token.")
    customer: str | None = Field(description="Whose token came with it.")


@router.get("/me", response_model=Me, summary="Check a key")
async def check_key(caller: Annotated[Caller, Depends(anyone)]) -> Json:
    """The key of this request: the one thing that a publishable key alone may ask."""
    return Json({"key": format_id("api-keys", caller.key_id), "kind": caller.kind, "customer": caller.customer})


@router.post(
    f"/customers/{own_name('id')}/token",
    response_model=Token,
    summary="Make a customer's token",
    responses={503: {"description": "No secret is set to sign tokens with"}},
)
async def create_customer_token(
    request: Request, id: CustomerId, caller: Annotated[Caller, Depends(secret)], body: TokenRequest | None = None
) -> Json:
    """A token with which the shop's pages may read this customer's orders, together with the publishable key.

    The shop's backend asks for it once it knows who is signed in, and hands it to the page.
    """
    signing = doors_of(request).settings.token_secret
    if signing is None:
        raise ApiError(
            503,
            "Tokens cannot be signed: set ORDERS_TOKEN_SECRET to 32 random characters or more, and restart the API",
            name="Unavailable",
        )
    lasts = timedelta(seconds=(body or TokenRequest()).expiresIn)
    token, expires = issue(id, signing, clock(), lasts)
    return Json({"token": token, "expiresAt": expires})
