"""Questions that a carrier's rate and monthly quota let through. Arithmetic only: state and time in, state out.

The rate is kept by the generic cell rate algorithm, of which `spent_until` is the whole state: each question costs one
interval of the future, and so many intervals ahead as the burst has may be spent. A carrier counts questions in windows
that it chooses; so that no window of the rate's period holds more than its count, wherever it begins, the steady rate is
STEADY of the count and the burst BURST of it. The rest is for questions that leave later than they were let through, of
which there is at most one burst. Of two to four questions a period, STEADY leaves less than a burst: there it is one
question fewer. Of one question a period, a late one and the next may fall into one window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil

from providers.carriers.limits import Limits, Rate

STEADY = 0.8  # of the rate's count
BURST = 0.1  # of it, at least one question


@dataclass(frozen=True, slots=True)
class Allowance:
    """The state that all workers share of one carrier."""

    spent_until: datetime | None = None
    month: date | None = None  # UTC, its first day
    polls: int = 0  # in that month

    def polls_in(self, now: datetime) -> int:
        """The number of questions in the month of `now`."""
        return self.polls if self.month == month_of(now) else 0

    def spent(self, questions: int, limits: Limits, now: datetime) -> Allowance:
        """The state after so many questions more."""
        until = self.spent_until
        if limits.rate is not None and questions:
            until = max(until or now, now) + interval(limits.rate) * questions
        return Allowance(until, month_of(now), self.polls_in(now) + questions)

    def free(self, limits: Limits, now: datetime) -> int | None:
        """The number of questions that may go out now; None: any number."""
        left = [] if limits.per_month is None else [max(0, limits.per_month - self.polls_in(now))]
        if limits.rate is not None:
            ahead = max(timedelta(0), (self.spent_until or now) - now)
            left.append(max(0, burst(limits.rate) - -(-ahead // interval(limits.rate))))
        return min(left, default=None)

    def wait(self, limits: Limits, now: datetime) -> timedelta | None:
        """The time until half a burst is free again; None where no rate, or the quota, is what holds up."""
        if limits.rate is None or self.quota_spent(limits, now):
            return None
        ahead = (self.spent_until or now) - now
        return max(timedelta(0), ahead - interval(limits.rate) * (burst(limits.rate) // 2))

    def quota_spent(self, limits: Limits, now: datetime) -> bool:
        """True where this month lets nothing more through."""
        return limits.per_month is not None and self.polls_in(now) >= limits.per_month


def interval(rate: Rate) -> timedelta:
    """The time that one question costs, in whole microseconds and never too short.

    >>> second = timedelta(seconds=1)
    >>> print(interval(Rate(50, second)), interval(Rate(4, second)))
    0:00:00.025000 0:00:00.333334
    """
    steady = min(rate.count * STEADY, max(rate.count + 1 - 2 * burst(rate), STEADY))
    return timedelta.resolution * ceil(rate.period / timedelta.resolution / steady)


def burst(rate: Rate) -> int:
    """The number of questions that may go out at once.

    >>> burst(Rate(50, timedelta(seconds=1))), burst(Rate(3, timedelta(seconds=1)))
    (5, 1)
    """
    return max(1, int(rate.count * BURST))


def month_of(now: datetime) -> date:
    """The month that a quota counts `now` in, by its first day, in UTC."""
    return now.astimezone(UTC).date().replace(day=1)


def next_month(now: datetime) -> datetime:
    """The moment at which the next month's quota begins.

    >>> print(next_month(datetime(2026, 12, 31, tzinfo=UTC)))
    2027-01-01 00:00:00+00:00
    """
    first = month_of(now)
    after = (first + timedelta(days=31)).replace(day=1)
    return datetime(after.year, after.month, 1, tzinfo=UTC)
