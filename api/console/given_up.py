"""The pages of what was given up: grouped by cause, found, shown, edited one or many, discarded, replayed in steps.

Everything is chosen once, as a list of refs or as conditions, and then goes through a preview: what an edit makes of each,
what a replay would do now (`operations.forecast`), what is discarded. What is done then has a reason and an author.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.console.orders import snapshot
from api.console.render import ConsoleRoute, go, page
from api.console.session import PATH, Acting, Form, NotAllowed, Sent, Viewer
from api.console.times import moment_if_told
from api.console.words import word
from api.resources import doors_of
from events.errors import OrdersError
from operations import audit, edits, given_up, given_up_changes, given_up_detail, replays
from operations import forecast as forecasts
from operations.given_up import KINDS, LAST, MOST, SOUGHT, Thing, Wanted
from storage.clock import clock

router = APIRouter(prefix=f"{PATH}/given-up", route_class=ConsoleRoute, include_in_schema=False)
SHOWN = 50  # things of a page
PREVIEWED = 20  # edits and orders that a preview shows whole
DRY_RUN = 500  # things that a dry run takes; more are sampled, and the page says so
MOST_PAGE = 2_000
CONDITIONS = tuple(each.name for each in fields(Wanted) if each.name not in ("since", "until"))
LONGEST = 500  # characters of a condition
UNTIL = "by until"  # the field of a preview: just after the last death that it shows
ACTS = {
    "replay": (word("Replay"), word("Begin the replay")),
    "edit": (word("Edit"), word("Edit them")),
    "discard": (word("Discard"), word("Discard for good")),
}


class EditUnclear(OrdersError, ValueError):
    """The JSON Patch of an edit in the console is no JSON."""

    code = "console_edit"
    remedy = "Write a JSON Patch (RFC 6902), or a place such as data.currency and its value."
    status = 400


# -- looking -----------------------------------------------------------------------------------------------------


@router.get("")
def list_given_up(request: Request, who: Viewer) -> Response:
    """The list, narrowed by conditions, under its causes."""
    wanted, number = _wanted(request.query_params), _page(request)
    sought = None if wanted.text is None else SOUGHT
    within = LAST if wanted.is_empty() else sought  # other conditions look at all: an act on "all that fit" does
    with snapshot(request) as conn:
        causes, found = given_up.page(conn, wanted, limit=SHOWN, skip=(number - 1) * SHOWN, within=within)
    count = sum(each.count for each in causes)
    return page(
        request, "given_up.html", causes=causes, found=found, count=count, kinds=KINDS, wanted=wanted.as_document(),
        within=not sought and within and count >= within and within, sought=sought, number=number, shown=SHOWN, acts=ACTS,
        narrower=_narrower,
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
    with snapshot(request) as conn:
        found = replays.replay(conn, name)
        report = replays.report(conn, found.id)
        acts = audit.about(conn, found.name)
    asked_again = bool(request.headers.get("hx-request"))
    template = "replay_state.html" if asked_again else "replay.html"
    answer = page(request, template, replay=found, report=report, acts=acts, outcomes=replays.OUTCOMES)
    if asked_again and found.state != "running":
        answer.headers["HX-Refresh"] = "true"  # the whole page: it asks no more, and offers what may be done now
    return answer


@router.get("/{ref}")
def show_thing(request: Request, who: Viewer, ref: str) -> Response:
    """One thing: what came, why it was given up, its versions, every attempt; of one that waits no more also its end."""
    with snapshot(request) as conn:
        found = given_up_detail.detail_of_any(conn, ref)
    return page(request, "given_up_thing.html", detail=found, thing=found.thing, acts=ACTS, json_of=_json, refs=[ref])


# -- acting ------------------------------------------------------------------------------------------------------


@router.post("/acts/{act}")
def act_upon(request: Request, who: Acting, form: Sent, act: str) -> Response:
    """The preview of an act on what was chosen; with a confirmation the act itself."""
    if act not in ACTS:
        raise NotAllowed(f"{act!r} is nothing that can be done to what was given up")
    confirmed = bool(form.get("confirm"))
    if act == "replay" and confirmed:
        return _begin(request, who.actor, form)
    with snapshot(request) as conn:
        things = given_up.chosen(conn, *_chosen(form))
    if act == "replay":
        return _preview_replay(request, form, things)
    if act == "discard":
        return _discard(request, who.actor, form, things) if confirmed else _previewed(request, act, form, things)
    if not form.get("path") and not form.get("patch"):
        return _previewed(request, act, form, things, edits=None)
    patch = _patch(form)
    if confirmed:
        with doors_of(request).engine.begin() as conn:
            given_up_changes.edit(conn, things, patch, by=who.actor, reason=form.get("reason"))
        return go(f"{PATH}/given-up?{_back(form)}")
    with snapshot(request) as conn:
        made = given_up_changes.preview(conn, things, patch)
    return _previewed(request, act, form, things, edits=made, faults=sum(each.fault is not None for each in made))


@router.post("/replays/{name}/{act}")
def move_replay(request: Request, who: Acting, form: Sent, name: str, act: str) -> Response:
    """A replay is stopped, or goes on."""
    moves = {"stop": replays.stop, "resume": replays.resume}
    if act not in moves:
        raise NotAllowed(f"{act!r} is nothing that can be done to a replay")
    with doors_of(request).engine.begin() as conn:
        moves[act](conn, name, by=who.actor, reason=form.get("reason"))
    return go(f"{PATH}/given-up/replays/{name}")


def _preview_replay(request: Request, form: Form, things: list[Thing]) -> Response:
    """The dry run of a replay: the very decisions, rolled back."""
    doors = doors_of(request)
    found = forecasts.forecast(doors.engine, doors.settings.policy, doors.shop, things[:DRY_RUN])
    return _previewed(request, "replay", form, things, forecast=found, sampled=len(things) > DRY_RUN)


def _begin(request: Request, actor: str, form: Form) -> Response:
    """Begin the replay; the workers advance it, in growing steps."""
    refs, wanted = _chosen(form)
    with doors_of(request).engine.begin() as conn:
        planned = replays.plan(conn, refs, wanted)
        chosen = {"refs": len(refs)} if wanted is None else wanted.as_document()
        made = replays.begin(conn, planned, by=actor, reason=form.get("reason"), chosen=chosen)
        name = replays.replay(conn, made).name
    return go(f"{PATH}/given-up/replays/{name}")


def _discard(request: Request, actor: str, form: Form, things: list[Thing]) -> Response:
    with doors_of(request).engine.begin() as conn:
        given_up_changes.discard(conn, things, by=actor, reason=form.get("reason"))
    return go(f"{PATH}/given-up?{_back(form)}")


def _previewed(request: Request, act: str, form: Form, things: list[Thing], **values: Any) -> Response:
    told = {"forecast": None, "sampled": False, "edits": None, "faults": 0, **values}
    again = form.but("form_token", "confirm", "reason", *(("path", "value", "patch") if told["edits"] is None else ()))
    if form.get("which") == "all" and not form.get(UNTIL):  # what dies from now on is none of "all that fit"
        last = max((each.died_at for each in things), default=clock())
        again.append((UNTIL, (last + timedelta(microseconds=1)).isoformat()))
    return page(request, "given_up_act.html", act=act, title=ACTS[act][0], button=ACTS[act][1], things=things,
                again=again, previewed=PREVIEWED, json_of=_json, dry_run=DRY_RUN, **told)  # fmt: skip


# -- what is chosen ----------------------------------------------------------------------------------------------


def _chosen(form: Form) -> tuple[list[str], Wanted | None]:
    """The refs that were ticked, or the conditions of all that a form is about, as they were when that was previewed.

    Errors: FilterEmpty where neither says which.
    """
    if form.get("which") != "all":
        return form.all("ref")[:MOST], None
    wanted = _conditions(form)
    wanted.refuse_empty()  # a time alone is no condition of a person's
    return [], replace(wanted, until=moment_if_told(form.get(UNTIL)))


def _conditions(form: Form) -> Wanted:
    told: dict[str, Any] = {name: value for name in CONDITIONS if (value := form.get(f"by {name}")[:LONGEST])}
    return Wanted(**told)


def _wanted(asked: Any) -> Wanted:
    """The conditions of a page's query; an unknown one is none."""
    told: dict[str, Any] = {name: asked.get(name, "").strip().replace("\x00", "")[:LONGEST] for name in CONDITIONS}
    return Wanted(**{name: value for name, value in told.items() if value})


def _narrower(cause: given_up.Group) -> dict[str, str]:
    """The conditions of one group of causes."""
    told = {
        "kind": cause.kind,
        "reason": cause.reason,
        "type": cause.type,
        "field": cause.field,
        "provider": cause.provider,
    }
    return {name: value for name, value in told.items() if value}


def _back(form: Form) -> str:
    return urlencode(_conditions(form).as_document())


def _patch(form: Form) -> list[dict[str, Any]]:
    """The JSON Patch of a form: its own, or a place and a value. Errors: EditUnclear, PatchRefused."""
    if told := form.get("patch"):
        try:
            return edits.checked_patch(orjson.loads(told))
        except orjson.JSONDecodeError as error:
            raise EditUnclear(f"the JSON Patch is no JSON: {error}; nothing was changed") from None
    return edits.checked_patch([edits.step_at(form.get("path"), form.get("value"))])


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()


def _page(request: Request) -> int:
    told = request.query_params.get("page", "1")
    return min(max(int(told), 1), MOST_PAGE) if told.isascii() and told.isdigit() and len(told) < 6 else 1
