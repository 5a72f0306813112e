"""`orders pause`, `orders resume`, `orders pauses`: what rests until somebody resumes it, and why."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Annotated

import typer

from cli.bootstrap import open_shop
from cli.moments import ahead_of
from cli.options import Data, Json, actor, err, out, print_json
from cli.render import put, table, time_of
from cli.terminal import safe
from operations import pauses as kept
from operations.pauses import SAYS, Pause
from queries.order_lookup import number_of
from storage.tables.operators import PAUSE_KINDS as KINDS

POLL_S = 0.2  # of `--wait`
TOLD_S = 2.0  # between two lines of what is left

Kind = Annotated[str, typer.Argument(metavar="KIND", help=f"What it is: {', '.join(KINDS)}.")]
Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="Which: an order's number, a type of event, a provider, a carrier, refunds|lookups|tracking|deliveries, "
        "a subscription's id. None for outward.",
    ),
]


def pause(
    kind: Kind,
    name: Name = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for those who find it paused.")] = "",
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Resume by itself: 2h, 3d, or 2026-12-01T09:00Z."),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Pause an order, a type of event, a provider, a carrier, a kind of calls, a subscription, or all that goes outward.

    Obeyed within a second, everywhere. Nothing is lost: events wait in the journal, refunds and deliveries stay due.
    Examples: orders pause outward --reason "double refunds?"   ·   orders pause provider toss --reason maintenance --until 2h
    """
    ends = None if until is None else ahead_of(until, "--until")
    with open_shop(data) as (opened, _), opened.engine.begin() as conn:
        if kind == "order" and name is not None:
            name = number_of(conn, name) or name
        made = kept.pause(conn, kind, name, reason, actor(), ends)
    if json:
        print_json(made.as_document())
        return
    end = f" until {time_of(made.until)} UTC" if made.until else ""
    out.print(f"[yellow]{safe(made.what)} is paused[/]{end}: {SAYS[made.kind]}", soft_wrap=True)
    out.print(f"`orders resume {safe(made.what)}` resumes it", soft_wrap=True)


def resume(
    kind: Kind,
    name: Name = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why now, for the audit.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until all that waited is worked off.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Resume what was paused; events that waited are applied in their order by the workers.

    Example: orders resume order 261101123456 --wait
    """
    with open_shop(data) as (opened, _):
        with opened.engine.begin() as conn:
            if kind == "order" and name is not None:
                name = number_of(conn, name) or name
            found = kept.resume(conn, kind, name, actor(), reason)
        told = monotonic()
        while wait:
            with opened.engine.connect() as conn:
                standing = next((each for each in kept.listed(conn) if each.id == found.id), None)
            if standing is None:
                break
            if monotonic() > told + TOLD_S:
                told = monotonic()
                err.print(f"{standing.waiting:,} events wait still")
            sleep(POLL_S)
    if json:
        print_json(found.as_document())
        return
    if wait:
        out.print(f"{safe(found.what)} is resumed, and what waited is applied", soft_wrap=True)
    else:
        more = f"; {found.waiting:,} events that waited are being applied in their order" if found.waiting else ""
        out.print(f"{safe(found.what)} is resumed{more}", soft_wrap=True)


def pauses(data: Data = None, json: Json = False) -> None:
    """List what is paused: why, by whom, since when and until when, and how many events wait; exit 0 in any case."""
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        found = kept.listed(conn)
    if json:
        print_json({"pauses": [each.as_document() for each in found]})
        return
    if not found:
        out.print("nothing is paused")
        return
    rows = table("what", "state", "why", "by", "since (UTC)", "until (UTC)", ">events waiting")
    for each in found:
        rows.add_row(*_row(each))
    put(rows)


def _row(each: Pause) -> tuple[str, ...]:
    waiting = f"{each.waiting:,}" if each.kind in ("order", "event_type") else "–"
    state = f"[yellow]{each.state}[/]"
    return safe(each.what), state, safe(each.reason), safe(each.by), time_of(each.at), time_of(each.until), waiting
