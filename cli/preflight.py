"""`orders preflight`: what this release would strand or change, before it is deployed; for CI and for people."""

from __future__ import annotations

import typer

from cli.bootstrap import open_shop
from cli.options import Data, Json, out, progress, stream_json
from cli.terminal import safe
from operations.preflight import STRANDED, Counts
from operations.preflight import preflight as looked_over

SHOWN = 50  # findings that are printed; --json has them all


def preflight(data: Data = None, json: Json = False) -> None:
    """Fold all open orders by this release, read-only, and list what it would strand or change; exit 1 where anything.

    Run it with the new release against the running shop, after `orders migrate` and before its workers start. Stranded is what
    this code cannot read or fails on; changed is what comes out otherwise than it is stored. Exit codes: 0 nothing, 1 something.
    Example, in CI: DATABASE_URL=… REDIS_URL=… orders preflight --json
    """
    counts, stranded, count = Counts(), 0, 0
    with open_shop(data) as (opened, _), progress("folding open orders", 0) as told:
        found = looked_over(opened.engine, counts, told)
        if json:
            documents = (each.as_document() for each in found)
            count = stream_json("findings", documents, lambda _: {"orders": counts.orders, "waiting": counts.waiting})
        else:
            for count, each in enumerate(found, 1):
                stranded += each.kind == STRANDED
                if count <= SHOWN:
                    color = "red" if each.kind == STRANDED else "yellow"
                    of = f"order {safe(each.order)}: " if each.order else ""
                    said = f"{safe(each.what)}: {safe(each.before or '–', 300)} → {safe(each.after, 300)}"
                    out.print(f"[{color}]{each.kind}[/] {of}{said}", soft_wrap=True)
    if not json:
        if count > SHOWN:
            out.print(f"… and {count - SHOWN:,} more; --json has them all")
        looked = f"{counts.orders:,} open orders and {counts.waiting:,} waiting events"
        verdict = (
            f"[red]{stranded:,} stranded, {count - stranded:,} changed[/]"
            if count
            else "[green]nothing is stranded or changed[/]"
        )
        out.print(f"{looked}: {verdict}")
    if count:
        raise typer.Exit(1)
