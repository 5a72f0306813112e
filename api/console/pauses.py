"""Pauses and the audit in the console: what rests and who had it rest, and who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.console.orders import snapshot
from api.console.render import ConsoleRoute, go, page
from api.console.session import PATH, Acting, Form, Sent, Viewer
from api.console.tables import Column, Table, moment, text
from api.console.words import word
from api.resources import doors_of
from events.errors import OrdersError
from events.times import moment_of
from operations import audit, pauses
from operations.pauses import PauseRefused
from storage.tables.operators import PAUSE_KINDS

router = APIRouter(prefix=PATH, route_class=ConsoleRoute, include_in_schema=False)
SHOWN = 100
LONGEST = 300  # characters of a condition


@router.get("/pauses")
def list_pauses(request: Request, who: Viewer) -> Response:
    """Pauses that stand, and the form that makes one."""
    return _listed(request)


def _listed(request: Request, error: OrdersError | None = None, form: Form | None = None) -> Response:
    """The page of pauses; after a refusal with its error, and with what the form held."""
    told = {name: "" if form is None else form.get(name) for name in ("kind", "name", "reason", "until")}
    with snapshot(request) as conn:
        found = pauses.listed(conn)
    status = 200 if error is None else error.status or 409
    return page(
        request, "pauses.html", status, found=found, kinds=PAUSE_KINDS, says=pauses.SAYS, error=error, told=told
    )


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


@router.get("/audit")
def list_audit(request: Request, who: Viewer) -> Response:
    """The acts of operators and their looks at personal data, the newest first."""
    asked: dict[str, Any] = {
        name: request.query_params.get(name, "").strip().replace("\x00", "")[:LONGEST] for name in ("actor", "order")
    }
    with snapshot(request) as conn:
        found = audit.newest(conn, SHOWN, **{name: value for name, value in asked.items() if value})
    rows = [
        [moment(each.at), text(each.actor), text(each.act), text(each.subject), text(each.reason), text(_changed(each))]
        for each in found
    ]  # fmt: skip
    columns = [Column(word("at (UTC)")), Column(word("who")), Column(word("act")), Column(word("about")),
               Column(word("why")), Column(word("before and after"))]  # fmt: skip
    about = word("Who did what, and who looked at personal data. The newest 100; `orders audit export` has all.")
    return page(request, "audit.html", table=Table(word("Audit"), about, columns, rows, word("Nobody did such a thing.")),
                filters=asked)  # fmt: skip


def _changed(entry: audit.Entry) -> str:
    """What an act changed, in a line."""
    parts = [f"{_plain(entry.before)} → {_plain(entry.after)}"] if entry.before or entry.after else []
    return " · ".join([*parts, _plain(entry.detail)] if entry.detail else parts)


def _plain(value: Any) -> str:
    return "–" if not value else orjson.dumps(value, default=str).decode()[:LONGEST]


def _until(form: Form) -> datetime | None:
    """The end of a pause, in UTC as the form says. Errors: PauseRefused."""
    if not (told := form.get("until")):
        return None
    try:
        return moment_of(told)
    except ValueError:
        raise PauseRefused(f"until: {told!r} is no time; write 2026-12-01T09:00 (UTC)") from None
