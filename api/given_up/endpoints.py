"""The list of what was given up: found, grouped, shown, foretold, edited, discarded."""
# No `from __future__ import annotations`: FastAPI reads the annotations.

from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from api.auth import Caller, secret
from api.commands.json_body import ExactRoute
from api.commands.write_endpoint import BySecret
from api.errors import validation_error
from api.given_up.models import ActOnThings, Chosen, EditThings, Kind, PreviewEdit, Sought
from api.resources import doors_of
from api.responses import Json
from events.field_types import Moment, Name
from journal.commands import Request as Transaction
from operations import forecast, given_up, given_up_changes, given_up_detail
from operations.edits import Edit
from operations.given_up import SHOWN, Thing, Wanted
from outbound.refund_routes import configured_routes
from queries.documents import list_answer

MOST_LISTED = 1_000
MOST_FORETOLD = 500  # things of one forecast: a request has half a minute
MOST_CHANGED = 10_000  # of one edit or discard
TAG = "Given up"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Secret = Annotated[Caller, Depends(secret)]
ThingRef = Annotated[
    Name, Path(description="Its ref, as the list has it; of an event its own id, too", examples=["4711"])
]
OBJECT: dict[str, Any] = {"type": "object"}
ABSENT: dict[int | str, dict[str, Any]] = {404: {"description": "Nothing that was given up has this name"}}
CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"description": "It cannot be done as things stand; nothing was changed"}
}
REUSED: dict[int | str, dict[str, Any]] = {
    422: {"description": "The `Idempotency-Key` came with another request before"}
}

router = APIRouter(route_class=ExactRoute, tags=[TAG])


def answers(*names: str, status: int = 200, more: dict[int | str, dict[str, Any]] | None = None) -> dict[str, Any]:
    """The options of a route that answers an object with these fields."""
    schema = OBJECT if not names else {**OBJECT, "required": list(names), "properties": {name: {} for name in names}}
    said = {status: {"description": "Done", "content": {"application/json": {"schema": schema}}}}
    return {
        "status_code": status,
        "response_model": None,
        "response_class": Json,
        "responses": {**said, **(more or {})},
    }


def _conditions(
    kind: Annotated[Kind | None, Query(description="Only things of this kind")] = None,
    order: Annotated[Name | None, Query(description="Only of the order of this number")] = None,
    type: Annotated[Name | None, Query(description="Only of this type, such as PaymentSucceeded")] = None,
    reason: Annotated[Name | None, Query(description="Only for this reason")] = None,
    provider: Annotated[Name | None, Query(description="Only from, or to, this provider, sender or receiver")] = None,
    field: Annotated[Name | None, Query(description="Only with this field at fault")] = None,
    text: Annotated[Sought | None, Query(description="Only with this text anywhere in it, its body included")] = None,
    since: Annotated[Moment | None, Query(description="Only what was given up since")] = None,
    until: Annotated[Moment | None, Query(description="Only what was given up before")] = None,
) -> Wanted:
    return Wanted(kind, order, type, reason, provider, field, text, since, until)


Where = Annotated[Wanted, Depends(_conditions)]


@router.get("/api/given-up", **answers("docs", "totalDocs", "page"))
def list_given_up(
    request: Request,
    caller: Secret,
    where: Where,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = SHOWN,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> Json:
    """List what was given up and waits for a person, the last to die first."""
    with doors_of(request).reader.connect() as conn:
        found = given_up.given_up(conn, where, limit=limit, skip=(page - 1) * limit)
        count = given_up.count(conn, where)
    return Json(list_answer([each.as_document() for each in found], count, limit, page))


@router.get("/api/given-up/causes", **answers("causes"))
def list_causes(request: Request, caller: Secret, where: Where) -> Json:
    """Group what was given up by reason, type, field at fault and provider, the most frequent first."""
    with doors_of(request).reader.connect() as conn:
        return Json({"causes": [each.as_document() for each in given_up.causes(conn, where)]})


@router.post("/api/given-up/forecast", **answers("outcomes", "orders", "refunds", more=ABSENT | CONFLICT))
def foretell_replay(request: Request, caller: Secret, sent: Chosen) -> Json:
    """Say what a replay would do now: which orders would change, which refunds and messages go out. Nothing is changed."""
    doors = doors_of(request)
    with doors.engine.connect() as conn:
        things = few(given_up.chosen(conn, sent.refs, sent.wanted()), MOST_FORETOLD)
    return Json(
        forecast.forecast(
            doors.engine, doors.settings.policy, configured_routes(doors.settings), doors.shop, things
        ).as_document()
    )


@router.post("/api/given-up/edit/preview", **answers("edits", "refused", more=ABSENT | CONFLICT))
def preview_edit(request: Request, caller: Secret, sent: PreviewEdit) -> Json:
    """Say what a patch would make of events, and which of them would die again. Nothing is changed."""
    with doors_of(request).engine.connect() as conn:
        things = few(given_up.chosen(conn, sent.refs, sent.wanted()), MOST_CHANGED)
        made = given_up_changes.preview(conn, things, sent.steps())
    return Json({"edits": [_edit(each) for each in made], "refused": sum(each.fault is not None for each in made)})


@router.post("/api/given-up/edit", **answers("edited", "edits", more=ABSENT | CONFLICT | REUSED))
def edit_given_up(sent: EditThings, write: BySecret) -> Response:
    """Lay one patch over events, as a new version of each: all of them, or none. They stay dead until they are replayed."""

    def work(request: Transaction) -> tuple[int, dict[str, Any]]:
        things = few(given_up.chosen(request.conn, sent.refs, sent.wanted()), MOST_CHANGED)
        by = sent.actor(write.caller)
        made = given_up_changes.edit(request.conn, things, sent.steps(), by=by, reason=sent.reason)
        return 200, {"edited": len(made), "edits": [_edit(each) for each in made]}

    return write.do(work)


@router.post("/api/given-up/discard", **answers("discarded", "refs", more=ABSENT | CONFLICT | REUSED))
def discard_given_up(sent: ActOnThings, write: BySecret) -> Response:
    """Discard things for good: events end as ignored, refunds are made by nobody, look-ups and deliveries are let be."""

    def work(request: Transaction) -> tuple[int, dict[str, Any]]:
        things = few(given_up.chosen(request.conn, sent.refs, sent.wanted()), MOST_CHANGED)
        done = given_up_changes.discard(request.conn, things, by=sent.actor(write.caller), reason=sent.reason)
        return 200, {"discarded": len(done), "refs": [each.ref for each in done]}

    return write.do(work)


@router.get("/api/given-up/{ref}", **answers("ref", "came", "history", "ifReplayedNow", more=ABSENT | CONFLICT))
def show_given_up(request: Request, caller: Secret, ref: ThingRef) -> Json:
    """Show one thing: what came, why it died, its versions, every attempt, and what would happen if it were replayed now."""
    doors = doors_of(request)
    with doors.engine.connect() as conn:
        found = given_up_detail.detail(conn, ref)
    then = forecast.forecast(
        doors.engine, doors.settings.policy, configured_routes(doors.settings), doors.shop, [found.thing]
    )
    return Json({**found.as_document(), "ifReplayedNow": then.as_document()})


def few(things: list[Thing], most: int) -> list[Thing]:
    """The things, if they are so many at most. Errors: ApiError 400."""
    if len(things) > most:
        raise validation_error([("where", f"{len(things):,} things fit, and a request takes {most:,}: narrow it")])
    return things


def _edit(each: Edit) -> dict[str, Any]:
    """An edit as JSON; names, addresses and notes stay out of it."""
    said = {
        one.name: getattr(each, one.name) for one in fields(each) if one.name in ("name", "version", "diff", "fault")
    }
    return {"ref": str(each.seq), **said, "personal": sorted(each.personal)}
