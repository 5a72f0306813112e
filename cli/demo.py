"""`orders demo`: the whole thing at work, with everything going wrong that goes wrong in production.

Plays lives (`cli.lives`) into the journal while workers, the beat, Redis and the outside world have their
bad moments, and then asks four questions: does the account add up, does every order stand where its life
ends, does the journal tell the same, and did money go back exactly once.
"""

from __future__ import annotations

import signal
from contextlib import ExitStack
from typing import Annotated

import typer

from cli import lives
from cli.display import Display
from cli.examining import examine, tell
from cli.opening import stop_at_sigterm
from cli.options import Data, Json, err, print_json
from cli.player import Player
from cli.stage import open_stage


def demo(
    orders: Annotated[
        int, typer.Option("--orders", min=lives.MIN_ORDERS, max=100_000, help="How many to play.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed plays the same lives.")] = 7,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that apply events.")] = 2,
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything running afterwards, until Ctrl-C.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Watch it work: orders played through their whole lives while everything goes wrong that can.

    Starts PostgreSQL, Valkey, workers, a beat, a carrier and a payment provider; sends events twice, late and
    garbled; empties Redis and kills workers in the middle; then proves that nothing was lost or done twice.

    Examples: orders demo   ·   orders demo --orders 5000 --workers 4   ·   orders demo --stay
    """
    stop_at_sigterm()
    problems: list[str] = []
    with ExitStack() as stack:
        display = stack.enter_context(Display(err, orders, seed))
        stage = open_stage(stack, display, orders, seed, workers, data)
        stack.callback(_say_stopping, display)
        player = Player(stage, display, seed)
        seconds = player.play()
        display.say("checking: account, verify, expectations, refunds")
        document = examine(stage, player, display, problems)
        document["seconds"] = round(seconds, 1)
        display.say("done")
        display.close()
        if json:
            print_json(document)
        else:
            tell(document, stage, problems)
        if stay:
            _stay()
    if problems:
        raise typer.Exit(1)


def _stay() -> None:
    """Keep everything running until Ctrl-C."""
    err.print("\n[bold]everything keeps running[/] until Ctrl-C: try the commands above in another terminal")
    try:
        signal.pause()
    except KeyboardInterrupt:
        err.print()


def _say_stopping(display: Display) -> None:
    display.close()
    err.print("[dim]stopping …[/]")
