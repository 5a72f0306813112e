"""Drawings of the console, as figures for its templates: a lifecycle with the present status lit, and lines of a chart.

A lifecycle is drawn from its own table in `domain/`: each status has a place on a grid here, and an arrow for every step that
the table has. A test holds that every status has its place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType

from domain import fulfillment, order, returns, transaction

CELL = 152, 64  # units from one place to the next, across and down
BOX = 132, 32  # of a status
Step = tuple[str, str]

# Status → its place, column and row.
PLACES: dict[str, dict[str, tuple[int, int]]] = {
    "order": {
        "pending": (0, 1), "paid": (1, 1), "preparing": (2, 1), "shipped": (3, 1), "delivered": (4, 1),
        "confirmed": (5, 1), "failed": (0, 0), "canceled": (1, 2), "return_requested": (3, 2),
        "return_processing": (4, 2), "returned": (5, 2),
    },
    "transaction": {"pending": (0, 0), "paid": (1, 0), "failed": (2, 0), "canceled": (3, 0)},
    "fulfillment": {"pending": (0, 0), "packed": (1, 0), "shipped": (2, 0), "delivered": (3, 0), "failed": (4, 0)},
    "return": {"requested": (0, 0), "approved": (1, 0), "processing": (2, 0), "completed": (3, 0), "rejected": (4, 0)},
}  # fmt: skip
TABLES: dict[str, ModuleType] = {
    "order": order, "transaction": transaction, "fulfillment": fulfillment, "return": returns,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """A status at its place; `lit` is the present one, `past` one that was left."""

    name: str
    words: str
    x: int
    y: int
    lit: bool
    past: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow from one status to another, as the data of an SVG path; `taken` if history went along it."""

    path: str
    taken: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """A lifecycle to be drawn: its size in units, arrows first."""

    width: int
    height: int
    nodes: list[Node]
    edges: list[Edge]


def lifecycle(kind: str, status: str, taken: Collection[Step] = ()) -> Drawing:
    """The lifecycle of that kind with `status` lit, and the steps `taken` until there."""
    places, table = PLACES[kind], TABLES[kind]
    past = {each for step in taken for each in step}
    nodes = [
        Node(each, each.words, *_at(places[each]), lit=each == status, past=each in past)
        for each in table.Status
        if each in places
    ]
    arrows = {(str(a), str(b)) for _, sources, b, *_ in table.LIFECYCLE for a in sources if a in places}
    edges = [Edge(_path(places[a], places[b]), (a, b) in taken) for a, b in sorted(arrows)]
    edges.sort(key=lambda edge: edge.taken)  # those that were taken lie above the others
    columns, rows = (1 + max(place[axis] for place in places.values()) for axis in (0, 1))
    return Drawing(columns * CELL[0], rows * CELL[1], nodes, edges)


def _at(place: tuple[int, int]) -> tuple[int, int]:
    """The middle of a place."""
    return place[0] * CELL[0] + CELL[0] // 2, place[1] * CELL[1] + CELL[1] // 2


def _path(one: tuple[int, int], other: tuple[int, int]) -> str:
    """A line between neighbours, a curve around what lies between others; ends at the boxes' rims."""
    (x, y), (to_x, to_y) = _at(one), _at(other)
    across, down = to_x - x, to_y - y
    if down == 0:
        side = 1 if across > 0 else -1
        start, end = x + side * BOX[0] // 2, to_x - side * BOX[0] // 2
        if abs(across) == CELL[0] and side > 0:
            return f"M{start} {y}L{end - 5} {y}"
        bend = y - side * (BOX[1] // 2 + 10)
        rim = y - side * BOX[1] // 2
        return f"M{x} {rim}Q{(x + to_x) // 2} {bend - side * 6} {to_x} {rim - side * 4}"
    side = 1 if down > 0 else -1
    start, end = y + side * BOX[1] // 2, to_y - side * BOX[1] // 2 - side * 5
    shift = 8 * side  # there and back are two lines
    return f"M{x + shift} {start}L{to_x + shift} {end}"


# -- charts ------------------------------------------------------------------------------------------------------

WIDE, HIGH = 600, 120  # units of a chart
GAP_S = 90.0  # looks further apart than this are not joined by a line


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: SVG path data and the largest value, which is at the top of the chart where `most` is it."""

    name: str
    path: str
    newest: float | None


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over the same span: `most` is the value at the top, `seconds` lie between left and right."""

    lines: list[Line]
    most: float
    seconds: float


def chart(series: dict[str, Sequence[tuple[datetime, float | None]]], least: float = 1) -> Chart:
    """A chart of named series; moments are ascending. The top is `least` at least, and rounded up to 1, 2 or 5 × 10ⁿ."""
    values = [value for points in series.values() for _, value in points if value is not None]
    moments = [at for points in series.values() for at, _ in points]
    if not moments:
        return Chart([Line(name, "", None) for name in series], least, 0)
    begin, end = min(moments), max(moments)
    seconds = (end - begin).total_seconds()
    top = rounded_up(max([least, *values]))
    lines = [
        Line(
            name, _line(points, begin, seconds or 1, top), next((v for _, v in reversed(points) if v is not None), None)
        )
        for name, points in series.items()
    ]
    return Chart(lines, top, seconds)


def rounded_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 … that is not below it.

    >>> rounded_up(3), rounded_up(20), rounded_up(0.3), rounded_up(51)
    (5.0, 20.0, 1.0, 100.0)
    """
    step = 1.0
    while True:
        for factor in (1, 2, 5):
            if value <= factor * step:
                return factor * step
        step *= 10


def _line(points: Iterable[tuple[datetime, float | None]], begin: datetime, seconds: float, top: float) -> str:
    path, before = [], None
    for at, value in points:
        if value is None:
            before = None
            continue
        joined = before is not None and (at - before).total_seconds() <= GAP_S
        x = (at - begin).total_seconds() / seconds * WIDE
        path.append(f"{'L' if joined else 'M'}{x:.1f} {HIGH - value / top * HIGH:.1f}")
        before = at
    return "".join(path)
