"""`orders findings list|show|resolve`: what differs between providers and us, and waits for a person."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.bootstrap import open_shop
from cli.options import MOST_LISTED, Data, Json, Problem, actor, out, print_json
from cli.reconcile import side, whole_side
from cli.render import put, table, time_of
from cli.terminal import safe
from outbound.reconciliation import findings as stored
from outbound.reconciliation.findings import NOTE, SHOWN, Finding
from outbound.reconciliation.kinds import Kind
from storage.tables.reconciliation import FINDING_STATES as STATES

findings = typer.Typer(
    help="What differs between payment providers and us, until a person resolves it.", no_args_is_help=True
)
COLORS = {"open": "yellow", "healed": "green", "resolved": "dim", "gone": "dim"}

Id = Annotated[str, typer.Argument(metavar="ID", help="The finding's id (fnd_…), as `findings list` shows.")]


@findings.command("list")
def list_(
    state: Annotated[
        str, typer.Option("--state", help=f"{', '.join(STATES)}, or all; open ones wait for a person.")
    ] = "open",
    provider: Annotated[str | None, typer.Option("--provider", metavar="NAME", help="Only this provider's.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind, such as amount_differs.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LISTED, help="How many at most.")] = SHOWN,
    data: Data = None,
    json: Json = False,
) -> None:
    """List findings, the newest first: what differs between a payment provider and us.

    Examples: orders findings list   ·   orders findings list --state healed --provider stripe
    """
    if state not in (*STATES, "all"):
        raise Problem(f"--state {state} is none; give one of {', '.join(STATES)} or all", 2)
    if kind is not None and kind not in list(Kind):
        raise Problem(f"--kind {kind} is none; give one of {', '.join(Kind)}", 2)
    wanted = None if state == "all" else state
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        found = stored.listed(conn, state=wanted, provider=provider, kind=kind, limit=limit)
    if json:
        print_json({"findings": [each.as_document() for each in found]})
        return
    rows = table("id", "kind", "provider", "payment", "order", "there", "here", "found (UTC)")
    for each in found:
        about = each.payment_id if each.subject == each.payment_id else f"{each.payment_id} {each.subject}"
        rows.add_row(
            each.name,
            f"[{COLORS[each.state]}]{safe(each.kind)}[/]",
            safe(each.provider),
            safe(about),
            safe(each.order_number or "–"),
            side(each.theirs),
            side(each.ours),
            time_of(each.found_at),
        )
    put(rows)
    if not found:
        out.print("no finding waits for a person" if state == "open" else "no finding fits")
    elif state == "open":
        out.print("[dim]orders findings show ID says what each means and what to do; resolve it with a note[/]")
    if len(found) == limit:
        out.print(f"[dim]only the last {limit} are shown; more: --limit[/]")


@findings.command()
def show(id: Id, data: Data = None, json: Json = False) -> None:
    """Show a finding: what it means, both sides, what was done or is to be done, and what a person made of it."""
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        found = stored.one(conn, id)
    _put(found, json)


@findings.command()
def resolve(
    id: Id,
    note: Annotated[str, typer.Option("--note", help="What was found out, or done, for those who read it later.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Resolve a finding with a note. It is not found again, unless either side says something else.

    Example: orders findings resolve fnd_0190… --note "test payment of ours, refunded in the dashboard"
    """
    if not note.strip() or len(note) > NOTE:
        raise Problem(f"--note must say something, in at most {NOTE:,} characters", 2)
    with open_shop(data) as (opened, _), opened.engine.begin() as conn:
        found = stored.resolve(conn, id, note.strip(), actor())
    _put(found, json)


def _put(found: Finding, json: bool) -> None:
    if json:
        print_json(found.as_document())
        return
    out.print(
        f"[bold]{found.name}[/]  [{COLORS[found.state]}]{found.state}[/]  {safe(found.kind)}: {safe(found.means)}",
        soft_wrap=True,
    )
    about = f"{found.provider}, payment {found.payment_id}"
    if found.subject != found.payment_id:
        about += f", {found.subject}"
    order = f", order {found.order_number}" if found.order_number else ""
    out.print(f"  {safe(about + order)}  ·  found {time_of(found.found_at)} UTC", soft_wrap=True)
    for title, told in (("there", found.theirs), ("here", found.ours)):
        out.print(f"  {title}: {whole_side(told)}", soft_wrap=True)
    verb = "done" if found.state in ("healed", "gone") else "to do"
    out.print(f"  {verb}: {safe(found.done)}", soft_wrap=True)
    if found.note is not None:
        by = safe(found.resolved_by or "")
        out.print(f"  resolved by {by} {time_of(found.updated_at)} UTC: {safe(found.note)}", soft_wrap=True)
    elif found.state == "open":
        out.print(f"[dim]orders findings resolve {found.name} --note TEXT closes it[/]")
