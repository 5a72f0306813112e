"""A circuit breaker per carrier: one that is away is left alone. Arithmetic only: state, outcomes and time in, state out.

    closed    all that is due is asked for
    open      nothing is, until a time: so many questions in a row had no answer
    probing   one parcel is asked for; its answer closes the breaker, none opens it for twice as long

Its parcels stay due meanwhile, and nothing is written of them. An answer is whatever says something of a parcel, also that
it is unknown. A carrier that asks for a pause (429) is not away: that is no failure, and kept beside this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

State = Literal["closed", "open", "probing"]

FAILURES = 5  # in a row
FIRST = timedelta(seconds=30)
LONGEST = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state that all workers share of one carrier."""

    state: State = "closed"
    failures: int = 0  # in a row
    opened: int = 0  # in a row, without an answer between
    until: datetime | None = None  # of open: the next probe; of probing: when the probe counts as lost

    def lets(self, now: datetime) -> int | None:
        """The number of questions that it lets through now; None: any number."""
        if self.state == "closed":
            return None
        return 1 if self.until is None or now >= self.until else 0

    def probed(self, lost_at: datetime) -> Breaker:
        """The state once a question went out that may close it; killed, it is lost at that time."""
        return self if self.state == "closed" else replace(self, state="probing", until=lost_at)

    def after(self, answers: Iterable[bool], now: datetime) -> Breaker:
        """The state after these questions, true where there was an answer, in the order in which they ended."""
        found = self
        for answer in answers:
            found = Breaker() if answer else found._failed(now)
        return found

    def _failed(self, now: datetime) -> Breaker:
        failures = self.failures + 1
        if self.state == "open" or (self.state == "closed" and failures < FAILURES):
            return replace(self, failures=failures)
        return Breaker("open", failures, self.opened + 1, now + pause(self.opened + 1))


def pause(opened: int) -> timedelta:
    """The time until the next probe, where it was opened so many times in a row.

    >>> print(*[pause(opened) for opened in (1, 2, 3, 6, 1000)])
    0:00:30 0:01:00 0:02:00 0:02:00 0:02:00
    """
    return min(FIRST * (1 << min(max(opened, 1) - 1, 20)), LONGEST)
