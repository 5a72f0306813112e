"""docs/reference/reasons.md, made from the reasons in the code: `python -m operations.reason_reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from domain.outcome import APPLIED, IGNORED, PARKED, Kind, Reason
from operations.reasons import CAUSES, DELIVERY, EVENT, LOOKUP, REFUND

HEAD = """\
# Reasons

Made from the code (`domain/outcome.py`, `operations/reasons.py`) by `make docs`; a test fails when it is stale.

Each result, parked event, and each thing that was given up carries one of these codes. They are stable: programs and
runbooks may rely on them. `orders given-up causes` counts what waits for a person by them.
"""
TITLES = {
    EVENT: "Events that were given up",
    REFUND: "Refunds that were given up",
    LOOKUP: "Payment look-ups that were given up",
    DELIVERY: "Deliveries of outgoing webhooks that were given up",
}
OTHERS = {
    PARKED: "Events that are parked: each waits, and is tried again by itself",
    IGNORED: "Events that are ignored: recorded, and nothing is left to do",
    APPLIED: "Events that are applied, with something to say",
}


def page() -> str:
    """The text of the whole page."""
    lines = [HEAD]
    for kind, title in TITLES.items():
        rows = (
            (f"`{each.code}`", each.means, each.field or "–", each.remedy)
            for each in CAUSES.values()
            if each.kind == kind
        )
        lines += [f"## {title}", "", *_table(("code", "what it means", "field at fault", "what to do"), rows), ""]
    for outcome, title in OTHERS.items():
        lines += [f"## {title}", "", *_table(("code", "what it means"), _of(outcome)), ""]
    return "\n".join(lines)


def _of(outcome: Kind) -> Iterator[tuple[str, str]]:
    return ((f"`{reason}`", reason.words) for reason in Reason if reason.kind is outcome)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    sys.stdout.write(page())
