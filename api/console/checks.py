"""The doctor's checks for whoever watches the console: what is wrong with the system, and its cure.

One examination per process is shared by all who watch. The page asks for it every EVERY_S; whoever asks for a new one in
between gets it, unless one was made a moment ago. In a shop of a million orders one takes PostgreSQL more than a second, so
an old one is handed out until SHARE times as long as it took has passed, LONGEST_S at most: watching costs half a percent of a core.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

import embedded
from operations.health.check import OK, PROBLEM, Check, Place
from settings.environment import Settings
from storage.clock import clock
from workers.examination import examine

EVERY_S = 30.0
FRESH_S, JUST_S = 25.0, 3.0  # so old an examination is handed out; to whoever asks for a new one
SHARE, LONGEST_S = 200, 300.0
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
    checks: Sequence[Check]

    @property
    def troubles(self) -> list[Check]:
        """The checks that are not well: the problems, then the warnings."""
        return sorted((each for each in self.checks if each.level != OK), key=lambda each: each.level != PROBLEM)


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
        self._lasts_s = FRESH_S

    def newest(self, most_s: float | None = None) -> Examined | None:
        """The last one, if it is no older than `most_s`, or else than its cost allows."""
        most_s = self._lasts_s if most_s is None else most_s
        return self._newest if monotonic() - self._ended <= most_s else None

    def now(self, most_s: float | None = None) -> Examined:
        """One that is as fresh as `newest` has it. While one is under way, others get the one before it."""
        if self._lock.locked() and (before := self._newest) is not None:
            return before
        with self._lock:
            if (fresh := self.newest(most_s)) is not None:
                return fresh
            begun = monotonic()
            found = Examined(clock(), examine(self._place(), WITHIN_S))
            self._newest, self._ended = found, monotonic()
            self._lasts_s = min(max(FRESH_S, SHARE * (self._ended - begun)), LONGEST_S)
            return found

    def _place(self) -> Place:
        kept = embedded.kept(self._settings.data)
        return Place(self._settings, kept is not None and kept.database_url == self._settings.database_url)
