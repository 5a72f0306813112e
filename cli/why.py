"""`orders why`, `orders dwell`: what orders wait for, and how long they stay where they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from cli.bootstrap import open_shop
from cli.inspect import named
from cli.moments import moment_of
from cli.options import Data, Json, out, print_json
from cli.render import put, table, time_of
from cli.terminal import safe
from operations import dwell as dwells
from operations import why as whys
from operations.why import Why
from queries.order_lookup import id_of
from storage.clock import clock

SINCE = "30d"


def why(
    order: Annotated[
        str | None, typer.Argument(help="An order's number or id; without it, all open orders by what they wait for.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Say in one sentence what an order waits for, since when, and what would move it; or count all open orders by that.

    Examples: orders why 261101123456   ·   orders why --json
    """
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        if order is None:
            groups = _grouped(whys.each_open(conn))
            if json:
                print_json({"waiting": groups})
            else:
                _print_groups(groups)
            return
        number = named(conn, order)
        found = whys.why(conn, [id_of(conn, number) or ""])
    if json:
        print_json(found[0].as_document() if found else {"order": number, "waits_for": None})
    else:
        out.print(safe(found[0].sentence) if found else f"order {safe(number)} waits for nothing", soft_wrap=True)


def dwell(
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Orders placed since: 30d, 12h, or 2026-11-01.")
    ] = SINCE,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show how long orders stay in each status (p50, p95, longest), against ORDERS_DWELL_TARGETS; exit 1 where any is late.

    Late is an order that is in a status for longer than its target, and a refund or return that is overdue by the legal clock.
    """
    with open_shop(data) as (opened, found), opened.engine.connect() as conn:
        now, settings = clock(), found.settings
        stays = dwells.dwell(conn, settings.dwell_targets, moment_of(since, "--since"), now)
        late = dwells.overdue(conn, settings.legal_clock, now)
    if json:
        print_json({"statuses": [each.as_document() for each in stays], "overdue": asdict(late)})
    else:
        _print_stays(stays)
        _print_overdue("refunds", late.refunds, late.refunds_due, "orders overdue")
        _print_overdue("returns", late.returns, late.returns_due, "orders why")
    if late.refunds or late.returns or any(each.open_over for each in stays):
        raise typer.Exit(1)


def _grouped(found: Iterable[Why]) -> list[dict[str, Any]]:
    """What open orders wait for: how many each, since when the oldest, and which that is."""
    groups: dict[str, dict[str, Any]] = {}
    for each in found:
        group = groups.setdefault(
            each.waits_for, {"waits_for": each.waits_for, "orders": 0, "since": None, "oldest": None, "sentence": None}
        )
        group["orders"] += 1
        if each.since is not None and (group["since"] is None or each.since < group["since"]):
            group |= {"since": each.since, "oldest": each.order, "sentence": each.sentence}
    return sorted(groups.values(), key=lambda group: -group["orders"])


def _print_groups(groups: list[dict[str, Any]]) -> None:
    rows = table(">orders", "wait for", "the oldest since (UTC)", "such as")
    for group in groups:
        rows.add_row(
            f"{group['orders']:,}",
            group["waits_for"].replace("_", " "),
            time_of(group["since"]),
            safe(group["sentence"] or "–", 300),
        )
    put(rows)
    if not groups:
        out.print("no order is open")


def _print_stays(stays: list[dwells.Dwell]) -> None:
    rows = table(
        "status",
        ">stays",
        ">there now",
        ">p50",
        ">p95",
        ">longest",
        ">target",
        ">over it",
        ">over it now",
        "longest there",
    )
    for each in stays:
        now = f"[red]{each.open_over:,}[/]" if each.open_over else "0"
        target = _period(each.target) if each.target is not None else "–"
        rows.add_row(
            each.status, f"{each.stays:,}", f"{each.open:,}", _period(each.p50), _period(each.p95), _period(each.longest),
            target, f"{each.over:,}", now, safe(each.longest_open or "–"),
        )  # fmt: skip
    put(rows)
    if not stays:
        out.print("no order was placed since then")


def _print_overdue(what: str, count: int, due: datetime | None, more: str) -> None:
    if count:
        out.print(
            f"[red]{count:,} {what} are overdue[/] by the legal clock, the oldest since {time_of(due)} UTC: `{more}`"
        )


def _period(seconds: float) -> str:
    """A period in its two largest units: 2d 3h, 5h 1m, 42s."""
    left = timedelta(seconds=round(seconds))
    hours, rest = divmod(left.seconds, 3600)
    parts = [(left.days, "d"), (hours, "h"), (rest // 60, "m"), (rest % 60, "s")]
    first = next((at for at, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(f"{number}{unit}" for number, unit in parts[first : first + 2] if number) or "0s"
