"""A page that is one table, described: its columns, its rows of cells, its filters; one template shows them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its title; numbers stand at its right."""

    title: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in a row, and how it is shown: text, long text, link, time, badge (a list of them), word (told in the page's language)."""

    value: Any
    kind: str = "text"
    href: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter of the page: a field of its query, and the values that it may have."""

    name: str
    label: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """The table of one page. `further` is the query of the next page, None at the end."""

    title: str
    about: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    empty: str  # said where there are no rows
    choices: Sequence[Choice] = ()
    further: dict[str, str] | None = None
    remarks: Sequence[str] = field(default_factory=list)


def text(value: Any) -> Cell:
    """A cell of text, a dash for nothing."""
    return Cell("–" if value in (None, "") else value)


def long_text(value: Any) -> Cell:
    """A cell of text that may break anywhere: whatever stands in it, the table stays within its page."""
    return Cell("–" if value in (None, "") else value, "long")


def link(value: Any, href: str) -> Cell:
    """A cell that leads to a page of the console."""
    return Cell(value, "link", href)


def moment(at: datetime | None) -> Cell:
    """A cell of a time in UTC."""
    return Cell(at, "time")


def badge(value: str | Sequence[str], style: str = "") -> Cell:
    """A cell of one or several states."""
    return Cell([value] if isinstance(value, str) else list(value), "badge", style=style)


def word(value: str) -> Cell:
    """A cell of a text that is told in the page's language."""
    return Cell(value, "word")
