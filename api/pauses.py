"""The list of what is paused; what pauses and resumes is a write (api/commands/pauses.py)."""
# No `from __future__ import annotations`: FastAPI reads the annotations.

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from api.auth import Caller, secret
from api.resources import doors_of
from api.responses import Json
from operations import pauses

router = APIRouter(prefix="/api", tags=["Operations"])

_LIST: dict[str, Any] = {
    "type": "object",
    "required": ["docs"],
    "properties": {"docs": {"type": "array", "items": {"$ref": "#/components/schemas/Pause"}}},
}


@router.get(
    "/pauses",
    response_model=None,
    responses={200: {"content": {"application/json": {"schema": _LIST}}}},
    summary="Find pauses",
)
def find_pauses(request: Request, caller: Annotated[Caller, Depends(secret)]) -> Json:
    """All that rests now, and what was resumed and is being worked off still, the oldest first."""
    with doors_of(request).reader.connect() as conn:
        return Json({"docs": [each.as_document() for each in pauses.listed(conn)]})
