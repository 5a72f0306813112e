"""`orders reconcile`: what payment providers list, compared with ours, each way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic, sleep
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID, TextColumn, TimeElapsedColumn

from cli.bootstrap import open_shop, workers_alive
from cli.moments import moment_of
from cli.options import Data, Json, Problem, err, out, stream_json
from cli.render import in_utc, put, table
from cli.terminal import safe
from outbound.reconciliation import findings, run, runs
from outbound.reconciliation.judgement import Judgement, Position
from outbound.reconciliation.runs import LeaseLost
from providers.base import NoAnswer, PaymentListing
from providers.registry import registry
from settings.environment import Settings
from storage.clock import clock
from workers.resources import Parts

SHOWN = 50  # findings that are printed; --json and `orders findings list` have them all
TRIES = 10  # of a provider that does not answer, in a row
LONGEST_S = 60.0  # between two of them, unless it asks for more
LONGEST_ASKED_S = 900.0  # that it may ask for
FIRST = ("status", "outcome", "amount", "currency")  # of a side
GOES_ON = "`orders reconcile` again goes on where it stopped"


@dataclass(slots=True)
class Account:
    """One window that was compared: what was counted, and what the provider does not tell."""

    provider: str
    since: datetime
    until: datetime
    counts: Counter[str] = field(default_factory=Counter)
    remarks: tuple[str, ...] = ()

    def take(self, judgement: Judgement) -> None:
        """Note what a page came to; its counts are of the whole window."""
        self.counts, self.remarks = judgement.counts, judgement.remarks

    def document(self) -> dict[str, Any]:
        """The account for scripts."""
        names = ("payments", "refunds", "disputes", "healed", "waiting")
        counts = {name: self.counts[name] for name in names}
        window = {"provider": self.provider, "since": self.since, "until": self.until}
        return {**window, **counts, "remarks": list(self.remarks)}


def reconcile(
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="NAME", help="Only this one; else all that can be gone through.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="From 3d ago, or 2026-11-01; else ORDERS_RECONCILE_BACK ago."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Until then, likewise; else now.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what differs: nothing is told, and nothing written.")
    ] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Compare payments, refunds and disputes of payment providers with ours, each way; exit 1 where something waits for a person.

    What is only a lost webhook heals by an ordinary event (source `reconciliation`); the rest is a finding that waits for a
    person: `orders findings`. One that was broken off goes on where it stopped. The workers do the same by themselves, at the
    pace of ORDERS_RECONCILE.

    Examples: orders reconcile --dry-run   ·   orders reconcile --provider stripe --since 2026-11-01 --until 2026-11-08
    """
    asked = {
        name: moment_of(told, f"--{name}") for name, told in (("since", since), ("until", until)) if told is not None
    }
    with open_shop(data) as (opened, _):
        clients = _clients(opened.settings, provider)
        now = clock()
        end = min(asked.get("until", now), now)
        begin = asked.get("since", end - opened.settings.reconcile_back)
        if begin >= end:
            raise Problem(
                f"--since {in_utc(begin)} UTC is not before --until {in_utc(end)} UTC; give an earlier one", 2
            )
        told: list[Account] = []
        with Progress(TextColumn("{task.description}"), TimeElapsedColumn(), console=err, transient=True) as bar:
            found = _found(opened, clients, begin, end, dry_run, told, bar)
            if json:
                stream_json(
                    "findings", found, lambda _: {"dryRun": dry_run, "runs": [each.document() for each in told]}
                )
                kept: list[dict[str, Any]] = []
            else:
                kept = [each for place, each in enumerate(found) if place < SHOWN]
        if not json:
            _print(told, kept, dry_run)
        _say_if_nobody_works(opened, told, dry_run)
    if any(each.counts["waiting"] or (dry_run and each.counts["healed"]) for each in told):
        raise typer.Exit(1)


# -- whom ----------------------------------------------------------------------------------------------------


def _clients(settings: Settings, wanted: str | None) -> dict[str, PaymentListing]:
    """Those who are compared, by name; says whose list nobody can have. Errors: Problem where that is nobody."""
    found, values = registry(), settings.providers
    clients = found.listings(values)
    missing = found.missing("lists", values, "payments")
    in_use = {name for ability in ("receives", "looks_up", "refunds") for name in found.ready(ability, values)}
    names = {each.name for each in found.of_kind("payments")}
    if wanted is not None:
        if wanted in clients:
            return {wanted: clients[wanted]}
        if wanted in missing:
            raise Problem(f"{wanted} can be gone through once {missing[wanted]} is set")
        if wanted in names:
            raise Problem(f"{wanted} tells no list of what happened there, so it cannot be compared")
        raise Problem(f"--provider {wanted} is none; there are {', '.join(sorted(names | clients.keys()))}", 2)
    for name in sorted(in_use & names - clients.keys()):
        why = f"set {missing[name]}" if name in missing else "it tells no list of what happened there"
        err.print(f"{safe(name)} is not compared: {why}", soft_wrap=True)
    if not clients:
        settings_of = ", ".join(sorted(set(missing.values()))) or "a provider that can be gone through"
        raise Problem(f"no provider can be gone through; set one of {settings_of}")
    return clients


# -- the windows ---------------------------------------------------------------------------------------------


def _found(
    opened: Parts,
    clients: dict[str, PaymentListing],
    since: datetime,
    until: datetime,
    dry_run: bool,
    told: list[Account],
    bar: Progress,
) -> Iterator[dict[str, Any]]:
    """Findings of all windows as they come; `told` learns of each window."""
    for name, client in sorted(clients.items()):
        task = bar.add_task(f"{name}: asked")
        if dry_run:
            account = Account(name, since, until)
            told.append(account)
            pages = run.try_out(opened.engine, name, client, since, until, clock, _wait_for(name))
            yield from _documents(account, pages, bar, task)
            continue
        mine = run.holder()
        for at in _positions(opened, name, since, until, mine):
            account = Account(name, at.since, at.until)
            told.append(account)
            shards = opened.shop.shards
            pages = run.compare(opened.engine, opened.streams, shards, client, at, mine, clock, _wait_for(name))
            yield from _documents(account, pages, bar, task)


def _positions(opened: Parts, provider: str, since: datetime, until: datetime, holder: str) -> Iterator[Position]:
    """The window that was broken off, if there is one, then the one asked for, unless that was the same.

    The workers may begin one of their own meanwhile: theirs is finished first, too, for there is one unfinished at a time.
    """
    while True:
        _take(opened, provider, holder)
        with opened.engine.begin() as conn:
            row = runs.unfinished(conn, provider)
            at = (
                runs.position(row)
                if row is not None
                else runs.begin(conn, provider, since, until, clock(), scheduled=False)
            )
        if row is not None:
            window = f"{in_utc(at.since)} to {in_utc(at.until)} UTC"
            err.print(f"{safe(provider)}: goes on with {window}, which was broken off", soft_wrap=True)
        yield at
        if row is None or (at.since, at.until) == (since, until):
            return


def _take(opened: Parts, provider: str, holder: str) -> None:
    """Take the provider's lease; one that was left behind by whoever was killed ends by itself, and is waited for."""
    until, said = monotonic() + runs.LEASE_S + 5, False
    while True:
        try:
            with opened.engine.begin() as conn:
                return runs.keep(conn, provider, holder)
        except LeaseLost:
            if monotonic() >= until:
                raise Problem(
                    f"{provider} is being compared by another process, the workers perhaps; wait for its end "
                    f"(`orders doctor`), or say --dry-run"
                ) from None
            if not said:
                err.print(
                    f"{safe(provider)}: another process compares, or was killed; waiting for up to {runs.LEASE_S} s"
                )
                said = True
            sleep(0.5)


def _documents(account: Account, pages: Iterator[Judgement], bar: Progress, task: TaskID) -> Iterator[dict[str, Any]]:
    for judgement in pages:
        account.take(judgement)
        counts = account.counts
        says = f"{account.provider}: {counts['payments']:,} payments, {counts['refunds']:,} refunds compared"
        bar.update(task, description=f"{says}, {counts['healed'] + counts['waiting']:,} differ")
        yield from (findings.document(account.provider, each) for each in judgement.judged)


def _wait_for(provider: str) -> run.Wait:
    def wait(error: NoAnswer, attempts: int) -> None:
        if attempts >= TRIES:
            raise Problem(f"{provider} does not answer, {attempts} times in a row: {error}; {GOES_ON}") from error
        asked = error.retry_after or 0.0
        if asked > LONGEST_ASKED_S:
            raise Problem(f"{provider} asks to wait for {asked:,.0f} s: {error}; {GOES_ON}") from error
        seconds = max(asked, min(run.pause(error, attempts).total_seconds(), LONGEST_S))
        err.print(f"{safe(str(error), 300)}; asked again in {seconds:,.0f} s", soft_wrap=True)
        sleep(seconds)

    return wait


# -- what is said --------------------------------------------------------------------------------------------


def _print(told: list[Account], kept: list[dict[str, Any]], dry_run: bool) -> None:
    rows = table("kind", "payment", "order", "there", "here", "would be done" if dry_run else "done, or to be done")
    for each in kept:
        state = "green" if each["state"] == "healed" else "yellow"
        about = each["payment"] if each["subject"] == each["payment"] else f"{each['payment']} {each['subject']}"
        rows.add_row(
            f"[{state}]{each['kind']}[/]",
            safe(about),
            safe(each["orderNumber"] or "–"),
            side(each["theirs"]),
            side(each["ours"]),
            safe(each["done"]),
        )
    put(rows)
    differ = sum(each.counts["healed"] + each.counts["waiting"] for each in told)
    if differ > len(kept):
        more = "--json has them all" if dry_run else "`orders findings list` and --json have them all"
        out.print(f"… and {differ - len(kept):,} more; {more}")
    for account in told:
        c = account.counts
        window = f"{in_utc(account.since)} to {in_utc(account.until)} UTC"
        compared = f"{c['payments']:,} payments, {c['refunds']:,} refunds, {c['disputes']:,} disputes of {window}"
        heals = f"{c['healed']:,} {'would heal' if dry_run else 'heal'} by an event"
        waits = f"[yellow]{c['waiting']:,} wait for a person[/]" if c["waiting"] else "none waits for a person"
        verdict = f"{heals}, {waits}" if c["healed"] or c["waiting"] else "[green]all the same on both sides[/]"
        out.print(f"{safe(account.provider)}: {compared} compared: {verdict}", soft_wrap=True)
        for remark in account.remarks:
            out.print(f"[dim]{safe(account.provider)}: {safe(remark)}[/]", soft_wrap=True)
    if dry_run:
        out.print("nothing was changed; without --dry-run it is")


def side(told: dict[str, str]) -> str:
    """One side of a finding in a few words."""
    words = [told[name] for name in FIRST if name in told]
    return safe(" ".join(words)) if words else whole_side(told)


def whole_side(told: dict[str, str]) -> str:
    """One side of a finding, all of it; what matters most first."""
    names = sorted(told, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    return safe(", ".join(f"{name} {told[name]}" for name in names) or "–")


def _say_if_nobody_works(opened: Parts, told: list[Account], dry_run: bool) -> None:
    if not dry_run and any(each.counts["healed"] for each in told) and not workers_alive(opened):
        err.print("no workers run here; the events wait for them: `orders up`, or `orders worker` and `orders beat`")
