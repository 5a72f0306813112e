"""The pages of what was given up: grouped by cause, found, shown, and its replays. What is done to it: `given_up_acts`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.console.orders import snapshot
from api.console.render import ConsoleRoute, go, page, status_of
from api.console.session import PATH, Acting, NotAllowed, Sent, Viewer
from api.console.times import moment_if_told
from api.console.words import word
from api.resources import doors_of
from events.errors import OrdersError
from operations import audit, given_up, given_up_detail, replays
from operations.given_up import KINDS, LAST, SOUGHT, Thing, Wanted
from operations.reasons import EVENT

router = APIRouter(prefix=f"{PATH}/given-up", route_class=ConsoleRoute, include_in_schema=False)
SHOWN = 50  # things of a page
MOST_PAGE = 2_000
CONDITIONS = tuple(each.name for each in fields(Wanted) if each.name not in ("since", "until", "edited"))
LONGEST = 500  # characters of a condition
EDITED = {"yes": True, "no": False}  # what an address says for it; or the moment of an act
# The conditions by their names on pages.
LABELS = {
    "kind": word("Kind"), "order": word("Order"), "type": word("Type"), "reason": word("Reason"),
    "field": word("Field at fault"), "provider": word("from or to"), "text": word("Text"), "edited": word("Edited"),
}  # fmt: skip


# -- looking -----------------------------------------------------------------------------------------------------


@router.get("")
def list_given_up(request: Request, who: Viewer) -> Response:
    """The list, narrowed by conditions, under its causes."""
    asked = request.query_params
    number, discarded = page_number(asked.get("page", "")), asked.get("done") == "discard"
    return listed(request, conditions(asked.get), number, discarded=discarded)


def listed(request: Request, wanted: Wanted, number: int, status: int = 200, **said: Any) -> Response:
    """The page of the list. `said`: that some was discarded, or the error of an act, with what was ticked for it."""
    sought = None if wanted.text is None else SOUGHT
    within = LAST if wanted.is_empty() else sought  # other conditions look at all: an act on "all that fit" does
    with snapshot(request) as conn:
        causes, found = given_up.page(conn, wanted, limit=SHOWN, skip=(number - 1) * SHOWN, within=within)
    count = sum(each.count for each in causes)
    told = {"discarded": False, "error": None, "ticked": (), "which": "all", **said}
    return page(
        request, "given_up.html", status, causes=causes, found=found, count=count, kinds=KINDS, wanted=as_address(wanted),
        edited_at=wanted.edited if isinstance(wanted.edited, datetime) else None,
        within=not sought and within and count >= within and within, sought=sought, number=number, shown=SHOWN,
        narrower=narrower, editable=any(each.kind == EVENT for each in causes), **told,
    )  # fmt: skip


@router.get("/replays")
def list_replays(request: Request, who: Viewer) -> Response:
    """Replays, the newest first."""
    with snapshot(request) as conn:
        found = replays.replays(conn)
    return page(request, "replays.html", found=found)


@router.get("/replays/{name}")
def show_replay(request: Request, who: Viewer, name: str) -> Response:
    """One replay with its report by cause; while it runs, the page asks again."""
    return _replay_page(request, name)


def _replay_page(request: Request, name: str, error: OrdersError | None = None, reason: str = "") -> Response:
    """The page of a replay; after a move that was refused with its error, and with the reason that was written."""
    with snapshot(request) as conn:
        found = replays.replay(conn, name)
        report = replays.report(conn, found.id)
        lost = 0 if found.state == "running" else replays.refunds_given_up(conn, found.id)
        acts = audit.about(conn, found.name)
    asked_again = bool(request.headers.get("hx-request"))
    template = "replay_state.html" if asked_again else "replay.html"
    answer = page(request, template, status_of(error), replay=found, report=report, acts=acts,
                  outcomes=replays.OUTCOMES, lost_refunds=lost, error=error, reason=reason)  # fmt: skip
    if asked_again and found.state != "running":
        answer.headers["HX-Refresh"] = "true"  # the whole page: it asks no more, and offers what may be done now
    return answer


@router.get("/{ref}")
def show_thing(request: Request, who: Viewer, ref: str) -> Response:
    """One thing: what came, why it was given up, its versions, every attempt; of one that waits no more also its end."""
    with snapshot(request) as conn:
        found = given_up_detail.detail_of_any(conn, ref)
    return page(request, "given_up_thing.html", detail=found, thing=found.thing, json_of=_json,
                its_list=narrower(found.thing))  # fmt: skip


# -- acting ------------------------------------------------------------------------------------------------------


@router.post("/replays/{name}/{act}")
def move_replay(request: Request, who: Acting, form: Sent, name: str, act: str) -> Response:
    """A replay is stopped, or goes on."""
    moves = {"stop": replays.stop, "resume": replays.resume}
    if act not in moves:
        raise NotAllowed(f"{act!r} is nothing that can be done to a replay")
    try:
        with doors_of(request).engine.begin() as conn:
            moves[act](conn, name, by=who.actor, reason=form.get("reason"))
    except replays.ReplayUnknown:
        raise  # there is no page that the form was of
    except OrdersError as error:
        return _replay_page(request, name, error, form.get("reason"))
    return go(f"{PATH}/given-up/replays/{name}")


# -- what is asked for --------------------------------------------------------------------------------------------


def conditions(asked: Callable[[str], str | None], prefix: str = "") -> Wanted:
    """The conditions of a page's query or form, whose fields begin with `prefix`; an unknown one is none."""
    told: dict[str, Any] = {
        name: (asked(f"{prefix}{name}") or "").strip().replace("\x00", "")[:LONGEST] for name in CONDITIONS
    }
    edited = (asked(f"{prefix}edited") or "").strip()
    told["edited"] = EDITED.get(edited, moment_if_told(edited))
    return Wanted(**{name: value for name, value in told.items() if value not in ("", None)})


def as_address(wanted: Wanted) -> dict[str, str]:
    """The conditions as an address or a form of the console has them, which `conditions` reads."""
    told = wanted.as_document()
    if (edited := told.get("edited")) is not None:
        told["edited"] = edited.isoformat() if isinstance(edited, datetime) else "yes" if edited else "no"
    return told


def narrower(cause: given_up.Group | Thing) -> dict[str, str]:
    """The conditions of one group of causes, or of that which a thing belongs to."""
    told = {
        "kind": cause.kind,
        "reason": cause.reason,
        "type": cause.type,
        "field": cause.field,
        "provider": cause.provider,
    }
    return {name: value for name, value in told.items() if value}


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()


def page_number(told: str) -> int:
    """The number of a page, as a query or form says it."""
    return min(max(int(told), 1), MOST_PAGE) if _is_number(told) else 1


def _is_number(told: str) -> bool:
    return told.isascii() and told.isdigit() and len(told) < 7
