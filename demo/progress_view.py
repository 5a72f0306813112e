"""The display of a demo while it plays, on stderr: a live picture in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from time import monotonic
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.terminal import safe
from demo.progress_query import Figures
from domain.order import Status

LINE_S = 2.0  # between two plain lines
RATE_S = 3.0  # events per second are a mean over this
SHOWN = 8  # incidents in the picture; in plain lines all
BESIDE = 68  # columns that the picture needs beside its bars
BAR = 8, 40  # columns of the longest bar, at least and at most
COLORS = {
    Status.PENDING: "yellow",
    Status.FAILED: "red",
    Status.PAID: "bright_yellow",
    Status.PREPARING: "bright_blue",
    Status.SHIPPED: "blue",
    Status.DELIVERED: "green",
    Status.CONFIRMED: "bright_green",
    Status.RETURN_REQUESTED: "magenta",
    Status.RETURN_PROCESSING: "bright_magenta",
    Status.RETURNED: "cyan",
    Status.CANCELED: "bright_black",
}


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong, on purpose or not, and when (seconds after the start)."""

    at: float
    text: str


class Display:
    """The demo's picture. `say` what is being done, `tell` of incidents, `show` figures."""

    def __init__(self, console: Console, orders: int, seed: int) -> None:
        self.incidents: list[Incident] = []
        self.figures = Figures()
        self._console, self._orders, self._seed = console, orders, seed
        self._phase = ""
        self._began = monotonic()
        self._decided: deque[tuple[float, int]] = deque()  # (when, events with a result)
        self._last_line = 0.0
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(get_renderable=self._picture, console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> Display:
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave the last picture where it is; may be called twice."""
        if self._live:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Seconds since the play's start."""
        return monotonic() - self._began

    def say(self, phase: str) -> None:
        """Show what is being done now."""
        if phase == self._phase:
            return
        self._phase = phase
        if not self._live:
            self._line(safe(phase))

    def tell(self, text: str) -> None:
        """Show an incident in a line."""
        self.incidents.append(Incident(round(self.seconds, 1), text))
        if not self._live:
            self._line(f"[red]![/] {safe(text)}")

    def show(self, figures: Figures) -> None:
        """Show the newest figures."""
        now = self.seconds
        self.figures = figures
        self._decided.append((now, figures.decided))
        while len(self._decided) > 2 and now - self._decided[0][0] > RATE_S:
            self._decided.popleft()
        if not self._live and now - self._last_line >= LINE_S:
            self._last_line = now
            self._line(self._summary())

    def rate(self) -> float:
        """Events decided a second, lately."""
        if len(self._decided) < 2:
            return 0.0
        (first_at, first), (last_at, last) = self._decided[0], self._decided[-1]
        return (last - first) / max(last_at - first_at, 0.1)

    # -- plain lines -----------------------------------------------------------------------------------------

    def _line(self, text: str) -> None:
        self._console.print(f"[dim]{self.seconds:5.1f} s[/]  {text}", soft_wrap=True)

    def _summary(self) -> str:
        f = self.figures
        counted = Counter(f.statuses.values())
        statuses = ", ".join(f"{counted[status]:,} {status}" for status in COLORS if counted[status])
        return (
            f"{f.accepted:,} events accepted, {f.decided:,} decided ({self.rate():,.0f}/s), "
            f"{f.outcome('duplicate'):,} duplicates; orders: {statuses or 'none yet'}"
        )

    # -- the picture -----------------------------------------------------------------------------------------

    def _picture(self) -> RenderableType:
        head = Text.assemble(
            ("orders demo", "bold"),
            f"   {self._orders:,} orders   seed {self._seed}   ",
            (f"{self.seconds:5.1f} s", "bold"),
            f"   {self._phase}",
        )
        halves = Table.grid(padding=(0, 4))
        halves.add_row(self._bars(), self._counts())
        return Group(head, Text(), halves, Text(), self._log())

    def _bars(self) -> Table:
        counted = Counter(self.figures.statuses.values())
        rows = Table.grid(padding=(0, 1))
        rows.add_column(min_width=17)
        rows.add_column(justify="right", min_width=6)
        least, most = BAR
        widest = max(least, min(most, self._console.width - BESIDE))
        rows.add_column(min_width=widest)
        longest = max((*counted.values(), self._orders // 3, 1))
        for status, color in COLORS.items():
            count = counted[status]
            length = -(-count * widest // longest)  # one that is there is seen
            style = color if count else "dim"
            rows.add_row(Text(status, style), Text(f"{count:,}", style), Text("━" * length, color))
        return rows

    def _counts(self) -> Table:
        f = self.figures
        rows = Table.grid(padding=(0, 1))
        rows.add_column(min_width=22)
        rows.add_column(justify="right", min_width=9)
        facts = [
            ("events accepted", f"{f.accepted:,}", "bold"),
            ("  applied", f"{f.outcome('applied'):,}", "green"),
            ("  duplicate, dropped", f"{f.outcome('duplicate'):,}", ""),
            ("  ignored", f"{f.outcome('ignored'):,}", ""),
            ("  parked, too early", f"{f.outcome('parked'):,}", "yellow"),
            ("  dead letters", f"{f.outcome('dead'):,}", "red"),
            ("  waiting for a worker", f"{f.outcome('waiting'):,}", "cyan"),
            ("events/s", f"{self.rate():,.0f}", "bold"),
            ("parcels on their way", f"{f.on_their_way:,}", "blue"),
            ("  delivered, by polling", f"{f.delivered:,}", "green"),
            ("refunds due / made", f"{f.refunds_due:,} / {f.refunds_made:,}", "magenta"),
        ]
        for name, value, style in facts:
            rows.add_row(name, Text(value, style))
        return rows

    def _log(self) -> RenderableType:
        rows = Table.grid(padding=(0, 2))
        rows.add_column(justify="right", min_width=7)
        rows.add_column()
        for incident in self.incidents[-SHOWN:]:
            rows.add_row(Text(f"{incident.at:.1f} s", "dim"), Text.assemble(("! ", "red"), incident.text))
        return rows
