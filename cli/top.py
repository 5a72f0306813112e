"""`orders top`: the figures of the console's first page, live in a terminal; the same source (`operations.figures`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from time import sleep
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.bootstrap import open_shop
from cli.options import CtrlC, Data, Json, err, out, print_json
from cli.terminal import visible
from operations.figures import PACE_S, WAITING_SHOWN, Figures, Looks
from operations.health.check import ago

BARS = "▁▂▃▄▅▆▇█"
WIDE = 60  # looks in a line of bars: two minutes
MOST_LOOKS = 30  # until figures are printed as they are
ERROR = 80  # characters of a provider's last error


def top(
    once: Annotated[bool, typer.Option("--once", help="Print the figures once, and end.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Watch the figures of the console's first page in this terminal, until Ctrl-C.

    Events that are accepted and decided per second, what waits and the age of the oldest, what was given up, and how each
    provider fares. It costs the database less than 1 % of a core. Example: orders top   ·   orders top --once --json
    """
    ctrl_c = CtrlC()
    with open_shop(data) as (opened, _):
        looks = Looks(opened.engine)
        if once or json or not out.is_terminal:
            figures = _counted(looks)
            if json:
                print_json(asdict(figures))
            else:
                out.print(picture(figures, [figures]))
            return
        with Live(console=out, screen=False, auto_refresh=False) as live:
            while True:
                figures = looks.now()
                live.update(picture(figures, list(looks.history)[-WIDE:]), refresh=True)
                ctrl_c.check()
                sleep(PACE_S)


def _counted(looks: Looks) -> Figures:
    """Two looks at least, so that there are rates, and as many more as it takes to count a large journal, up to a bound."""
    figures = looks.now()
    for _ in range(MOST_LOOKS):
        if figures.accepted_rate is not None:
            break
        if not figures.counted and len(looks.history) == 1:
            err.print("counting the journal …")
        sleep(PACE_S)
        figures = looks.now()
    return figures


def picture(figures: Figures, history: Sequence[Figures]) -> RenderableType:
    """The figures as they are printed; `history` makes the bars."""
    head = Text.assemble(("orders top", "bold"), f"   {figures.at:%Y-%m-%d %H:%M:%S} UTC")
    rates = Table.grid(padding=(0, 2))
    for name, rate, each in (
        ("accepted per second", figures.accepted_rate, [one.accepted_rate for one in history]),
        ("decided per second", figures.decided_rate, [one.decided_rate for one in history]),
    ):
        rates.add_row(name, Text("–" if rate is None else f"{rate:,.1f}", "bold"), Text(bars(each), "cyan"))
    return Group(head, Text(), rates, Text(), _counts(figures), Text(), _providers(figures))


def bars(values: Sequence[float | None]) -> str:
    """A line of bars, the highest for the largest value; a blank where there is none.

    >>> bars([0, 4, None, 8])
    '▁▄ █'
    """
    most = max((value for value in values if value is not None), default=0) or 1
    return "".join(" " if value is None else BARS[round(value / most * (len(BARS) - 1))] for value in values)


def _counts(figures: Figures) -> Table:
    more = "" if figures.counted else " at least"
    alive = "never" if figures.beat_s is None else f"{ago(figures.beat_s)} ago"
    rows = Table.grid(padding=(0, 2))
    rows.add_column(min_width=24)
    rows.add_column(justify="right")
    facts = [
        (f"events{more}", f"{figures.events:,}", "bold"),
        ("  settled", f"{figures.settled:,}", "green"),
        ("  parked, too early", f"{figures.parked:,}", "yellow"),
        ("  dead, given up", f"{figures.dead:,}", "red" if figures.dead else ""),
        ("  waiting", f"{figures.waiting:,}{'+' if figures.waiting >= WAITING_SHOWN else ''}", "cyan"),
        ("oldest that waits", ago(figures.oldest_s) if figures.waiting else "–", ""),
        ("refunds for a person", f"{figures.refunds_for_person:,}", ""),
        ("orders with flags", f"{figures.flagged:,}", ""),
        ("findings", f"{figures.findings:,}", ""),
        ("beat and workers lived", alive, ""),
    ]
    for name, value, style in facts:
        rows.add_row(name, Text(value, style))
    return rows


def _providers(figures: Figures) -> Table:
    rows = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("work for", "of", "waits", "fails", "given up", "last error"):
        rows.add_column(name, justify="right" if name in ("waits", "fails", "given up") else "left", overflow="fold")
    for each in figures.providers:
        style = "red" if each.dead else "yellow" if each.failing else ""
        why = visible((each.error or "")[:ERROR]) if each.failing or each.dead else ""
        name = visible(each.name) or "no provider named"
        counts = [f"{n:,}{'+' if n and each.least else ''}" for n in (each.waiting, each.failing, each.dead)]
        rows.add_row(Text(name, style), each.kind, *counts, Text(why))
    return rows
