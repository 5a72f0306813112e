"""`orders parcels`: what is on its way, late, or silent, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import typer
from sqlalchemy import Connection

from cli.bootstrap import open_shop
from cli.options import MOST_LISTED, Data, Json, Problem, out, print_json
from cli.render import put, table, time_of
from cli.terminal import safe
from providers.carriers.names import table as names
from queries.parcels import SILENT_AFTER, Parcel, carriers_on_their_way
from queries.parcels import parcels as find_parcels
from settings.fields import period, plain_name
from storage.clock import clock

DAY = timedelta(days=1)
SILENT_DAYS = SILENT_AFTER.days


def parcels(
    late: Annotated[bool, typer.Option("--late", help="Only those whose carrier's estimate is over.")] = False,
    silent: Annotated[
        bool,
        typer.Option("--silent", help="Only those of which their carrier has told nothing for long (--silent-after)."),
    ] = False,
    carrier: Annotated[
        str | None,
        typer.Option("--carrier", metavar="C", help="Only of this carrier, by any of its names: 'fedex ground'."),
    ] = None,
    silent_after: Annotated[
        str,
        typer.Option("--silent-after", metavar="PERIOD", help="How long without a scan is long, such as 36h or 5d."),
    ] = f"{SILENT_DAYS}d",
    limit: Annotated[int, typer.Option("--limit", min=0, max=MOST_LISTED, help="Parcels at most; 0 is all.")] = 100,
    data: Data = None,
    json: Json = False,
) -> None:
    """List parcels on their way: where each is, when it is expected, and why it is stuck.

    That of which nothing was heard for longest comes first. Exit codes: 0 done, 1 where --late or --silent found any, 2 wrong
    use. With --json: parcels, each with order, carrier, trackingNumber, trackingStatus, estimatedDelivery, lastScan, late,
    silent and why.

    Examples: orders parcels --late   ·   orders parcels --silent --silent-after 5d --carrier UPS
    """
    try:
        after = period(off=False)(silent_after)
    except ValueError as error:
        raise Problem(f"--silent-after {error}", 2) from None
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        now = clock()
        chosen = None if carrier is None else _names_of(conn, carrier)
        found = find_parcels(
            conn,
            now,
            late=late,
            silent=silent,
            silent_after=after or SILENT_AFTER,
            carriers=chosen,
            limit=limit or None,
        )
    if json:
        print_json({"parcels": [each.as_document() for each in found]})
    else:
        _print(found, now)
    if found and (late or silent):
        raise typer.Exit(1)


def _names_of(conn: Connection, carrier: str) -> list[str]:
    """The names of a carrier that parcels on their way have. Errors: Problem, where none has any."""
    known = names().find(carrier)
    having = carriers_on_their_way(conn)
    found = [
        each
        for each in having
        if plain_name(each) == plain_name(carrier) or (known is not None and names().find(each) is known)
    ]
    if not found:
        there = ", ".join(having[:5]) or "none"
        raise Problem(f"no parcel on its way is of a carrier {carrier!r}; there are parcels of {there}", 2)
    return found


def _print(found: Sequence[Parcel], now: datetime) -> None:
    if not found:
        out.print("no such parcel is on its way")
        return
    rows = table("order", "carrier", "tracking", "stands", "last seen (UTC)", "where", "expected (UTC)", "why")
    for each in found:
        expected = time_of(each.estimated_delivery)
        if each.late and each.estimated_delivery is not None:
            expected = f"[red]{expected}[/] ({_days(now - each.estimated_delivery)} late)"
        heard = time_of(each.heard_at)
        if each.silent and each.heard_at is not None:
            heard = f"[yellow]{heard}[/] ({_days(now - each.heard_at)} ago)"
        rows.add_row(
            safe(each.order_number),
            safe(each.carrier or "–"),
            safe(each.tracking_number or "–"),
            (each.tracking_status or each.status).replace("_", " "),
            heard,
            safe(each.last_scan_location or "–"),
            expected,
            safe(each.why() or "–"),
        )
    put(rows)
    out.print(
        f"[dim]{len(found):,} on their way, {sum(each.late for each in found):,} of them late, "
        f"{sum(each.silent for each in found):,} silent[/]"
    )


def _days(length: timedelta) -> str:
    hours = length // timedelta(hours=1)
    return f"{hours // 24} d" if length >= DAY else f"{hours} h"
