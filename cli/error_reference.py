"""docs/reference/errors.md, made from the tree of errors: `python -m cli.error_reference`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module

from api.errors import NAMES
from events import errors
from events.errors import OrdersError

Row = tuple[str, str, str, str]
HEAD = """\
# Errors

Made from the code (`events/errors.py`, `api/errors.py`) by `make docs`; a test fails when it is stale.

Whatever goes wrong and can be mended is told in one sentence that names the value and the remedy. Codes and names are stable:
programs and runbooks may rely on them, never on the sentence.

## Codes

`orders` prints the sentence and the code on stderr, and ends with 1 (it found a problem) or 2 (wrong use); after Ctrl-C with 130.
HTTP is the status of an answer that tells it; its `name` is one of the names below, or else the code.
"""
NAMED = """\
## Names over HTTP

What `{"errors": [{"message", "name"?, "data"?}]}` may have as its `name`. Without a name the status says all.
"""


def tree() -> Iterator[tuple[int, type[OrdersError]]]:
    """Every class of the tree with its depth, as it is drawn in `events.errors`: parents before children."""
    modules = set(re.findall(r"\(([a-z_.]+)\)", errors.__doc__ or "")) | {errors.__name__}
    for module in sorted(modules):
        import_module(module)

    def below(kind: type[OrdersError], depth: int) -> Iterator[tuple[int, type[OrdersError]]]:
        yield depth, kind
        for child in sorted(kind.__subclasses__(), key=_drawn):
            if child.__module__ in modules:
                yield from below(child, depth + 1)

    return below(OrdersError, 0)


def _drawn(kind: type[OrdersError]) -> int:
    """Where the drawing has a class: the page has them in that order."""
    return (errors.__doc__ or "").find(f" {kind.__name__} ")


def page() -> str:
    """The text of the whole page."""
    codes = _table(("code", "what it means", "what to do", "HTTP"), map(_row, (kind for _, kind in tree())))
    names = _table(
        ("name", "what it means", "what to do", "HTTP"),
        ((f"`{name}`", f"{means}.", remedy, str(status)) for name, (status, means, remedy) in NAMES.items()),
    )
    return "\n".join((HEAD, *codes, "", NAMED, *names, ""))


def _row(kind: type[OrdersError]) -> Row:
    means = (kind.__doc__ or "").partition("\n")[0]
    return f"`{kind.code}`", means, kind.remedy, str(kind.status or "–")


def _table(head: Row, rows: Iterable[Row]) -> Iterator[str]:
    for row in (head, ("---", "---", "---", "---"), *rows):
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    sys.stdout.write(page())
