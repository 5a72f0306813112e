"""`orders replay --rebuild ORDER`: one order computed anew from the journal; what differs is shown first."""

from __future__ import annotations

from cli.inspect import named
from cli.options import actor, ask, out, print_json
from cli.terminal import safe
from operations import acts, rebuild
from workers.resources import Parts

SHOWN = 50  # differences that are printed; --json has them all


def rebuild_order(opened: Parts, order: str, why: str, dry_run: bool, yes: bool, json: bool) -> None:
    """Show what differs, ask, and write the order over as the journal tells it. Nothing is sent."""
    if not dry_run:
        why = acts.checked_reason(why)
    with opened.engine.connect() as conn:
        number = named(conn, order)
    found = rebuild.differences(opened.engine, number)
    if not json:
        for each in found[:SHOWN]:
            out.print(f"[yellow]would change[/] {safe(str(each))}", soft_wrap=True)
        if len(found) > SHOWN:
            out.print(f"… and {len(found) - SHOWN:,} more; --json has them all")
    done = 0
    if found and not dry_run:
        ask(f"write order {number} over as the journal tells it? Nothing is sent.", yes)
        done = len(rebuild.rebuild(opened.engine, number, by=actor(), reason=why))
    if json:
        print_json({"order": number, "rebuilt": bool(done), "differences": [each.as_document() for each in found]})
    elif not found:
        out.print(f"order {safe(number)} is as the journal tells it; nothing was changed")
    elif dry_run:
        out.print(f"{len(found):,} differences; nothing was changed")
    else:
        out.print(f"order {safe(number)} was written over: {done:,} differences; nothing was sent for it")
