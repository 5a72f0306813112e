"""The acts on what was given up: edits of one or many, discards, replays; each is previewed before it is done.

Everything is chosen once, as a list of refs or as conditions, and then goes through a preview: what an edit makes of each,
what a replay would do now (`operations.forecast`), what is discarded. What is done then has a reason and an author. Where
something is wrong the page says so above the form, which keeps all that was chosen and written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.console.given_up import LABELS, as_address, conditions, listed, page_number
from api.console.orders import snapshot
from api.console.render import ConsoleRoute, go, page, status_of
from api.console.session import PATH, Acting, Form, NotAllowed, Sent
from api.console.times import moment_if_told
from api.console.words import word
from api.resources import doors_of
from events.errors import OrdersError
from operations import edits, given_up, given_up_changes, replays
from operations import forecast as forecasts
from operations.given_up import MOST, FilterEmpty, Thing, Wanted
from operations.reasons import EVENT, cause_of
from outbound import refund_routes
from storage.clock import clock

router = APIRouter(prefix=f"{PATH}/given-up", route_class=ConsoleRoute, include_in_schema=False)
PREVIEWED = 20  # edits and orders that a preview shows whole
PLACES = 60  # values of the sample beside the form of an edit
DRY_RUN = 500  # things that a dry run takes; more are sampled, and the page says so
UNTIL = "by until"  # the field of a preview: just after the last death that it shows
# Why refunds of a dry run do not go out, by their route.
STUCK = {
    refund_routes.NOBODY_ROUTE: word("refunds that cannot go out: nobody gives back here what {provider} took"),
    refund_routes.NOTED_ROUTE: word("refunds that cannot go out: a person noted the payment, and no provider took it"),
    refund_routes.UNNAMED_ROUTE: word(
        "refunds that cannot go out: the payment names no provider, and several could have taken it"
    ),
    refund_routes.WAITING_ROUTE: word(
        "refunds that stay due until what {provider} needs is set; `orders doctor` says what"
    ),
}
STEPS = ("path", "value", "from", "patch")  # the fields of an edit
ACTS = {
    "replay": (word("Replay"), word("Begin the replay")),
    "edit": (word("Edit"), word("Edit them")),
    "discard": (word("Discard"), word("Discard for good")),
}


ONLY_FITTING = word("Edit only the {count} that fit")


class EditUnclear(OrdersError, ValueError):
    """The edit of a form in the console cannot be read: its JSON Patch is no JSON, or its fields contradict each other."""

    code = "console_edit"
    remedy = "Write a JSON Patch (RFC 6902), or a place such as data.currency and its value."
    status = 400


@router.post("/acts/{act}")
def act_upon(request: Request, who: Acting, form: Sent, act: str) -> Response:
    """The preview of an act on what was chosen; with a confirmation the act itself."""
    if act not in ACTS:
        raise NotAllowed(f"{act!r} is nothing that can be done to what was given up")
    try:
        with snapshot(request) as conn:
            things = given_up.chosen(conn, *_chosen(form))
        if act == "edit":
            given_up_changes.events_of(things)
    except OrdersError as unfit:
        return _choose_again(request, form, unfit)
    error: OrdersError | None = None
    if form.get("confirm"):
        try:
            return _DO[act](request, who.actor, form, things)
        except OrdersError as refused:
            error = refused
    try:
        return _PREVIEW[act](request, form, things, error)
    except OrdersError as refused:
        return _previewed(request, act, form, things, error or refused)


# -- before it is done -------------------------------------------------------------------------------------------


def _preview_replay(request: Request, form: Form, things: list[Thing], error: OrdersError | None) -> Response:
    """The dry run of a replay: the very decisions, rolled back."""
    doors = doors_of(request)
    found = forecasts.forecast(
        doors.engine,
        doors.settings.policy,
        refund_routes.configured_routes(doors.settings),
        doors.shop,
        things[:DRY_RUN],
    )
    return _previewed(request, "replay", form, things, error, forecast=found, sampled=len(things) > DRY_RUN)


def _preview_edit(request: Request, form: Form, things: list[Thing], error: OrdersError | None) -> Response:
    """What a patch makes of each event; the form alone as long as there is no patch."""
    if not any(form.get(name) for name in STEPS):
        return _previewed(request, "edit", form, things, error)
    patch = _patch(form)
    with snapshot(request) as conn:
        made = given_up_changes.preview(conn, things, patch)
    pairs = list(zip(things, made, strict=True))
    fit = [(thing, each) for thing, each in pairs if each.fault is None]
    of_edit = {each.seq: thing for thing, each in pairs}
    faults = [(of_edit[each.seq], each, count) for each, count in edits.faults(made)]
    return _previewed(request, "edit", form, things, error, fit=fit, faults=faults)


def _preview_discard(request: Request, form: Form, things: list[Thing], error: OrdersError | None) -> Response:
    return _previewed(request, "discard", form, things, error)


def _previewed(
    request: Request, act: str, form: Form, things: list[Thing], error: OrdersError | None, **values: Any
) -> Response:
    again = form.but("form_token", "confirm", "reason", "fitting", *STEPS)
    if form.get("which") == "all" and not form.get(UNTIL):  # what dies from now on is none of "all that fit"
        last = max((each.died_at for each in things), default=clock())
        again.append((UNTIL, (last + timedelta(microseconds=1)).isoformat()))
    sample = _sample(request, things) if act == "edit" and things else None
    told = {"forecast": None, "sampled": False, "fit": None, "faults": (), **values}
    return page(request, "given_up_act.html", status_of(error), act=act, title=ACTS[act][0], button=ACTS[act][1], things=things,
                again=again, steps={name: form.get(name) for name in STEPS}, reason=form.get("reason"), error=error,
                sample=sample, chosen=_chosen_by(form), causes=_causes(things), back=_back(form), only_fitting=ONLY_FITTING,
                editable=bool(things) and all(each.kind == EVENT for each in things), previewed=PREVIEWED, dry_run=DRY_RUN, cause_of=cause_of,
                stuck_words=STUCK,
                differences=_differences, **told)  # fmt: skip


def _chosen_by(form: Form) -> list[tuple[str, str]]:
    """The conditions of an act on all that fit, each with its name on the list; none where things were ticked."""
    told = as_address(conditions(form.get, "by ")) if form.get("which") == "all" else {}
    return [(LABELS[name], value) for name, value in told.items()]


def _causes(things: list[Thing]) -> list[tuple[tuple[str, str, str | None], int]]:
    """(reason, type, field at fault) of these things, each with how many there are; the most first."""
    return Counter((each.reason, each.type, each.field) for each in things).most_common()


def _sample(request: Request, things: list[Thing]) -> list[tuple[str, str]]:
    """The places of the first of these events, each with its value."""
    with snapshot(request) as conn:
        body = edits.current(conn, given_up_changes.events_of(things[:1])[0])
    return [(place, _json(value)) for place, value in edits.places(body).items()][:PLACES]


def _choose_again(request: Request, form: Form, error: OrdersError) -> Response:
    """The list with what is wrong about the choice, which stays as it was."""
    said: Any = error
    if isinstance(error, FilterEmpty):
        said = word("Tick some of the list below, or narrow it first and act on all that fit. Nothing was changed.")
    return listed(request, conditions(form.get, "by "), page_number(form.get("page")), status_of(error), error=said,
                  ticked=set(form.all("ref")), which=form.get("which") or "ticked")  # fmt: skip


# -- done --------------------------------------------------------------------------------------------------------


def _begin(request: Request, actor: str, form: Form, things: list[Thing]) -> Response:
    """Begin the replay; the workers advance it, in growing steps."""
    refs, wanted = _chosen(form)
    with doors_of(request).engine.begin() as conn:
        planned = replays.plan(conn, things)
        chosen = {"refs": len(refs)} if wanted is None else wanted.as_document()
        made = replays.begin(conn, planned, by=actor, reason=form.get("reason"), chosen=chosen)
        name = replays.replay(conn, made).name
    return go(f"{PATH}/given-up/replays/{name}")


def _edit(request: Request, actor: str, form: Form, things: list[Thing]) -> Response:
    """Edit them, or those alone that would not die again; then the list is of just what was edited in this act."""
    patch = _patch(form)
    with doors_of(request).engine.begin() as conn:
        if form.get("fitting"):
            things = given_up_changes.fitting(conn, things, patch)
        made = given_up_changes.edit(conn, things, patch, by=actor, reason=form.get("reason"))
        if all(each.is_needless for each in made):
            raise EditUnclear("every one of them holds that already, or none fits any more. Nothing was changed")
        at = edits.moment(conn)
    return go(_back(form) if _alone(form) else f"{PATH}/given-up?{urlencode({'edited': at.isoformat()})}")


def _discard(request: Request, actor: str, form: Form, things: list[Thing]) -> Response:
    with doors_of(request).engine.begin() as conn:
        given_up_changes.discard(conn, things, by=actor, reason=form.get("reason"))
    address = urlencode(as_address(conditions(form.get, "by ")) | {"done": "discard"})
    return go(f"{PATH}/given-up?{address}")


_Preview = Callable[[Request, Form, list[Thing], OrdersError | None], Response]
_PREVIEW: dict[str, _Preview] = {"replay": _preview_replay, "edit": _preview_edit, "discard": _preview_discard}
_DO: dict[str, Callable[[Request, str, Form, list[Thing]], Response]] = {
    "replay": _begin, "edit": _edit, "discard": _discard,
}  # fmt: skip


# -- what a form says --------------------------------------------------------------------------------------------


def _chosen(form: Form) -> tuple[list[str], Wanted | None]:
    """The refs that were ticked, or the conditions of all that a form is about, as they were when that was previewed.

    Errors: FilterEmpty where neither says which.
    """
    if form.get("which") != "all":
        return form.all("ref")[:MOST], None
    wanted = conditions(form.get, "by ")
    wanted.refuse_empty()  # a time alone is no condition of a person's
    return [], replace(wanted, until=moment_if_told(form.get(UNTIL)))


def _alone(form: Form) -> bool:
    """True of a form that was sent from one thing's own page; the list's says its page."""
    return len(form.all("ref")) == 1 and not form.get("page") and form.get("which") != "all"


def _back(form: Form) -> str:
    """The page that an act began on: one thing's own, or the list as it was narrowed."""
    if _alone(form):
        return f"{PATH}/given-up/{quote(form.get('ref'), safe='')}"
    narrowed = as_address(conditions(form.get, "by "))
    if page_number(form.get("page")) > 1:
        narrowed["page"] = str(page_number(form.get("page")))
    return f"{PATH}/given-up?{urlencode(narrowed)}" if narrowed else f"{PATH}/given-up"


def _patch(form: Form) -> list[dict[str, Any]]:
    """The JSON Patch of a form: its own, or a place with a value or with where that stands. Errors: EditUnclear, PatchRefused."""
    if told := form.get("patch"):
        try:
            return edits.checked_patch(orjson.loads(told))
        except orjson.JSONDecodeError as error:
            raise EditUnclear(
                f"the JSON Patch is no JSON: {error}; write a list of steps, as in the example under it. Nothing was changed"
            ) from None
    place, value, old = form.get("path"), form.get("value"), form.get("from")
    if old and value:
        raise EditUnclear(
            "give a new value, or the place where it stands now, not both: leave one of them empty. Nothing was changed"
        )
    return edits.checked_patch([edits.step_from(old, place) if old else edits.step_at(place, value)])


def _differences(edit: edits.Edit) -> list[tuple[str, str, str]]:
    """What an edit changes, as texts; nothing of what it refers to among names and addresses."""
    return [
        (place, _json(before), _json(after))
        for place, before, after in edits.differences(edit)
        if place != "data.personal"
    ]


def _json(value: Any) -> str:
    return "–" if value is edits.ABSENT else orjson.dumps(value, default=str).decode()
