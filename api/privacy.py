"""The export of all that is kept of a customer; its erasure is a write (api/commands/privacy.py)."""
# No `from __future__ import annotations`: FastAPI reads the annotations.

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from api.auth import Caller, secret
from api.resources import doors_of
from api.responses import Json
from api.tokens import CustomerId
from operations import privacy

router = APIRouter(prefix="/api", tags=["Operations"])

_EXPORT: dict[str, Any] = {
    "type": "object",
    "required": ["customer", "orders", "carts", "personal"],
    "properties": {
        "customer": {"type": "string"},
        **{name: {"type": "array", "items": {"type": "object"}} for name in ("orders", "carts", "personal")},
    },
}


@router.get(
    "/customers/{id}/export",
    response_model=None,
    responses={
        200: {"content": {"application/json": {"schema": _EXPORT}}},
        404: {"description": "Nothing is kept of a customer of this id"},
    },
    summary="All that is kept of a customer",
)
def export_customer(id: CustomerId, request: Request, caller: Annotated[Caller, Depends(secret)]) -> Json:
    """Orders with their events, carts, names, addresses and notes, as one document. That it was looked at stands in the audit."""
    with doors_of(request).engine.begin() as conn:
        return Json(privacy.export(conn, id, caller.source))
