"""`orders bench`: how fast this is on your machine, against the ways that most teams take."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.markup import escape

from cli.opening import stop_at_sigterm
from cli.options import Json, Problem, err, out, print_json


class What(StrEnum):
    """What may be measured."""

    DRAIN = "drain"
    SCALE = "scale"
    API = "api"


def bench(
    what: Annotated[
        What,
        typer.Argument(help="drain: events a second. scale: growing databases, a backlog. api: what the doors cost."),
    ] = What.DRAIN,
    quick: Annotated[bool, typer.Option("--quick", help="Under a minute, on fewer events: a first look.")] = False,
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, max=100, help="Of everything; 5, with --quick 2.")
    ] = None,
    orders: Annotated[
        int | None,
        typer.Option("--orders", min=20, max=100_000, help="Lives a round; 4000, with --quick 1000. Rivals: a 20th."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", min=40, max=100_000, help="Of latency; 1000, with --quick 300.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, max=10_000, help="Entries of one commit at most.")] = 256,
    markdown: Annotated[bool, typer.Option("--markdown", help="Answer with the tables of docs/benchmark.md.")] = False,
    profile: Annotated[
        Path | None, typer.Option("--profile", help="Write to this file where the drain's time goes.")
    ] = None,
    json: Json = False,
) -> None:
    """Measure events a second, latency and costs, beside Celery with a task an event and PostgreSQL's ceiling.

    `orders bench scale` instead lets the database, the workers, the shards and the backlog grow: up to ten million events, 20 GB of disk and a quarter of an hour; with --quick a hundredth of it. `orders bench api` measures whole lives over HTTP, webhooks beside a usual endpoint, and a query in a shop of a million orders (with --quick 200,000).

    Runs on its own embedded servers in a temporary folder, or in fresh databases on DATABASE_URL and REDIS_URL.
    Every system plays the same lives of orders, and ends in the same states, or the bench fails.

    Examples: orders bench --quick   ·   orders bench --json > bench.json   ·   orders bench --profile drain.txt
    """
    from bench import report
    from bench import run as running
    from bench.servers import BenchError, opened

    stop_at_sigterm()
    began = monotonic()

    def say(what: str) -> None:
        err.print(f"[dim]{monotonic() - began:6.1f} s[/]  {escape(what)}")

    if what is What.SCALE:
        _scale(quick, rounds, say, began, json)
        return
    if what is What.API:
        _api(quick, rounds, orders, say, began, json)
        return

    played = orders or (1000 if quick else 4000)
    plan = running.Plan(
        rounds=rounds or (2 if quick else 5),
        orders=played,
        rival_orders=max(20, played // 20),
        batch=batch,
        samples=samples or (300 if quick else 1000),
        other_batches=() if quick else running.OTHER_BATCHES,
        profile=profile,
    )
    try:
        say("starting servers")
        with opened() as servers:
            machine = running.machine(servers)
            measured = running.run(servers, plan, say)
    except BenchError as error:
        raise Problem(str(error)) from error
    found = report.document(measured, plan, machine, monotonic() - began)
    if json:
        print_json(found)
    elif markdown:
        sys.stdout.write(report.markdown(found))
    else:
        report.show(out, found)


def _scale(quick: bool, rounds: int | None, say: Callable[[str], None], began: float, json: bool) -> None:
    from bench import run as running
    from bench import scale
    from bench.servers import BenchError, opened

    plan = scale.Plan(sizes=(10_000, 100_000), rounds=2, backlog=20_000) if quick else scale.Plan()
    plan = replace(plan, rounds=rounds or plan.rounds)
    try:
        with opened() as servers:
            machine = running.machine(servers)
            found = scale.document(scale.run(servers, plan, say), plan, machine, monotonic() - began)
    except BenchError as error:
        raise Problem(str(error)) from error
    if json:
        print_json(found)
    else:
        out.print_json(data=found)


def _api(
    quick: bool, rounds: int | None, orders: int | None, say: Callable[[str], None], began: float, json: bool
) -> None:
    from bench import api
    from bench import run as running
    from bench.servers import BenchError, opened

    plan = api.QUICK if quick else api.Plan()
    plan = replace(plan, rounds=rounds or plan.rounds, lives=orders or plan.lives)
    try:
        with opened() as servers:
            found = api.run(servers, plan, running.machine(servers), say)
    except BenchError as error:
        raise Problem(str(error)) from error
    found["seconds"] = round(monotonic() - began, 1)
    if json:
        print_json(found)
    else:
        out.print_json(data=found)
