"""Dead letters, and what was done with them, in a terminal and to scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson
from rich.syntax import Syntax

from cli.options import err, out, print_json
from cli.render import put, table, time_of
from cli.terminal import safe, visible_json
from domain.ids import format_id
from operations import dead_letters
from operations.dead_letters import Done, Letter
from outbound.payment_lookups import GivenUp


def as_document(letter: Letter) -> dict[str, Any]:
    """A dead letter, for scripts."""
    effect = format_id("effects", letter.effect_id) if letter.effect_id else None
    return {"ref": letter.ref, **asdict(letter), "effect_id": effect, "text": letter.text}


def webhook_document(found: GivenUp) -> dict[str, Any]:
    """A payment look-up that was given up, for scripts."""
    return {"ref": str(found.seq), **asdict(found)}


def shown_document(found: dead_letters.Shown) -> dict[str, Any]:
    """A dead letter with its bodies and its history, for scripts."""
    return {
        **as_document(found.letter),
        "original": found.original,
        "correction": found.corrected,
        "history": found.history,
    }


def staff_document(row: dict[str, Any]) -> dict[str, Any]:
    """A refund that waits for a person, for scripts."""
    ref = format_id("effects", row["id"])
    return {**row, "ref": ref, "id": ref, "state": "staff"}


def print_letter(found: dead_letters.Shown) -> None:
    """A dead letter with its bodies and its history."""
    letter = found.letter
    state = "" if letter.state == "open" else f"  ({letter.state} {time_of(letter.died_at)} UTC)"
    out.print(f"[bold]{safe(letter.type)} {safe(letter.name)}[/]  ref {letter.ref}{state}")
    out.print(f"  order {safe(letter.subject or '–')}  ·  died {time_of(letter.died_at)} UTC, {letter.deaths} times")
    out.print(f"  [red]{letter.reason}[/]: {safe(letter.text)}", soft_wrap=True)
    if letter.detail and letter.detail != letter.text:
        out.print(f"  {safe(letter.detail)}", soft_wrap=True)
    for title, body in (("as it came", found.original), ("as it is now", found.corrected)):
        if body is not None:
            by = f", by {body['by']} {time_of(body['at'])} UTC" if "by" in body else ""
            out.print(f"\n[bold]{title}[/]{safe(by)}; subject {safe(str(body['subject'] or '–'))}")
            written = orjson.dumps(body["data"], option=orjson.OPT_INDENT_2).decode()
            out.print(Syntax(visible_json(written), "json", background_color="default", word_wrap=True))
    rows = table("at (UTC)", "who", "did", title="what operators did")
    for row in found.history:
        rows.add_row(time_of(row["at"]), safe(row["actor"]), safe(row["action"]))
    put(rows)


def tell_done(done: Done, what: str, json: bool, webhooks: Sequence[int] = (), released: Sequence[str] = ()) -> None:
    """Print what was replayed or discarded, and what was not and why; `what` is the word for it."""
    if json:
        print_json(
            {
                what: [as_document(letter) for letter in done.changed],
                "webhooks": [str(seq) for seq in webhooks],
                "released": list(released),
                "unchanged": [{**as_document(letter), "why": why} for letter, why in done.unchanged],
            }
        )
        return
    for letter, why in done.unchanged:
        err.print(f"[yellow]unchanged:[/] {safe(letter.name)}: {why}", soft_wrap=True)
    for name in released:
        out.print(f"{name} is released: it goes out next")
    for seq in webhooks:
        out.print(f"payment look-up {seq} is {what}" + ("; its provider is asked again" if what == "replayed" else ""))
    if done.changed or not (released or webhooks):
        out.print(
            f"{len(done.changed):,} {what}" + ("; `orders account` tells what becomes of them" if done.entries else "")
        )
