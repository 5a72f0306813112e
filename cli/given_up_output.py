"""Lists of what was given up, forecasts and replays: in a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from rich.syntax import Syntax

from cli.options import out
from cli.render import put, table, time_of
from cli.terminal import bounded, safe, visible_json
from operations.edits import Edit
from operations.forecast import Forecast
from operations.given_up import Group, Thing
from operations.given_up_detail import Detail
from operations.replays import OUTCOMES, CauseReport, Replay
from outbound import refund_routes

SHOWN = 20  # edits, orders or refunds that are printed; --json has them all
CELL = 160  # characters of a detail in a list
BODY = 20_000  # characters of a body
STUCK = {  # why refunds do not go out, by their route
    refund_routes.NOBODY_ROUTE: "cannot go out: nobody gives back here what {provider} took",
    refund_routes.NOTED_ROUTE: "cannot go out: a person noted the payment, and no provider took it",
    refund_routes.UNNAMED_ROUTE: "cannot go out: the payment names no provider, and several could have taken it",
    refund_routes.WAITING_ROUTE: "stay due until what {provider} needs is set; `orders doctor` says what",
}
STATES = {"running": "cyan", "stopped": "yellow", "halted": "red", "done": "green"}


def print_list(things: Sequence[Thing], count: int, *, narrowed: bool) -> None:
    """A list of things, with the commands that lead on."""
    rows = table("ref", "what", "order", "why", "given up (UTC)", ">attempts")
    for each in things:
        edited = " [dim](edited)[/]" if each.edited else ""
        why = f"[red]{safe(each.reason)}[/] {safe(each.detail or each.cause.means, CELL)}"
        rows.add_row(
            f"[bold]{each.ref}[/]",
            f"{safe(each.type, CELL)}{edited}",
            safe(each.order_number or each.payment_id or "–", CELL),
            why,
            time_of(each.died_at),
            str(each.attempts),
        )
    put(rows)
    if not things:
        out.print("nothing that was given up fits" if narrowed else "nothing was given up")
        return
    if count > len(things):
        out.print(f"[dim]only the last {len(things):,} of {count:,} are shown; more: --limit[/]")
    out.print(
        "[dim]orders given-up causes groups them; orders given-up show REF tells all about one, and what a replay would do[/]"
    )


def print_causes(groups: Sequence[Group]) -> None:
    """Groups of one cause each, and what to do about it."""
    rows = table(">count", ">edited", "reason", "of", "field", "from or to", "what to do", "since (UTC)", "such as")
    for each in groups:
        said = each.as_document()
        rows.add_row(
            f"{each.count:,}",
            f"{each.edited:,}" if each.edited else "–",
            f"[red]{safe(each.reason)}[/]",
            safe(each.type, CELL),
            safe(each.field or "–"),
            safe(each.provider or "–", CELL),
            safe(said["remedy"]),
            time_of(each.first_at),
            f"[dim]{', '.join(each.refs)}[/]",
        )
    put(rows)
    if not groups:
        out.print("nothing that was given up fits")


def detail_document(found: Detail, then: Forecast) -> dict[str, Any]:
    """A thing with all there is to know, as JSON."""
    return {**found.as_document(), "ifReplayedNow": then.as_document()}


def print_detail(found: Detail, then: Forecast) -> None:
    """A thing with all there is to know."""
    each = found.thing
    out.print(f"[bold]{safe(each.type)}[/]  {safe(each.kind)}, ref {each.ref}", soft_wrap=True)
    tries = f"{each.attempts} attempt{'s' if each.attempts != 1 else ''}"
    about = [
        f"order {safe(each.order_number or '–')}",
        f"given up {time_of(each.died_at)} UTC",
        tries,
    ]
    out.print("  " + "  ·  ".join(about), soft_wrap=True)
    at_fault = f" ({safe(each.field)})" if each.field else ""
    out.print(f"  [red]{safe(each.reason)}[/]{at_fault}: {safe(each.cause.means)}", soft_wrap=True)
    if each.detail:
        out.print(f"  {safe(each.detail)}", soft_wrap=True)
    out.print(f"  to do: {safe(each.cause.remedy)}", soft_wrap=True)
    _body("what came", found.came)
    for version in found.versions:
        why = f": {safe(version.reason)}" if version.reason else ""
        out.print(
            f"\n[bold]version {version.version}[/], by {safe(version.by)} {time_of(version.at)} UTC{why}",
            soft_wrap=True,
        )
        _json(version.diff)
    rows = table("at (UTC)", "what", "who", "said", title="every attempt, and what operators did")
    for attempt in found.attempts:
        rows.add_row(
            time_of(attempt.at), safe(attempt.what), safe(attempt.by or "by itself"), safe(attempt.said or "–", 500)
        )
    put(rows)
    out.print("\n[bold]if it were replayed now[/]")
    print_forecast(then)


def edit_document(each: Edit) -> dict[str, Any]:
    """An edit as JSON; names, addresses and notes stay out of it."""
    return {
        "ref": str(each.seq), "name": each.name, "version": each.version, "diff": each.diff,
        "personal": sorted(each.personal), "fault": each.fault,
    }  # fmt: skip


def print_edits(edits: Sequence[Edit]) -> None:
    """A preview of edits: what changes in each, and which would die again."""
    rows = table("ref", "event", "version", "what changes")
    for each in sorted(edits, key=lambda each: each.fault is None)[:SHOWN]:
        if each.fault is not None:
            said = f"[red]would die again:[/] {safe(each.fault, 500)}"
        elif each.is_needless:
            said = "[dim]nothing[/]"
        else:
            said = safe(", ".join(map(_step, each.diff)) or f"personal: {', '.join(sorted(each.personal))}", 500)
        rows.add_row(f"[bold]{each.seq}[/]", safe(each.name, CELL), str(each.version), said)
    put(rows)
    if len(edits) > SHOWN:
        out.print(f"[dim]… and {len(edits) - SHOWN:,} more; --json has them all[/]")


def _step(step: dict[str, Any]) -> str:
    value = f" {bounded(orjson.dumps(step['value']).decode(), 80)}" if "value" in step else ""
    return f"{step['op']} {step['path']}{value}"


# -- forecasts and replays -----------------------------------------------------------------------------------


def print_forecast(then: Forecast) -> None:
    """A forecast of a replay; nothing was changed."""
    rows = table("outcome", ">events")
    for outcome, count in then.outcomes.most_common():
        rows.add_row(safe(outcome), f"{count:,}")
    for kind, count in sorted(then.retried.items()):
        rows.add_row(
            {"refund": "refunds are asked for again", "lookup": "providers are asked again"}.get(
                kind, "deliveries go out again"
            ),
            f"{count:,}",
        )
    if then.gone:
        rows.add_row("left alone: given up no more", f"{then.gone:,}")
    put(rows)
    orders = table("order", "status", "what changes", title="orders that would change")
    for each in then.orders[:SHOWN]:
        changed = ", ".join(f"{path}: {before} → {after}" for path, before, after in each.changes)
        orders.add_row(safe(each.number, CELL), f"{each.before or 'new'} → {each.after}", safe(changed or "–", 400))
    put(orders)
    money = table("order", "payment", ">amount", "", title="refunds that would go out")
    for refund in then.going[:SHOWN]:
        waits = "waits for a person" if refund.waits else ""
        money.add_row(
            safe(refund.order, CELL), safe(refund.payment, CELL), f"{refund.amount:,} {safe(refund.currency)}", waits
        )
    put(money)
    for stuck in then.stuck:
        sums = ", ".join(f"{amount:,} {safe(currency)}" for currency, amount in stuck.sums.items())
        why = STUCK[stuck.route].format(provider=safe(stuck.provider or "a provider", CELL))
        out.print(f"[yellow]{stuck.count:,} refund{'s' if stuck.count != 1 else ''}, {sums}:[/] {why}", soft_wrap=True)
    if len(then.orders) > SHOWN or len(then.going) > SHOWN:
        out.print(f"[dim]{len(then.orders):,} orders and {len(then.going):,} refunds in all; --json has them all[/]")
    sent = ", ".join(f"{count:,} to {safe(url)}" for url, count in sorted(then.messages.items()))
    out.print(f"messages that would go out: {sent or 'none'}", soft_wrap=True)
    out.print(
        f"out already, and suppressed: {then.refunds_out:,} refunds, {then.messages_out:,} messages. Nothing was changed"
    )


def replay_document(found: Replay, causes: Sequence[CauseReport]) -> dict[str, Any]:
    """A replay with its report, as JSON."""
    return {**found.as_document(), "report": [each.as_document() for each in causes]}


def print_replay(found: Replay, causes: Sequence[CauseReport]) -> None:
    """A replay as it stands, and its report by cause."""
    out.print(f"[bold]{found.name}[/]  [{STATES[found.state]}]{found.state}[/]  {found.says}", soft_wrap=True)
    if found.note:
        out.print(f"  {safe(found.note)}", soft_wrap=True)
    rows = table(">count", "had been given up for", "of", "field", "what came of them", title="by cause")
    for each in causes:
        ends = ", ".join(
            f"{n:,} {OUTCOMES.get(name, {'waiting': 'to go', 'taken': 'being tried'}.get(name, name))}"
            for name, n in sorted(each.outcomes.items())
        )
        news = (
            f" ({', '.join(f'{safe(name)} {n:,}' for name, n in each.new_reasons.items())})" if each.new_reasons else ""
        )
        rows.add_row(
            f"{sum(each.outcomes.values()):,}",
            safe(each.reason),
            safe(each.type, CELL),
            safe(each.field or "–"),
            ends + news,
        )
    put(rows)
    if found.state in ("halted", "stopped"):
        out.print(f"[dim]orders given-up resume {found.name} --why … lets it go on[/]")


def print_replays(found: Sequence[Replay]) -> None:
    """A list of replays, the newest first."""
    rows = table("replay", "state", "begun (UTC)", "by", "why", "what came of it")
    for each in found:
        state = f"[{STATES[each.state]}]{each.state}[/]"
        rows.add_row(each.name, state, time_of(each.created_at), safe(each.by), safe(each.reason, CELL), each.says)
    put(rows)
    if not found:
        out.print("nothing was replayed yet")


def _body(title: str, came: dict[str, Any]) -> None:
    out.print(f"\n[bold]{title}[/]")
    _json(came)


def _json(value: Any) -> None:
    written = orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()
    out.print(Syntax(visible_json(bounded(written, BODY)), "json", background_color="default", word_wrap=True))
