"""The audit over HTTP: who did what, and who looked at personal data, a page at a time along its ids."""
# No `from __future__ import annotations`: FastAPI reads the annotations.

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from api.auth import Caller, secret
from api.resources import doors_of
from api.responses import Json
from events.field_types import Moment, Name
from operations import audit

MOST_LISTED = 1_000
LAST_ID = 2**63 - 1

_LIST: dict[str, Any] = {
    "type": "object",
    "required": ["docs", "hasNextPage", "nextBefore"],
    "properties": {
        "docs": {"type": "array", "items": {"$ref": "#/components/schemas/AuditEntry"}},
        "hasNextPage": {"type": "boolean"},
        "nextBefore": {"type": ["integer", "null"], "description": "`before` of the next page; null: this is the last"},
    },
}

router = APIRouter(prefix="/api", tags=["Operations"])


@router.get(
    "/audit",
    response_model=None,
    responses={200: {"content": {"application/json": {"schema": _LIST}}}},
    summary="Find acts in the audit",
)
def find_acts(
    request: Request,
    caller: Annotated[Caller, Depends(secret)],
    actor: Annotated[Name | None, Query(description="Only by this one: cli:kim, api/key_…, console:lee")] = None,
    act: Annotated[
        Name | None, Query(description="Only this act, such as OrderHeld, or `look at personal data`")
    ] = None,
    order: Annotated[Name | None, Query(description="Only about the order of this number")] = None,
    since: Annotated[Moment | None, Query(description="Only from this time on")] = None,
    until: Annotated[Moment | None, Query(description="Only before this time")] = None,
    before: Annotated[
        int | None,
        Query(
            ge=1, le=LAST_ID, description="Only what is older than the act of this id: the page before's `nextBefore`"
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = audit.SHOWN,
) -> Json:
    """Acts of people and their looks at personal data, the newest first; a page goes on where the one before ended.

    Acts that are added meanwhile stand before the first page, so no page repeats or leaves out one.
    """
    with doors_of(request).reader.connect() as conn:
        found = audit.newest(
            conn, limit + 1, before=before, actor=actor, act=act, order=order, since=since, until=until
        )
    docs, more = found[:limit], len(found) > limit
    following = docs[-1].id if more else None
    return Json({"docs": [each.as_document() for each in docs], "hasNextPage": more, "nextBefore": following})
