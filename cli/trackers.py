"""`orders trackers list|resume|carriers`: parcels that are followed at their carriers, and who is polled for them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer

from cli.bootstrap import open_shop
from cli.options import MOST_LISTED, Data, Json, Problem, actor, out, print_json
from cli.render import put, table, time_of
from cli.terminal import safe
from outbound.tracking import carriers as stored
from outbound.tracking import trackers as watches
from outbound.tracking.trackers import Kind
from providers.carriers.limits import Limits
from providers.registry import registry
from settings.fields import plain_name
from storage.clock import clock

SILENT = timedelta(days=3)
SHOWN = 50
WORDS = 60  # characters of an error that a row shows

trackers = typer.Typer(
    help="Parcels that are followed at their carriers: which fail, which are retired, and what each carrier may still be asked.",
    no_args_is_help=True,
)
Carrier = Annotated[
    str | None,
    typer.Option("--carrier", metavar="NAME", help="Only of this carrier, or of this service that is polled."),
]


@trackers.command("list")
def list_(
    retired: Annotated[bool, typer.Option("--retired", help="Those that are asked for no more.")] = False,
    failing: Annotated[bool, typer.Option("--failing", help="Those whose last question had no answer.")] = False,
    silent: Annotated[
        bool, typer.Option("--silent", help="Those of which nothing new was told for three days.")
    ] = False,
    carrier: Carrier = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LISTED, help="How many at most.")] = SHOWN,
    data: Data = None,
    json: Json = False,
) -> None:
    """List the parcels that are followed, the last changed first.

    Examples: orders trackers list --retired   ·   orders trackers list --failing --carrier ups --json
    """
    if retired + failing + silent > 1:
        raise Problem("--retired, --failing and --silent: give one of them, or none for all that are followed", 2)
    kind: Kind = "retired" if retired else "failing" if failing else "silent" if silent else "watched"
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        name = plain_name(carrier) if carrier is not None else None
        found = watches.listed(conn, kind, clock() - SILENT, name, limit)
    if json:
        print_json({"trackers": [asdict(each) for each in found]})
        return
    rows = table("orders", "carrier", "number", "polled by", "status", "news (UTC)", "next poll (UTC)", "last error")
    for each in found:
        rows.add_row(
            safe(", ".join(each.orders) or "–"),
            safe(each.carrier),
            safe(each.tracking_number),
            safe(each.polled_by),
            safe(each.status or "–"),
            "–" if each.heard_at is None else time_of(each.heard_at),
            "[dim]retired[/]" if each.retired else time_of(each.next_at),
            safe((each.last_error or "–")[:WORDS]),
        )
    put(rows)
    if not found:
        out.print("no parcel is followed" if kind == "watched" else f"no parcel is {kind}")
    elif retired:
        out.print("[dim]orders trackers resume NUMBER asks for a parcel again[/]")
    if len(found) == limit:
        out.print(f"[dim]only the last {limit} are shown; more: --limit[/]")


@trackers.command()
def resume(
    numbers: Annotated[
        list[str] | None, typer.Argument(metavar="[NUMBER]...", help="Tracking numbers of retired parcels.")
    ] = None,
    carrier: Annotated[
        str | None,
        typer.Option("--carrier", metavar="NAME", help="All retired parcels of whoever is polled by this name."),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Ask again for parcels that were retired, from now on; exit 1 where none of them was.

    Examples: orders trackers resume 1Z999AA10123456784   ·   orders trackers resume --carrier easypost
    """
    if bool(numbers) == (carrier is not None):
        raise Problem("give tracking numbers, or --carrier NAME; `orders trackers list --retired` shows both", 2)
    with open_shop(data) as (opened, _), opened.engine.begin() as conn:
        name = plain_name(carrier) if carrier is not None else None
        found = watches.resume(conn, numbers or (), name, clock(), actor())
    if json:
        print_json({"resumed": found})
    else:
        out.print(f"asked for again: {safe(', '.join(found))}" if found else "none of these is retired", soft_wrap=True)
    if not found:
        raise typer.Exit(1)


@trackers.command()
def carriers(data: Data = None, json: Json = False) -> None:
    """Show who is polled: the limits, what is used of them this month, and whether he answers."""
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        known = {each.name: each for each in stored.every(conn)}
        values = opened.settings.providers
        ready = registry().ready("tracks", values)
        limits = {name: registry().limits(name, values) for name in {*ready, *known}}
    found = [_carrier(name, limits[name], known.get(name), name in ready) for name in sorted(limits)]
    if json:
        print_json({"carriers": found})
        return
    rows = table("polled", "stands", "rate", "this month", "quota", "night of", "last error")
    for each in found:
        rows.add_row(
            safe(each["name"]),
            safe(each["stands"]),
            each["rate"] or "–",
            f"{each['polls']:,}",
            "–" if each["quota"] is None else f"{each['quota']:,}",
            safe(each["zone"] or "–"),
            safe((each["lastError"] or "–")[:WORDS]),
        )
    put(rows)
    if not found:
        out.print("nobody is polled; docs/howto/follow-parcels.md says how to begin")


def _carrier(name: str, limits: Limits, known: stored.PolledCarrier | None, ready: bool) -> dict[str, Any]:
    """One who is polled, for a script."""
    now, standing = clock(), known or stored.PolledCarrier(name)
    return {
        "name": name,
        "stands": standing.stands(limits, now) if ready else "not set",
        "rate": None if limits.rate is None else str(limits.rate),
        "polls": standing.allowance.polls_in(now),
        "quota": limits.per_month,
        "zone": limits.zone,
        "pausedUntil": standing.paused_until,
        "lastError": standing.last_error,
    }
