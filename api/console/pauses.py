"""Pauses in the console: what rests and who had it rest."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.console.orders import snapshot
from api.console.render import ConsoleRoute, go, page, status_of
from api.console.session import PATH, Acting, Form, Sent, Viewer
from api.resources import doors_of
from events.errors import OrdersError
from events.times import moment_of
from operations import pauses
from operations.pauses import PauseRefused
from storage.tables.operators import PAUSE_KINDS

router = APIRouter(prefix=PATH, route_class=ConsoleRoute, include_in_schema=False)


@router.get("/pauses")
def list_pauses(request: Request, who: Viewer) -> Response:
    """Pauses that stand, and the form that makes one."""
    return _listed(request)


def _listed(request: Request, error: OrdersError | None = None, form: Form | None = None) -> Response:
    """The page of pauses; after a refusal with its error, and with what the form held."""
    told = {name: "" if form is None else form.get(name) for name in ("kind", "name", "reason", "until")}
    with snapshot(request) as conn:
        found = pauses.listed(conn)
    return page(request, "pauses.html", status_of(error), found=found, kinds=PAUSE_KINDS, says=pauses.SAYS, error=error,
                told=told)  # fmt: skip


@router.post("/pauses")
def pause(request: Request, who: Acting, form: Sent) -> Response:
    """Something is paused, with a reason."""
    try:
        with doors_of(request).engine.begin() as conn:
            pauses.pause(conn, form.get("kind"), form.get("name") or None, form.get("reason"), who.actor, _until(form))
    except OrdersError as error:
        return _listed(request, error, form)
    return go(f"{PATH}/pauses")


@router.post("/pauses/resume")
def resume(request: Request, who: Acting, form: Sent) -> Response:
    """The end of a pause: what rested goes on."""
    try:
        with doors_of(request).engine.begin() as conn:
            pauses.resume(conn, form.get("kind"), form.get("name") or None, who.actor, form.get("reason") or None)
    except OrdersError as error:
        return _listed(request, error)
    return go(f"{PATH}/pauses")


def _until(form: Form) -> datetime | None:
    """The end of a pause, in UTC as the form says. Errors: PauseRefused."""
    if not (told := form.get("until")):
        return None
    try:
        return moment_of(told)
    except ValueError:
        raise PauseRefused(f"until: {told!r} is no time; write 2026-12-01T09:00 (UTC)") from None
