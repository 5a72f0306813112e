"""(e) PostgreSQL's ceiling: what the drain sent, with its parameters, sent again to a fresh database.

A drain is recorded once; then the same statements run in two processes, batch by batch, commit by commit,
with nothing in between: no streams, no events, no fold, no answer decoded. A batch waits for those of the other
process that it followed on one of its shards, so that the rows it changes are there.
"""

from __future__ import annotations

import pickle
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.drain_process import SLOT, Batch, Hand


class Recording:
    """The statements that two hands sent, as plans to send them again."""

    def __init__(self, folder: Path, hands: int) -> None:
        self._folder, self._hands = folder, hands
        self.pattern = str(folder / "recorded-{number}.pickle")  # for the hands' `record`

    def plan(self) -> list[dict[str, Any]]:
        """Read what was recorded, write a plan for each hand; what the batches were."""
        recorded = [_read(Path(self.pattern.format(number=n))) for n in range(self._hands)]
        for mine in recorded:
            for batch in mine:
                batch.after = tuple(0 if others is mine else _followed(batch, others) for others in recorded)
        for number, batches in enumerate(recorded):
            self._plan(number).write_bytes(pickle.dumps(batches))
        return [{"entries": b.entries, "statements": len(b.statements)} for batches in recorded for b in batches]

    def commands(self, hands: Sequence[Hand], database_url: str) -> list[dict[str, Any]]:
        """The commands that tell each hand to replay."""
        progress = self._folder / "progress"
        progress.write_bytes(bytes(SLOT.size * len(hands)))
        return [
            {
                "do": "replay",
                "number": hand.number,
                "database_url": database_url,
                "plan": str(self._plan(hand.number)),
                "progress": str(progress),
            }
            for hand in hands
        ]

    def _plan(self, number: int) -> Path:
        return self._folder / f"plan-{number}.pickle"


def _read(path: Path) -> list[Batch]:
    batches: list[Batch] = pickle.loads(path.read_bytes())  # noqa: S301 -- our own
    return batches


def _followed(batch: Batch, others: list[Batch]) -> int:
    """How many of another hand's batches to wait for: the last that shared a shard and ended before this began."""
    before = bisect_right([other.ended for other in others], batch.began)
    mine = set(batch.shards)
    return next((n for n in range(before, 0, -1) if mine.intersection(others[n - 1].shards)), 0)


def summary(batches: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Statements per batch, BEGIN and COMMIT left out, and how full the batches were."""
    return {
        "batches": len(batches),
        "entries": {"median": median(b["entries"] for b in batches), "max": max(b["entries"] for b in batches)},
        "statements": {
            "median": median(b["statements"] for b in batches),
            "max": max(b["statements"] for b in batches),
        },
    }
