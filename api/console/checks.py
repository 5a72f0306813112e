"""The doctor's checks for whoever watches the console: what is wrong with the system, and its cure.

One examination per process is shared by all who watch. It costs the servers a few connections and statements, so the next
one comes EVERY_S later, or SHARE times as long as the last one took, and at most LONGEST_S.
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

EVERY_S, SHARE, LONGEST_S = 30.0, 100, 120.0
WITHIN_S = 4.0  # an examination answers by then, whatever hangs


@dataclass(frozen=True, slots=True)
class Examined:
    """The checks of one examination."""

    at: datetime
    checks: Sequence[Check]

    @property
    def troubles(self) -> list[Check]:
        """The checks that are not well: the problems, then the warnings."""
        return sorted((each for each in self.checks if each.level != OK), key=lambda each: each.level != PROBLEM)


class Examinations:
    """The examinations of one process, the newest of which is kept."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._next_at = float("-inf")  # monotonic
        self._newest: Examined | None = None

    @property
    def newest(self) -> Examined | None:
        """The last one, as long as it is fresh."""
        return self._newest if monotonic() < self._next_at else None

    def now(self) -> Examined:
        """A fresh examination. While one is under way, others get the one before it."""
        if self._lock.locked() and (before := self._newest) is not None:
            return before
        with self._lock:
            if (fresh := self.newest) is not None:
                return fresh
            begun = monotonic()
            found = Examined(clock(), examine(self._place(), WITHIN_S))
            self._newest, ended = found, monotonic()
            self._next_at = ended + min(max(EVERY_S, SHARE * (ended - begun)), LONGEST_S)
            return found

    def _place(self) -> Place:
        kept = embedded.kept(self._settings.data)
        return Place(self._settings, kept is not None and kept.database_url == self._settings.database_url)
