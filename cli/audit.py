"""`orders audit list|export`: who did what, when, why, and how it was before; and who looked at personal data."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import orjson
import typer

from cli.bootstrap import open_shop
from cli.moments import moment_of
from cli.options import MOST_LISTED, Data, Json, out, print_json, stream_json
from cli.render import put, table, time_of
from cli.terminal import bounded, safe
from operations import audit as acts
from operations.audit import Entry
from queries.order_lookup import number_of

audit = typer.Typer(help="Who did what, and who looked at personal data.", no_args_is_help=True)

VALUE = 60  # characters of a change that a table shows

Order = Annotated[str | None, typer.Option("--order", metavar="ORDER", help="Only of this order: its number or id.")]
Actor = Annotated[str | None, typer.Option("--actor", help="Only by this one: cli:kim, api/key_…, orders.")]
ActName = Annotated[str | None, typer.Option("--act", help="Only this act, such as 'given-up replay' or OrderHeld.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="Not before: 2h, 3d, 2026-11-01T12:00Z.")]


@audit.command("list")
def list_(
    order: Order = None,
    actor: Actor = None,
    act: ActName = None,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LISTED, help="How many at most.")] = 50,
    data: Data = None,
    json: Json = False,
) -> None:
    """List acts, the newest first: who, what, why, and what it changed.

    Examples: orders audit list --order 261101123456   ·   orders audit list --actor cli:kim --since 1d
    """
    moment = None if since is None else moment_of(since, "--since")
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        number = None if order is None else number_of(conn, order) or order
        found = acts.newest(conn, limit, order=number, actor=actor, act=act, since=moment)
    if json:
        print_json({"audit": [each.as_document() for each in found]})
        return
    if not found:
        out.print("nothing was done of that kind")
        return
    rows = table("at (UTC)", "who", "did", "to", "why", "change")
    for each in found:
        change = bounded(_change(each), VALUE)
        rows.add_row(
            time_of(each.at),
            safe(each.actor),
            safe(each.act),
            safe(each.subject),
            safe(each.reason or "–"),
            safe(change),
        )
    put(rows)


@audit.command()
def export(
    order: Order = None,
    actor: Actor = None,
    act: ActName = None,
    since: Since = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this time.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Write every act that fits, the oldest first: a line of JSON each, or one document with --json.

    Example: orders audit export --json --since 365d > audit.json
    """
    moments: dict[str, datetime | None] = {
        "since": None if since is None else moment_of(since, "--since"),
        "until": None if until is None else moment_of(until, "--until"),
    }
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        number = None if order is None else number_of(conn, order) or order
        documents = (each.as_document() for each in acts.each(conn, order=number, actor=actor, act=act, **moments))
        if json:
            stream_json("audit", documents, lambda count: {"total": count})
            return
        for each in documents:
            typer.echo(orjson.dumps(each, option=orjson.OPT_UTC_Z))


def _change(each: Entry) -> str:
    """What the act changed, in a line: `state: dead → due`."""
    before: dict[str, Any] = each.before or {}
    after: dict[str, Any] = each.after or {}
    told = []
    for name in dict.fromkeys([*before, *after]):
        one, other = before.get(name), after.get(name)
        if one != other:
            told.append(f"{name}: {_plain(one)} → {_plain(other)}")
    return "; ".join(told) or "–"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "–" if value is None else str(value)
