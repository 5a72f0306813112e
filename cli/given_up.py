"""`orders given-up …`, `orders replay`: what was given up, as one list, and the way back for it.

What changes something says why (`--why`) and leaves rows of the audit with the actor `cli:USER`. An act on all that match is
previewed and asked about; one without any condition is refused.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.body_editor import read_patch, step_of
from cli.bootstrap import open_shop, workers_alive
from cli.given_up_output import (
    detail_document,
    edit_document,
    print_causes,
    print_detail,
    print_edits,
    print_forecast,
    print_list,
    print_replay,
    print_replays,
    replay_document,
)
from cli.moments import moment_of
from cli.options import MOST_LISTED, Data, Json, Problem, actor, ask, err, out, print_json, progress
from cli.replay_progress import follow
from cli.terminal import safe
from operations import acts, given_up_changes, given_up_detail, replays
from operations import forecast as forecasts
from operations import given_up as things_given_up
from operations.given_up import KINDS, SHOWN, Thing, Wanted
from outbound.refund_routes import configured_routes
from workers.resources import Parts

given_up = typer.Typer(
    help="What was given up: events, refunds, payment look-ups, deliveries. Each can be found, edited, discarded, replayed.",
    no_args_is_help=True,
)

Refs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[REF]...", help="Refs as `given-up list` shows them; else say which by options."),
]
Ref = Annotated[
    str, typer.Argument(help="Its ref, as `given-up list` shows it; of an event also its id, or SOURCE/ID.")
]
Kind = Annotated[str | None, typer.Option("--kind", help=f"Only these: {', '.join(KINDS)}.")]
Order = Annotated[str | None, typer.Option("--order", metavar="NUMBER", help="Only of this order.")]
Type = Annotated[str | None, typer.Option("--type", help="Only of this type, such as PaymentSucceeded, or Refund.")]
Reason = Annotated[
    str | None,
    typer.Option("--reason", help="Only for this reason, such as currency_mismatch (docs/reference/reasons.md)."),
]
Provider = Annotated[
    str | None, typer.Option("--provider", help="Only from, or to, this provider, sender or receiver.")
]
Field = Annotated[str | None, typer.Option("--field", help="Only with this field at fault.")]
Text = Annotated[str | None, typer.Option("--text", help="Only with this text anywhere in it, its body included.")]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Only what was given up since: 2h, 3d, or 2026-11-01T12:00Z."),
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only what was given up before, likewise.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why: the audit keeps it, for those who look later.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would happen; nothing is changed.")]
Rate = Annotated[
    int | None, typer.Option("--rate", min=1, max=100_000, help="Things per second at most; else as fast as it goes.")
]
HaltAbove = Annotated[
    float,
    typer.Option("--halt-above", min=0, max=1, help="Share of a step's things that may fail; it stops above that."),
]
Name = Annotated[str, typer.Argument(help="The replay's id (rpl_…), as `given-up replays` shows it.")]


# -- looking -------------------------------------------------------------------------------------------------


@given_up.command("list")
def list_(
    kind: Kind = None, order: Order = None, type: Type = None, reason: Reason = None, provider: Provider = None,
    field: Field = None, text: Text = None, since: Since = None, until: Until = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LISTED, help="How many at most.")] = SHOWN,
    data: Data = None, json: Json = False,
) -> None:  # fmt: skip
    """List what was given up and waits for a person, the last to die first.

    Examples: orders given-up list --reason currency_mismatch   ·   orders given-up list --order 261101123456
    """
    wanted = _wanted(kind, order, type, reason, provider, field, text, since, until)
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        found = things_given_up.given_up(conn, wanted, limit=limit)
        count = things_given_up.count(conn, wanted)
    if json:
        print_json({"total": count, "docs": [each.as_document() for each in found]})
    else:
        print_list(found, count, narrowed=not wanted.is_empty())


@given_up.command()
def causes(
    kind: Kind = None, order: Order = None, type: Type = None, reason: Reason = None, provider: Provider = None,
    field: Field = None, text: Text = None, since: Since = None, until: Until = None, data: Data = None, json: Json = False,
) -> None:  # fmt: skip
    """Group what was given up by its cause: reason, type, field at fault, provider; the most frequent first."""
    wanted = _wanted(kind, order, type, reason, provider, field, text, since, until)
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        found = things_given_up.causes(conn, wanted)
    if json:
        print_json({"causes": [each.as_document() for each in found]})
    else:
        print_causes(found)


@given_up.command()
def show(ref: Ref, data: Data = None, json: Json = False) -> None:
    """Show one thing: what came, why it died, its versions, every attempt, and what would happen if it were replayed now."""
    with open_shop(data) as (opened, _):
        with opened.engine.connect() as conn:
            found = given_up_detail.detail(conn, ref)
        then = _forecast(opened, [found.thing])
    if json:
        print_json(detail_document(found, then))
    else:
        print_detail(found, then)


# -- changing ------------------------------------------------------------------------------------------------


@given_up.command()
def edit(
    refs: Refs = None, kind: Kind = None, order: Order = None, type: Type = None, reason: Reason = None,
    provider: Provider = None, field: Field = None, text: Text = None, since: Since = None, until: Until = None,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="data.currency=KRW, data.items.0.quantity=2, subject=ORDER; JSON or text. An empty value takes the field out."),
    ] = None,
    patch: Annotated[
        str | None, typer.Option("--patch", metavar="FILE", help="A JSON Patch (RFC 6902) of {subject, data}; - is stdin.")
    ] = None,
    why: Why = "", dry_run: DryRun = False, yes: Yes = False, data: Data = None, json: Json = False,
) -> None:  # fmt: skip
    """Edit events, one or all that match, as a new version of each; the originals stay. Then replay them.

    The edit is checked against each event's schema first: where one would die again, none is edited.
    Examples: orders given-up edit 4711 --set data.amount=12000 --why 'typo'
    ·   orders given-up edit --reason currency_mismatch --field currency --set data.currency=KRW --why 'sender omits it' --dry-run
    """
    if (patch is None) == (not set):
        raise Problem("say what to change: either --set data.currency=KRW, or --patch FILE", 2)
    steps = read_patch(patch) if patch is not None else [step_of(each) for each in set or ()]
    wanted = _wanted(kind, order, type, reason, provider, field, text, since, until)
    if not dry_run:
        why = acts.checked_reason(why)
    with open_shop(data) as (opened, _):
        with opened.engine.connect() as conn:
            things = things_given_up.chosen(conn, refs or (), wanted)
            made = given_up_changes.preview(conn, things, steps)
        if not json:
            print_edits(made)
        faults = [each for each in made if each.fault is not None]
        if dry_run or faults or not made:
            if json:
                print_json({"edited": 0, "edits": [edit_document(each) for each in made]})
            elif faults:
                err.print(f"[red]{len(faults):,} of {len(made):,} would die again[/]; nothing was changed")
            raise typer.Exit(1 if faults else 0)
        if not refs:
            ask(f"edit {len(made):,} events?", yes)
        with opened.engine.begin() as conn:
            made = given_up_changes.edit(conn, things, steps, by=actor(), reason=why)
    if json:
        print_json({"edited": len(made), "edits": [edit_document(each) for each in made]})
    else:
        out.print(f"{len(made):,} edited; now `orders given-up replay`")


@given_up.command()
def discard(
    refs: Refs = None, kind: Kind = None, order: Order = None, type: Type = None, reason: Reason = None,
    provider: Provider = None, field: Field = None, text: Text = None, since: Since = None, until: Until = None,
    why: Why = "", dry_run: DryRun = False, yes: Yes = False, data: Data = None, json: Json = False,
) -> None:  # fmt: skip
    """Discard things for good: events end as ignored, refunds are made by nobody, look-ups and deliveries are let be.

    Example: orders given-up discard --reason lookup_not_told --provider toss --why 'test webhooks'
    """
    wanted = _wanted(kind, order, type, reason, provider, field, text, since, until)
    if not dry_run:
        why = acts.checked_reason(why)
    with open_shop(data) as (opened, _):
        with opened.engine.connect() as conn:
            things = things_given_up.chosen(conn, refs or (), wanted)
        if not dry_run:
            if not refs and things:
                ask(f"discard {len(things):,} things for good?", yes)
            with opened.engine.begin() as conn:
                things = given_up_changes.discard(conn, things, by=actor(), reason=why)
    if json:
        print_json({"discarded": 0 if dry_run else len(things), "docs": [each.as_document() for each in things]})
    else:
        out.print(
            f"{len(things):,} would be discarded; nothing was changed" if dry_run else f"{len(things):,} discarded"
        )


# -- replaying -----------------------------------------------------------------------------------------------


@given_up.command("replay")
def replay_these(
    refs: Refs = None, kind: Kind = None, order: Order = None, type: Type = None, reason: Reason = None,
    provider: Provider = None, field: Field = None, text: Text = None, since: Since = None, until: Until = None,
    why: Why = "", rate: Rate = None, halt_above: HaltAbove = replays.HALT_ABOVE, dry_run: DryRun = False, yes: Yes = False,
    data: Data = None, json: Json = False,
) -> None:  # fmt: skip
    """Replay things: one, some, or all that match; exit 1 where any is given up again.

    Each order's events come in the order in which they happened, with what was given up of that order later. It goes in steps
    of 1, 10, 100 … and stops by itself where more of a step fail than --halt-above says; Ctrl-C stops it, and `given-up resume`
    lets it go on. Should this process die, the workers go on with it.
    Examples: orders given-up replay 4711 --why 'mended'   ·   orders given-up replay --reason bug --dry-run
    """
    wanted = _wanted(kind, order, type, reason, provider, field, text, since, until)
    with open_shop(data) as (opened, _):
        _replay(opened, refs or [], wanted, why, rate, halt_above, dry_run, yes, json)


def replay_all(
    order: Order = None, type: Type = None, reason: Reason = None, since: Since = None,
    rebuild: Annotated[
        str | None,
        typer.Option("--rebuild", metavar="ORDER", help="Compute this order anew from the journal instead, after a mended bug; what differs is shown first, and nothing is sent."),
    ] = None,
    why: Why = "", rate: Rate = None, halt_above: HaltAbove = replays.HALT_ABOVE, dry_run: DryRun = False, yes: Yes = False,
    data: Data = None, json: Json = False,
) -> None:  # fmt: skip
    """Replay all that was given up since, of a type, for a reason: at least one must be said. Or rebuild one order.

    It is `orders given-up replay`, which has more conditions.
    Examples: orders replay --since 2h --why 'mended'   ·   orders replay --reason bug --dry-run   ·   orders replay --rebuild 261101123456
    """
    with open_shop(data) as (opened, _):
        if rebuild is not None:
            from cli.rebuild import rebuild_order

            rebuild_order(opened, rebuild, why, dry_run, yes, json)
            return
        wanted = _wanted(None, order, type, reason, None, None, None, since, None)
        _replay(opened, [], wanted, why, rate, halt_above, dry_run, yes, json)


@given_up.command("replays")
def list_replays(
    name: Annotated[
        str | None, typer.Argument(help="One of them, with its report by cause; else all, the newest first.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many at most.")] = 20,
    data: Data = None,
    json: Json = False,
) -> None:
    """List replays, or show one with its report: what came of each cause."""
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        if name is None:
            found = replays.replays(conn, limit)
            if json:
                print_json({"replays": [each.as_document() for each in found]})
            else:
                print_replays(found)
            return
        one = replays.replay(conn, name)
        causes_of = replays.report(conn, one.id)
    if json:
        print_json(replay_document(one, causes_of))
    else:
        print_replay(one, causes_of)


@given_up.command()
def stop(name: Name, why: Why = "", data: Data = None, json: Json = False) -> None:
    """Stop a replay after what it is just doing; it can be resumed."""
    with open_shop(data) as (opened, _), opened.engine.begin() as conn:
        found = replays.stop(conn, name, by=actor(), reason=why)
    if json:
        print_json(found.as_document())
    else:
        out.print(f"{found.name} is stopped: {found.says}")


@given_up.command()
def resume(name: Name, why: Why = "", data: Data = None, json: Json = False) -> None:
    """Let a replay go on that was stopped, or that stopped by itself: that in small steps again."""
    with open_shop(data) as (opened, _):
        with opened.engine.begin() as conn:
            found = replays.resume(conn, name, by=actor(), reason=why)
        _follow(opened, found.id, json)


# -- steps ---------------------------------------------------------------------------------------------------


def _replay(
    opened: Parts, refs: list[str], wanted: Wanted, why: str, rate: int | None, halt_above: float, dry_run: bool, yes: bool,
    json: bool,
) -> None:  # fmt: skip
    if not dry_run:
        why = acts.checked_reason(why)
    with opened.engine.connect() as conn:
        planned = replays.plan(conn, things_given_up.chosen(conn, refs, wanted))
    if dry_run:
        then = _forecast(opened, [thing for thing, _ in planned])
        if json:
            print_json(then.as_document())
        else:
            print_forecast(then)
        return
    if not refs:
        ask(f"replay {len(planned):,} things (`--dry-run` says what would happen)?", yes)
    chosen: dict[str, Any] = {"refs": refs} if refs else wanted.as_document()
    with opened.engine.begin() as conn:
        replay_id = replays.begin(
            conn, planned, by=actor(), reason=why, chosen=chosen, rate=rate, halt_above=halt_above
        )
    along = sum(later for _, later in planned)
    if along:
        err.print(f"{along:,} that came later of the same orders are taken along")
    _follow(opened, replay_id, json)


def _follow(opened: Parts, replay_id: str, json: bool) -> None:
    """Advance a replay to its end, say how it ended, and end with 1 where anything of it failed."""
    found, causes_of = follow(opened, replay_id)
    if json:
        print_json(replay_document(found, causes_of))
    else:
        print_replay(found, causes_of)
    if found.taken and not workers_alive(opened):
        err.print(
            "no workers run here; refunds, look-ups and deliveries wait for them: `orders up`, or `orders worker`"
        )
    failed = sum(found.outcomes.get(each, 0) for each in replays.FAILED)
    raise typer.Exit(1 if failed or found.state in (replays.HALTED, replays.STOPPED) else 0)


def _forecast(opened: Parts, things: list[Thing]) -> forecasts.Forecast:
    with progress("looking ahead", len(things)) as told:
        routes = configured_routes(opened.settings)
        return forecasts.forecast(opened.engine, opened.settings.policy, routes, opened.shop, things, told)


def _wanted(
    kind: str | None, order: str | None, type: str | None, reason: str | None, provider: str | None, field: str | None,
    text: str | None, since: str | None, until: str | None,
) -> Wanted:  # fmt: skip
    if kind is not None and kind not in KINDS:
        raise Problem(f"--kind {safe(kind, 100)} is none; give one of {', '.join(KINDS)}", 2)
    begins = None if since is None else moment_of(since, "--since")
    ends = None if until is None else moment_of(until, "--until")
    return Wanted(kind, order, type, reason, provider, field, text, begins, ends)
