"""`orders bench`: how fast this is on your machine, against the ways that most teams take."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Json, Problem, err, out, print_json, stop_at_sigterm
from cli.terminal import safe

if TYPE_CHECKING:  # imported late: no other command needs the bench
    from bench.run import Say
    from bench.servers import Servers

    Measure = Callable[[Servers, dict[str, Any], Say], dict[str, Any]]


class What(StrEnum):
    """The things that may be measured."""

    DRAIN = "drain"
    SCALE = "scale"
    API = "api"
    CONSOLE = "console"


# option → who takes it; every other option is everybody's
_TAKEN_BY = {
    "rounds": (What.DRAIN, What.SCALE, What.API),
    "orders": (What.DRAIN, What.API, What.CONSOLE),
    "samples": (What.DRAIN,),
    "batch": (What.DRAIN,),
    "markdown": (What.DRAIN,),
    "profile": (What.DRAIN,),
}
_SPELLED = {each: f"`orders bench {each}`" for each in What} | {What.DRAIN: "`orders bench`"}


def bench(
    what: Annotated[
        What,
        typer.Argument(
            help="drain: events per second. scale: growing databases, a backlog. api: what the doors cost. console: its pages."
        ),
    ] = What.DRAIN,
    quick: Annotated[bool, typer.Option("--quick", help="Under a minute, on fewer events: a first look.")] = False,
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, max=100, help="Of everything; 5, with --quick 2.")
    ] = None,
    orders: Annotated[
        int | None,
        typer.Option(
            "--orders",
            min=20,
            max=1_000_000,
            help="Lives per round; 4000, with --quick 1000. Rivals: a 20th. api: lives in all; 4000, with --quick 600. console: orders of the shop; 50000, with --quick 10000.",
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", min=40, max=100_000, help="Of latency; 1000, with --quick 300.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, max=10_000, help="Entries of one commit at most; 256.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Answer with the tables of docs/reference/benchmark.md.")
    ] = False,
    profile: Annotated[
        Path | None, typer.Option("--profile", help="Write to this file where the drain's time goes.")
    ] = None,
    json: Json = False,
) -> None:
    """Measure events per second, latency and costs, beside Celery with a task per event and PostgreSQL's ceiling.

    `orders bench scale` instead lets the database, the workers, the shards and the backlog grow: up to ten million events, 20 GB of disk and a quarter of an hour; with --quick a hundredth of it. `orders bench api` measures whole lives over HTTP, webhooks beside a usual endpoint, and a query in a shop of a million orders (with --quick 200,000). `orders bench console` measures every page of the console in a shop of --orders, and what watching it costs the database.

    Runs on its own embedded servers in a temporary folder, or in fresh databases on DATABASE_URL and REDIS_URL.
    Every system plays the same lives of orders, and ends in the same states, or the bench fails.

    Examples: orders bench --quick   ·   orders bench --json > bench.json   ·   orders bench --profile drain.txt
    """
    _refuse_idle(
        what, rounds=rounds, orders=orders, samples=samples, batch=batch, markdown=markdown or None, profile=profile
    )
    from bench import report, summaries
    from bench import run as running
    from bench.servers import opened

    stop_at_sigterm()
    began = monotonic()

    def say(what: str) -> None:
        err.print(f"[dim]{monotonic() - began:6.1f} s[/]  {safe(what)}")

    if what is What.SCALE:
        measure, printed = _scale(quick, rounds), summaries.scale
    elif what is What.API:
        measure, printed = _api(quick, rounds, orders), summaries.api
    elif what is What.CONSOLE:
        measure, printed = _console(quick, orders), summaries.console
    else:
        measure, printed = _drain(quick, rounds, orders, samples, batch, profile), report.printed
    say("starting servers")
    with opened() as servers:
        found = measure(servers, running.machine(servers), say)
    found["seconds"] = round(monotonic() - began, 1)
    if json:
        print_json(found)
    elif markdown:
        sys.stdout.write(report.markdown(found))
    else:
        out.print(printed(found))


def _refuse_idle(what: What, **told: object) -> None:
    """Problem where an option was given that would change nothing."""
    for name, value in told.items():
        if value is not None and what not in _TAKEN_BY[name]:
            takers = " and ".join(_SPELLED[each] for each in _TAKEN_BY[name])
            raise Problem(f"--{name} goes with {takers} alone; leave it out of {_SPELLED[what]}", 2)


def _drain(
    quick: bool, rounds: int | None, orders: int | None, samples: int | None, batch: int | None, profile: Path | None
) -> Measure:
    from bench import report
    from bench import run as running

    usual = running.QUICK if quick else running.Plan()
    plan = replace(
        usual,
        rounds=rounds or usual.rounds,
        orders=orders or usual.orders,
        batch=batch or usual.batch,
        samples=samples or usual.samples,
        profile=profile,
    )
    return lambda servers, machine, say: report.document(running.run(servers, plan, say), plan, machine)


def _scale(quick: bool, rounds: int | None) -> Measure:
    from bench import scale

    usual = scale.QUICK if quick else scale.Plan()
    plan = replace(usual, rounds=rounds or usual.rounds)
    return lambda servers, machine, say: scale.document(scale.run(servers, plan, say), plan, machine)


def _api(quick: bool, rounds: int | None, orders: int | None) -> Measure:
    from bench import api

    usual = api.QUICK if quick else api.Plan()
    plan = replace(usual, rounds=rounds or usual.rounds, lives=orders or usual.lives)
    return lambda servers, machine, say: api.run(servers, plan, machine, say)


def _console(quick: bool, orders: int | None) -> Measure:
    from bench import console

    usual = console.QUICK if quick else console.Plan()
    plan = replace(usual, orders=orders or usual.orders)
    return lambda servers, machine, say: console.run(servers, plan, machine, say)
