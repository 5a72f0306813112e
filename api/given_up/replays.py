"""Replays of what was given up, over HTTP: begun here, and made by the workers; and one order rebuilt from the journal."""
# No `from __future__ import annotations`: FastAPI reads the annotations.

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from api.commands.json_body import ExactRoute
from api.commands.write_endpoint import BySecret
from api.errors import ApiError
from api.given_up.endpoints import ABSENT, CONFLICT, REUSED, TAG, Secret, answers
from api.given_up.models import Act, BeginReplay
from api.resources import doors_of
from api.responses import Json
from events.field_types import Name
from journal.commands import Request as Transaction
from operations import given_up, rebuild, replays
from queries.order_lookup import number_of

ReplayId = Annotated[Name, Path(description="its id", examples=["rpl_019a3c1e8f7b7c1d9e2f3a4b5c6d7e8f"])]
OrderId = Annotated[Name, Path(description="its id, or its number")]

router = APIRouter(route_class=ExactRoute, tags=[TAG])


@router.get("/api/given-up/replays", **answers("replays"))
def list_replays(request: Request, caller: Secret, limit: Annotated[int, Query(ge=1, le=1_000)] = 20) -> Json:
    """List replays, the newest first."""
    with doors_of(request).reader.connect() as conn:
        return Json({"replays": [each.as_document() for each in replays.replays(conn, limit)]})


@router.post("/api/given-up/replays", **answers("doc", status=202, more=ABSENT | CONFLICT | REUSED))
def begin_replay(sent: BeginReplay, write: BySecret) -> Response:
    """Begin a replay; the workers make it, in steps of 1, 10, 100 …, and stop by themselves where failures come back.

    Each order's events come in the order in which they happened, with what was given up of that order later.
    """

    def work(request: Transaction) -> tuple[int, dict[str, Any]]:
        planned = replays.plan(request.conn, given_up.chosen(request.conn, sent.refs, sent.wanted()))
        replay_id = replays.begin(
            request.conn,
            planned,
            by=sent.actor(write.caller),
            reason=sent.reason,
            chosen=sent.told(),
            rate=sent.rate,
            halt_above=sent.haltAbove,
        )
        return 202, {"doc": replays.replay(request.conn, replay_id).as_document()}

    return write.do(work)


@router.get("/api/given-up/replays/{id}", **answers("doc", "report", more=ABSENT))
def show_replay(request: Request, caller: Secret, id: ReplayId) -> Json:
    """Show a replay with its report: what came of each cause."""
    with doors_of(request).reader.connect() as conn:
        found = replays.replay(conn, id)
        report = replays.report(conn, found.id)
    return Json({"doc": found.as_document(), "report": [each.as_document() for each in report]})


@router.post("/api/given-up/replays/{id}/stop", **answers("doc", more=ABSENT | CONFLICT | REUSED))
def stop_replay(id: ReplayId, sent: Act, write: BySecret) -> Response:
    """Stop a replay after what it is just doing; it can be resumed."""
    return write.do(
        lambda request: (
            200,
            {"doc": replays.stop(request.conn, id, by=sent.actor(write.caller), reason=sent.reason).as_document()},
        )
    )


@router.post("/api/given-up/replays/{id}/resume", **answers("doc", more=ABSENT | CONFLICT | REUSED))
def resume_replay(id: ReplayId, sent: Act, write: BySecret) -> Response:
    """Let a replay go on that was stopped, or that stopped by itself: that in small steps again."""
    return write.do(
        lambda request: (
            200,
            {"doc": replays.resume(request.conn, id, by=sent.actor(write.caller), reason=sent.reason).as_document()},
        )
    )


@router.get("/api/given-up/rebuild/{order}", **answers("order", "differences", more=ABSENT))
def preview_rebuild(request: Request, caller: Secret, order: OrderId) -> Json:
    """Say what is stored of an order otherwise than the journal tells. Nothing is changed."""
    number = _number(request, order)
    return Json({"order": number, "differences": _told(rebuild.differences(doors_of(request).reader, number))})


@router.post("/api/given-up/rebuild/{order}", **answers("order", "differences", more=ABSENT | CONFLICT))
def rebuild_order(request: Request, caller: Secret, order: OrderId, sent: Act) -> Json:
    """Compute an order anew from the journal and write it over, after a mended bug; nothing is sent for it."""
    number = _number(request, order)
    found = rebuild.rebuild(doors_of(request).engine, number, by=sent.actor(caller), reason=sent.reason)
    return Json({"order": number, "differences": _told(found)})


def _number(request: Request, order: str) -> str:
    with doors_of(request).reader.connect() as conn:
        number = number_of(conn, order)
    if number is None:
        raise ApiError(404, "Not Found")
    return number


def _told(found: list[Any]) -> list[dict[str, str]]:
    return [each.as_document() for each in found]
