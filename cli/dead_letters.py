"""`orders dlq …`, `orders parked list`: dead letters and what waits, and the way back for each.

`orders given-up` has all that was given up, and replays it in steps. `orders dlq` came before it, and scripts may go on with it: the same
things but deliveries, one by one, and those that are closed.

Whatever is changed here leaves a row of `audit` with the actor `cli:USER`. Replayed events are published
after the commit; should Redis be away, the relay finds them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer
from sqlalchemy import Connection, text

from cli.body_editor import edited, read_body, set_field
from cli.bootstrap import open_shop, workers_alive
from cli.dead_letter_output import (
    as_document,
    print_letter,
    shown_document,
    staff_document,
    tell_done,
    webhook_document,
)
from cli.moments import moment_of
from cli.options import MOST_LISTED, Data, Json, Problem, actor, err, out, print_json
from cli.render import put, table, time_of
from cli.terminal import safe
from domain.ids import format_id, uuid_of
from operations import acts, dead_letters, parked_events
from operations.dead_letters import LetterUnknown, NameAmbiguous
from outbound import payment_lookups, refunds
from workers.resources import Parts

dlq = typer.Typer(
    help="Part of what was given up: dead letters (events, refunds) and payment look-ups, one by one; `orders given-up` is the whole list.",
    no_args_is_help=True,
)
parked = typer.Typer(help="Events that came too early, and what each waits for.", no_args_is_help=True)

Ref = Annotated[
    str,
    typer.Argument(
        help="Its number, the event's id, or a refund's id (eff_…), as `dlq list` shows. A look-up's number works with "
        "`dlq replay` and `dlq discard` alone."
    ),
]
Refs = Annotated[list[str], typer.Argument(help="Numbers (of payment look-ups, these alone), events' ids, or eff_….")]
Type = Annotated[str | None, typer.Option("--type", help="Only this event type (Refund: refunds).")]
Reason = Annotated[str | None, typer.Option("--reason", help="Only this reason, such as currency_mismatch.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only what died since: 2h, 3d, or 2026-11-01T12:00Z.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=MOST_LISTED, help="How many at most.")]

_WAITING_EFFECTS = text("""
    select e.id, e.payment_id, e.currency, e.target, e.made, e.updated_at, o.order_number
    from effects e join orders o on o.id = e.order_id where e.state = 'staff' order by e.updated_at desc limit :most
""")
_WAITS_FOR_STAFF = text("select id from effects where state = 'staff' and id = any(cast(:ids as uuid[]))")


# -- looking -----------------------------------------------------------------------------------------------


@dlq.command("list")
def list_(
    type: Type = None,
    reason: Reason = None,
    since: Since = None,
    limit: Limit = dead_letters.SHOWN,
    data: Data = None,
    json: Json = False,
) -> None:
    """List dead letters, the last to die first, and payment look-ups: what `orders given-up list` has, but deliveries.

    Behind them, refunds that wait for a person to release them (`orders refunds list --waiting`).
    """
    moment = _since(since)
    with _letters(data) as (_, conn):
        letters = dead_letters.list_open(conn, type=type, reason=reason, since=moment, limit=limit)
        webhooks = payment_lookups.given_up(conn, type=type, since=moment, limit=limit) if reason is None else []
        waiting = []
        if type in (None, "Refund") and reason is None and since is None:
            waiting = [row._asdict() for row in conn.execute(_WAITING_EFFECTS, {"most": limit})]
    if json:
        print_json(
            {
                "letters": [as_document(each) for each in letters],
                "webhooks": [webhook_document(each) for each in webhooks],
                "waiting": [staff_document(row) for row in waiting],
            }
        )
        return
    rows = table("ref", "event", "order", "why", "died (UTC)", ">deaths")
    for letter in letters:
        name = f"{safe(letter.type)}{' [dim](edited)[/]' if letter.corrected else ''}"
        why = f"[red]{letter.reason}[/] {safe(letter.detail or letter.text)}"
        order = safe(letter.subject or "–")
        rows.add_row(f"[bold]{letter.ref}[/]", name, order, why, time_of(letter.died_at), str(letter.deaths))
    put(rows)
    rows = table("ref", "webhook", "payment", "why", "given up (UTC)", title="payment look-ups that were given up")
    for each in webhooks:
        about = safe(each.payment_id or each.subject or "–")
        rows.add_row(f"[bold]{each.seq}[/]", safe(each.type), about, safe(each.error), time_of(each.died_at))
    put(rows)
    rows = table("ref", "order", "payment", ">to go back", title="refunds that wait for a person")
    for row in waiting:
        amount = f"{row['target'] - row['made']:,} {row['currency']}"
        rows.add_row(format_id("effects", row["id"]), safe(row["order_number"]), safe(row["payment_id"]), amount)
    put(rows)
    narrowed = any(each is not None for each in (type, reason, since))
    if not letters and not webhooks and not waiting:
        out.print(
            "nothing there fits"
            if narrowed
            else "no dead letter and no payment look-up waits; deliveries: `orders given-up list`"
        )
    elif letters:
        out.print("[dim]orders dlq show REF tells all about one; edit it, then replay it, or discard it[/]")
    if webhooks:
        out.print("[dim]orders dlq replay REF looks a payment up again; discard lets it be[/]")
    if limit in (len(letters), len(webhooks)):
        out.print(f"[dim]only the last {limit} are shown; more: --limit[/]")


@dlq.command()
def show(ref: Ref, data: Data = None, json: Json = False) -> None:
    """Show a dead letter: the event's body, why it died, what was edited, what operators did."""
    with _letters(data) as (_, conn):
        found = dead_letters.show(conn, ref)
    if json:
        print_json(shown_document(found))
    else:
        print_letter(found)


@parked.command("list")
def list_parked(limit: Limit = parked_events.SHOWN, data: Data = None, json: Json = False) -> None:
    """List events that wait, what each waits for, and until when."""
    with _letters(data) as (_, conn):
        found = parked_events.list_parked(conn, limit)
    if json:
        print_json({"parked": [{**asdict(each), "text": each.text} for each in found]})
        return
    rows = table("seq", "event", "order", "why", "since (UTC)", "until (UTC)", "id")
    for each in found:
        order = each.order_number or each.subject or each.key or "–"
        rows.add_row(
            str(each.seq),
            safe(each.type),
            safe(order),
            f"[yellow]{each.reason}[/] {each.text}",
            time_of(each.since),
            time_of(each.until) if each.until else "for ever",
            f"[dim]{safe(each.source)}/{safe(each.event_id)}[/]",
        )
    put(rows)
    if not found:
        out.print("nothing is parked")
    elif len(found) == limit:
        out.print(f"[dim]only the first {limit} are shown; more: --limit[/]")


# -- changing ----------------------------------------------------------------------------------------------


@dlq.command()
def edit(
    ref: Ref,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="data.amount=12000, data.items.0.quantity=2; JSON or text."),
    ] = None,
    data_file: Annotated[
        str | None, typer.Option("--data-file", metavar="FILE", help="The whole body as JSON; - is stdin.")
    ] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="The order's number.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Lay another body or order number over a dead event; the journal keeps the original. Then replay it.

    With no option, on a terminal, it opens the body in $EDITOR.
    Examples: orders dlq edit 4711 --set data.currency=KRW   ·   orders dlq edit 4711 --subject 261101123456
    """
    if set and data_file:
        raise Problem("give --set or --data-file, not both", 2)
    by_hand = not set and data_file is None and subject is None
    if by_hand and not sys.stdin.isatty():
        raise Problem("say what to change: --set data.amount=12000, --data-file FILE, or --subject ORDER", 2)
    told = read_body(data_file) if data_file is not None else None
    with _letters(data) as (opened, conn):
        found = dead_letters.show(conn, ref)
        before = (found.corrected or found.original or {}).get("data") or {}
        conn.rollback()  # nobody waits while a person types
        body = told
        if set:
            body = orjson.loads(orjson.dumps(before))
            for each in set:
                set_field(body, each)
        elif by_hand:
            body = edited(before)
            if body is None:
                raise Problem("nothing was changed")
        with opened.engine.begin() as writing:
            after = dead_letters.edit(writing, found.letter.id, body, subject, actor())
    if json:
        print_json(shown_document(after))
    else:
        print_letter(after)
        out.print(f"\nnow `orders dlq replay {after.letter.ref}`")


@dlq.command()
def replay(refs: Refs, data: Data = None, json: Json = False) -> None:
    """Give dead letters another chance: events are decided again, refunds go out again, payments are looked up again."""
    with _letters(data) as (opened, _):
        released: list[str] = []
        with opened.engine.begin() as conn:
            asked = payment_lookups.ask_again(conn, _numbers(refs), actor())
            _refuse_ambiguous(conn, asked)
            refs = _without(refs, asked)
            staff = _staff(conn, refs)
            done = dead_letters.replay(conn, [ref for ref in refs if uuid_of(ref) not in staff], actor())
            for effect_id in staff:
                if refunds.release(conn, effect_id, actor(), "dlq replay"):
                    released.append(format_id("effects", effect_id))
        opened.streams.publish(done.entries)
        _say_if_nobody_works(opened)
    tell_done(done, "replayed", json, asked, released)


@dlq.command()
def discard(
    refs: Refs,
    why: Annotated[str, typer.Option("--why", help="Why, for those who read the timeline later.")] = "",
    data: Data = None,
    json: Json = False,
) -> None:
    """Give dead letters up for good: their events end as ignored, with the reason `discarded`; look-ups are let be."""
    with _letters(data) as (opened, _), opened.engine.begin() as conn:
        why = acts.reason_if_said(why) or f"discarded by {actor()}"
        let_be = payment_lookups.discard(conn, _numbers(refs), actor(), why)
        _refuse_ambiguous(conn, let_be)
        refs = _without(refs, let_be)
        staff = _staff(conn, refs)
        if staff:
            raise Problem(
                f"{format_id('effects', min(staff))} waits for a person and is no dead letter: replay it to let it go, or "
                "refund at the provider, whose report closes it. Nothing was changed"
            )
        done = dead_letters.discard(conn, refs, actor(), why)
    tell_done(done, "discarded", json, let_be)


# -- steps -------------------------------------------------------------------------------------------------


@contextmanager
def _letters(data: Path | None) -> Iterator[tuple[Parts, Connection]]:
    """An open shop and a connection to look with."""
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        yield opened, conn


def _since(told: str | None) -> datetime | None:
    return None if told is None else moment_of(told, "--since")


def _staff(conn: Connection, refs: list[str]) -> list[str]:
    """Those of the names that are refunds which wait for a person."""
    ids = sorted({id for ref in refs if (id := uuid_of(ref))})
    return list(conn.execute(_WAITS_FOR_STAFF, {"ids": ids}).scalars()) if ids else []


def _numbers(refs: list[str]) -> list[int]:
    """Those of the names that may be of a webhook: journal numbers, as we write them (0017 is an event's id)."""
    return sorted({int(ref) for ref in refs if re.fullmatch("[1-9][0-9]{0,17}", ref)})


def _refuse_ambiguous(conn: Connection, webhooks: list[int]) -> None:
    """Problem where a webhook's number also names a dead event. One that is closed leaves the number to the webhook."""
    for seq in webhooks:
        try:
            found = dead_letters.find(conn, [str(seq)])
        except LetterUnknown:
            continue
        except NameAmbiguous as error:
            found = error.matches
        for letter in found:
            if letter.state == "open":
                raise Problem(
                    f"{seq} is a payment look-up and also the dead event {letter.name}: replay or discard that first, as "
                    f"{letter.name}. Nothing was changed"
                )


def _without(refs: list[str], webhooks: list[int]) -> list[str]:
    """The names that are left for dead letters and refunds."""
    taken = set(map(str, webhooks))
    return [ref for ref in refs if ref not in taken]


def _say_if_nobody_works(opened: Parts) -> None:
    if not workers_alive(opened):
        err.print(
            "no workers run here; what was replayed waits for them: `orders up`, or `orders worker` and `orders beat`"
        )
