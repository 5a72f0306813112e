"""Draws docs/reference/lifecycle.md from the tables themselves: `python -m domain.diagrams` prints the page.

What a status or a reason means stands beside it in its enum; what a guard asks is the first line of its
docstring.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from domain import fulfillment, order, outcome, returns, transaction

# Title, where its table stands, and the class whose methods are the guards.
KINDS: tuple[tuple[str, ModuleType, type], ...] = (
    ("Order", order, order.Order),
    ("Transaction", transaction, transaction.Transaction),
    ("Fulfillment", fulfillment, fulfillment.Fulfillment),
    ("Return", returns, returns.Return),
)

_HEAD = """\
# Lifecycles

Written by `make docs` from the tables in `domain/`; do not edit this page.

An event moves its own transaction, fulfillment or return; the order then advances by itself, and
its rows name their usual cause. A row without a guard is always open to its event.
"""
_REASONS = """\
## Reasons

Each event ends as `applied`, `ignored`, `parked` or `dead` (or is a `duplicate`, dropped at the
door). These are the reasons that such an outcome may carry.
"""


def page() -> str:
    """The text of docs/reference/lifecycle.md, whole."""
    parts = [_HEAD, *(_kind(*kind) for kind in KINDS), _REASONS]
    for kind, names in reasons().items():
        rows = ((f"`{name}`", name.words) for name in names)
        parts.append("\n".join([f"### {kind.capitalize()}", "", *_table(("reason", "means"), rows), ""]))
    return "\n".join(parts)


def reasons() -> dict[str, list[outcome.Reason]]:
    """outcome → the reasons that it may carry."""
    found: dict[str, list[outcome.Reason]] = {}
    for reason in outcome.Reason:
        found.setdefault(reason.kind, []).append(reason)
    return found


def asks(model: type, guard: str) -> str:
    """The question of a guard: the first line of its docstring."""
    return (getattr(model, guard).__doc__ or "").partition("\n")[0].removeprefix("Guard: ").rstrip(".")


def _kind(title: str, where: ModuleType, model: type) -> str:
    rows = where.LIFECYCLE
    steps = ((f"`{e}`", _names(sources), f"`{to}`", _asked(model, guards)) for e, sources, to, *guards in rows)
    return "\n".join(
        [
            f"## {title}",
            "",
            f"The table stands in `{where.__name__.replace('.', '/')}.py`.",
            "",
            (where.__doc__ or "").strip(),
            "",
            *_table(("status", "means"), ((f"`{status}`", status.words) for status in where.Status)),
            "",
            "```mermaid",
            "stateDiagram-v2",
            *(f"    {edge}" for edge in _edges(where)),
            "```",
            "",
            *_table(("usual cause" if where is order else "event", "from", "to", "if"), steps),
            "",
        ]
    )


def _edges(where: ModuleType) -> Iterator[str]:
    """The diagram's arrows; a status that no row leaves is final."""
    yield f"[*] --> {next(iter(where.Status))}"
    left = set()
    for event, sources, dest, *_ in where.LIFECYCLE:
        for source in sources:
            left.add(source)
            yield f"{source} --> {dest} : {event}"
    yield from (f"{status} --> [*]" for status in where.Status if status not in left)


def _names(statuses: tuple[str, ...]) -> str:
    return ", ".join(f"`{status}`" for status in statuses)


def _asked(model: type, guards: list[str]) -> str:
    return "; ".join(f"`{guard}`: {asks(model, guard)}" for guard in guards) or "–"


def _table(head: tuple[str, ...], rows: Any) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    print(page(), end="")
