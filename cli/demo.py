"""`orders demo`: the whole thing at work, with everything going wrong that goes wrong in production.

Plays lives (`demo.scenarios`) through the HTTP doors while the API, workers, the beat, Redis and the outside world have
their bad moments, and then asks four questions: does the account add up, does every order stand where its life
ends, does the journal tell the same, and did money go back exactly once.
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from cli import operators
from cli.options import CtrlC, Data, Json, err, print_json, stop_at_sigterm
from cli.terminal import safe
from demo import scenarios
from demo.driver import Player
from demo.environment import Stage, open_stage
from demo.final_checks import examine, tell
from demo.http_sender import Sender
from demo.progress_view import Display


def demo(
    orders: Annotated[
        int, typer.Option("--orders", min=scenarios.MIN_ORDERS, max=100_000, help="How many to play.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed plays the same lives.")] = 7,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that apply events.")] = 2,
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything running afterwards, until Ctrl-C.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Watch it work: orders played through their whole lives while everything goes wrong that can.

    Starts PostgreSQL, Valkey, the API, workers, a beat, a carrier and four payment providers; calls the API, sends signed
    webhooks, twice, late and garbled; empties Redis and kills the API and workers in the middle; then proves that nothing
    was lost or done twice.

    Examples: orders demo   ·   orders demo --orders 5000 --workers 4   ·   orders demo --stay
    """
    stop_at_sigterm()
    ctrl_c = CtrlC()
    problems: list[str] = []
    with ExitStack() as stack:
        display = stack.enter_context(Display(err, orders, seed))
        stage = open_stage(stack, display, orders, seed, workers, data)
        stack.callback(_say_stopping, display)
        sender = stack.enter_context(Sender(stage.access, stage.beginning))
        player = Player(stage, display, seed, sender, ctrl_c.check)
        seconds = player.play()
        display.say("checking: account, verify, expectations, refunds")
        document = examine(stage, player, display, problems)
        document["seconds"] = round(seconds, 1)
        ctrl_c.check()
        display.say("done")
        display.close()
        if json:
            print_json(document)
            sys.stdout.flush()  # whoever reads it need not wait until the end of --stay
        else:
            tell(document, stage, problems, stay=stay)
        if stay:
            _stay(stage)
    if problems:
        raise typer.Exit(1)


def _stay(stage: Stage) -> None:
    """Keep everything running until Ctrl-C."""
    err.print(
        f"\n[bold]everything keeps running[/], the API on {safe(stage.access.url)}/api too, until Ctrl-C: try the commands above in another terminal"
    )
    with stage.opened.engine.begin() as conn:
        link = operators.first_link(conn, stage.access.url)
    err.print(f"the console: {safe(link or stage.access.url + '/console')}", soft_wrap=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        err.print()


def _say_stopping(display: Display) -> None:
    display.close()
    err.print("[dim]stopping …[/]")
