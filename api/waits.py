"""Endpoints that say what orders wait for, and how long they stay in each status; with a secret key."""
# No `from __future__ import annotations`: FastAPI reads the annotations.

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request

from api.auth import Caller, secret
from api.errors import ApiError
from api.resources import doors_of
from api.responses import Json
from events.field_types import Moment, Name
from operations import dwell, why
from queries.repository import visible_id
from storage.clock import clock

Secret = Annotated[Caller, Depends(secret)]
WHY: dict[str, Any] = {
    "type": "object",
    "required": ["order", "status", "waits_for", "since", "moved_by", "sentence"],
    "properties": {
        "order": {"type": "string"},
        "status": {"type": "string"},
        "waits_for": {"type": ["string", "null"], "description": "A stable code; null where it waits for nothing."},
        "what": {"type": ["string", "null"]},
        "since": {"type": ["string", "null"]},
        "moved_by": {"type": ["string", "null"]},
        "by_itself_at": {"type": ["string", "null"], "description": "When something happens without anybody."},
        "sentence": {"type": "string"},
    },
}
DWELL: dict[str, Any] = {
    "type": "object",
    "required": ["statuses", "overdue"],
    "properties": {"statuses": {"type": "array", "items": {"type": "object"}}, "overdue": {"type": "object"}},
}
router = APIRouter(tags=["Queries"])


def _answers(schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "As of now", "content": {"application/json": {"schema": schema}}}}


@router.get(
    "/api/orders/{id}/why",
    response_model=None,
    response_class=Json,
    responses={**_answers(WHY), 404: {"description": "There is none"}},
)
def find_order_why(
    request: Request, caller: Secret, id: Annotated[Name, Path(description="Its id, as answered.")]
) -> Json:
    """Say in one sentence what an order waits for, since when, and what would move it."""
    with doors_of(request).reader.connect() as conn:
        order_id = visible_id(conn, "orders", id, None)
        if order_id is None:
            raise ApiError(404, "Not Found")
        for found in why.why(conn, [order_id]):
            return Json(found.as_document())
        number, status = why.stands(conn, order_id)
    ended = {"waits_for": None, "what": None, "since": None, "moved_by": None, "by_itself_at": None}
    return Json(
        {"order": number, "status": status, **ended, "sentence": f"order {number} is {status} and waits for nothing"}
    )


@router.get("/api/dwell", response_model=None, response_class=Json, responses=_answers(DWELL))
def find_dwell_times(
    request: Request,
    caller: Secret,
    since: Annotated[Moment | None, Query(description="Orders placed since; else in the last 30 days")] = None,
) -> Json:
    """Show how long orders stay in each status (p50, p95, longest; in seconds), against the shop's targets."""
    doors, now = doors_of(request), clock()
    with doors.reader.connect() as conn:
        stays = dwell.dwell(conn, doors.settings.dwell_targets, since or now - timedelta(days=30), now)
        late = dwell.overdue(conn, doors.settings.legal_clock, now)
    return Json({"statuses": [each.as_document() for each in stays], "overdue": asdict(late)})
