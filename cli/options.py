"""Options of every command, and the form of every answer.

Exit codes: 0 done, 1 found a problem, 2 wrong use. With --json one document goes to stdout and nothing
else; progress and remarks go to stderr always.
"""

from __future__ import annotations

import getpass
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from cli.terminal import Terminal, visible_json
from events.errors import OrdersError

if TYPE_CHECKING:
    from settings.environment import Settings  # takes a second, and no list of commands needs it

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Where the embedded servers keep their files (ORDERS_DATA, else .orders)."),
]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document on stdout.")]

out = Terminal()
err = Terminal(stderr=True)

MOST_PAGE = 1_000_000_000  # of pages, as the query API has it
MOST_LISTED = 1_000_000  # of what a list shows at once


class Problem(OrdersError):
    """Something that a person must know or do; it ends the command with its exit code."""

    code = "problem"

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def stop_at_sigterm() -> None:
    """SIGTERM ends a command as Ctrl-C does: what it started is stopped."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, leave)


def both_or_neither(settings: Settings) -> None:
    """Refuse one server of yours beside an embedded one. Errors: Problem."""
    if (settings.database_url is None) != (settings.redis_url is None):
        raise Problem("set both DATABASE_URL and REDIS_URL to use yours, or neither for the embedded servers", 2)


def actor() -> str:
    """The person who does this, for the audit."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # a container's user without a name
        return "cli:unknown"


def print_json(document: Any) -> None:
    """One document on stdout. Money is a number as it stands; times are RFC 3339 in UTC."""
    text = orjson.dumps(document, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)
    sys.stdout.write(visible_json(text.decode()) + "\n")


def stream_json(name: str, items: Iterable[Any], behind: Callable[[int], dict[str, Any]]) -> int:
    """One document on stdout: a list of that name, written as it comes, and the other fields behind it.

    `behind` is told how many items there were. → so many.
    """
    write, count = sys.stdout.write, 0
    write(f'{{"{name}": [')
    for item in items:
        write(",\n" if count else "\n")
        write(visible_json(orjson.dumps(item, default=_plain, option=orjson.OPT_UTC_Z).decode()))
        count += 1
    others = {field: value for field, value in behind(count).items() if field != name}
    rest = orjson.dumps(others, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode()
    write(f"\n],{rest[1:]}\n")
    return count


def _plain(value: Any) -> Any:
    from decimal import Decimal

    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def ask(question: str, yes: bool) -> None:
    """Ask on a terminal, unless `yes`. Errors: Problem where nobody can be asked, or the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Problem(f"{question} Say --yes where there is nobody to ask. Nothing was changed", 2)
    if not typer.confirm(question, err=True):
        raise Problem("nothing was changed")


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr for what may take seconds; call what it gives with how much is done, of how much."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what, total=total or None)
        yield lambda done, of: bar.update(task, completed=done, total=of or None)


def program() -> str:
    """The command's name as it can be called here: `orders`, or the path that it was called by."""
    return "orders" if shutil.which("orders") or not sys.argv[0].endswith("/orders") else sys.argv[0]


class CtrlC:
    """Ctrl-C that cannot get lost: Python drops a KeyboardInterrupt that strikes in a destructor or a weakref's callback.

    Where Ctrl-C is ignored, as in a shell script's background, it stays so. As a context it puts the handler back.
    """

    def __init__(self) -> None:
        self._struck = False
        self._ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._ours:
            signal.signal(signal.SIGINT, self._strike)

    def __enter__(self) -> CtrlC:
        return self

    def __exit__(self, *_: object) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was a Ctrl-C, whatever became of it."""
        if self._struck:
            raise KeyboardInterrupt

    def _strike(self, _signal: int, _frame: FrameType | None) -> None:
        self._struck = True
        raise KeyboardInterrupt
