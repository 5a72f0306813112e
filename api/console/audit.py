"""The audit in the console: who did what, in pages, of an order, a person or a kind of act."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.console.orders import snapshot
from api.console.render import ConsoleRoute, page
from api.console.session import PATH, Viewer
from api.console.tables import Cell, Column, Table, link, long_text, moment, text
from api.console.times import moment_if_told
from api.console.words import word
from operations import audit

router = APIRouter(prefix=PATH, route_class=ConsoleRoute, include_in_schema=False)
FILTERS = ("actor", "act", "order")
LONGEST = 300  # characters of a condition, or of one value
COLUMNS = (Column(word("at (UTC)")), Column(word("who")), Column(word("act")), Column(word("about")), Column(word("why")),
           Column(word("before and after")))  # fmt: skip


@router.get("/audit")
def list_audit(request: Request, who: Viewer) -> Response:
    """The acts of operators and their looks at personal data, the newest first."""
    query = request.query_params
    asked = {name: query.get(name, "").strip().replace("\x00", "")[:LONGEST] for name in FILTERS}
    until = moment_if_told(query.get("until"))
    before = _key(query.get("after", "")) or (None if until is None else audit.Key(until))
    with snapshot(request) as conn:
        found = audit.page(
            conn, before, actor=asked["actor"] or None, act=asked["act"] or None, order=asked["order"] or None
        )
        acts = audit.lately(conn)
    rows = [
        [moment(each.at), text(each.actor), text(each.act), _subject(each.subject), long_text(each.reason), long_text(changed(each))]
        for each in found.entries
    ]  # fmt: skip
    further = None if found.further is None else f"{found.further.at.isoformat()}~{found.further.id}"
    about = word("Who did what, and who looked at personal data, the newest first.")
    table = Table(word("Audit"), about, COLUMNS, rows, word("Nobody did such a thing."))
    return page(
        request, "audit.html", table=table, filters=asked | {"until": query.get("until", "") if until else ""}, acts=acts,
        further=further, looked_back=_second(found.further) if found.passed_over else None, scanned=audit.SCANNED,
        begun=before is not None,
    )  # fmt: skip


def changed(entry: audit.Entry) -> str:
    """The change that an act made, in a line: of each field its values before and after, and what else is noted of it.

    >>> from datetime import UTC, datetime
    >>> changed(audit.Entry(1, datetime(2026, 1, 1, tzinfo=UTC), "cli:kim", "hold", "orders/7", "7", "why",
    ...                     {"status": "paid", "holds": []}, {"status": "paid", "holds": ["fraud"]}, {"data": {"hold": "fraud"}}))
    'holds: – → fraud · hold: fraud'
    """
    before, after = entry.before or {}, entry.after or {}
    parts = []
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            parts.append(f"{name}: {_plain(before[name])}")
        elif name not in before:
            parts.append(f"{name}: {_plain(after[name])}")
        elif before[name] != after[name]:
            parts.append(f"{name}: {_plain(before[name])} → {_plain(after[name])}")
    return " · ".join([*parts, *_told(entry.detail or {}, entry.subject)])


def _told(detail: Mapping[str, Any], subject: str) -> Iterator[str]:
    for name, value in detail.items():
        if isinstance(value, Mapping):
            yield from _told(value, subject)
        elif value not in (None, "", [], subject):
            yield f"{name}: {_plain(value)}"


def _plain(value: Any) -> str:
    if value in (None, "", [], {}):
        return "–"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)[:LONGEST]
    return value[:LONGEST] if isinstance(value, str) else orjson.dumps(value, default=str).decode()[:LONGEST]


def _subject(name: str) -> Cell:
    """What an act was done to, as a link where the console has a page of it."""
    kind, _, own = name.partition("/")
    if kind == "orders" and own:
        return link(name, f"{PATH}/orders?{urlencode({'q': own})}")
    return link(name, f"{PATH}/given-up/replays/{name}") if name.startswith("rpl_") else text(name)


def _second(key: audit.Key | None) -> str | None:
    """The time of a place, to the second, as a part of a sentence."""
    return None if key is None else f"{key.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _key(told: str) -> audit.Key | None:
    """The place that a page begins at; what cannot be read is the newest."""
    at, _, id = told.partition("~")
    when = moment_if_told(at)
    return audit.Key(when, int(id)) if when and id.isascii() and id.isdigit() and len(id) < 19 else None
