"""The doctor's checks for whoever watches the console: what is wrong with the system, and its cure.

One examination per process is shared by all who watch. The page asks for it every EVERY_S; whoever asks for a new one in
between gets it, unless one was made a moment ago. Servers and workers are looked at each time. To count what waits takes
PostgreSQL longer the more waits, half a second with 80,000 refunds: it is done again once SHARE times as long as it took has
passed, LONGEST_S at most, so that watching costs little whatever the shop holds.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import NamedTuple

import embedded
from operations.health.check import OK, PROBLEM, Check, Place
from settings.environment import Settings
from storage.clock import clock
from workers.examination import examine

EVERY_S = 30.0
FRESH_S, JUST_S = 25.0, 3.0  # so old an examination is handed out; to whoever asks for a new one
SHARE, LONGEST_S = 400, 300.0  # of what counting took, until it is done again; at most
WITHIN_S = 4.0  # an examination answers by then, whatever hangs
# The page of the console on which a check's trouble is seen, by the check's id.
PAGES = {
    "dead-letters": "/given-up", "parked": "/parked", "refunds": "/refunds", "webhooks": "/deliveries",
    "webhooks-in": "/given-up?kind=lookup", "tracking": "/trackers", "reconciliation": "/findings", "pauses": "/pauses",
    "beat": "/workers", "workers": "/workers", "worker": "/workers",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Examined:
    """The checks of one examination."""

    at: datetime
    counted_at: datetime  # what waits; before `at` where the count of an examination before stands
    checks: Sequence[Check]

    @property
    def troubles(self) -> list[Check]:
        """The checks that are not well: the problems, then the warnings."""
        return sorted((each for each in self.checks if each.level != OK), key=lambda each: each.level != PROBLEM)


class Counts(NamedTuple):
    """The checks of what waits, as they were counted last."""

    at: datetime
    checks: Sequence[Check]
    until: float  # monotonic: so long they stand


def page_of(check: Check) -> str | None:
    """The page of the console on which its trouble is seen, below /console; None where there is none."""
    return PAGES.get("worker" if check.id.startswith("worker-") else check.id)


class Examinations:
    """The examinations of one process, the newest of which is kept."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._newest: Examined | None = None
        self._ended = float("-inf")  # monotonic
        self._counts: Counts | None = None

    def newest(self, most_s: float = FRESH_S) -> Examined | None:
        """The last one, if it is no older than `most_s`."""
        return self._newest if monotonic() - self._ended <= most_s else None

    def now(self) -> Examined:
        """A fresh one. While one is under way, others get the one before it."""
        return self._made(FRESH_S, anew=False)

    def again(self) -> Examined:
        """One that was made just now, and counted all that waits."""
        return self._made(JUST_S, anew=True)

    def _made(self, most_s: float, *, anew: bool) -> Examined:
        if self._lock.locked() and (before := self._newest) is not None:
            return before
        with self._lock:
            fresh = self.newest(most_s)
            if fresh is not None and not (anew and fresh.counted_at < fresh.at):
                return fresh
            at, stands = clock(), self._counts
            if stands is not None and (anew or stands.until < monotonic()):
                stands = None
            made = examine(self._place(), WITHIN_S, None if stands is None else stands.checks)
            self._ended = monotonic()
            self._newest = Examined(at, at if stands is None else stands.at, made.checks)
            if made.counted is not None:
                self._counts = Counts(at, made.counted, self._ended + min(SHARE * made.counting_s, LONGEST_S))
            elif stands is None:
                self._counts = None
            return self._newest

    def _place(self) -> Place:
        kept = embedded.kept(self._settings.data)
        return Place(self._settings, kept is not None and kept.database_url == self._settings.database_url)
