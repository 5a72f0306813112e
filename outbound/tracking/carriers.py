"""The row that all workers share of one carrier: its allowance, its breaker, and the pause that it asked for.

Whoever claims or settles holds its lock for some milliseconds, so that two workers never spend the same questions. It stands in
PostgreSQL and not in Redis: a month's quota must outlive a flush, and there every claim is a transaction anyway.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from outbound.leases import Rests
from outbound.tracking.allowance import Allowance
from outbound.tracking.breaker import Breaker
from outbound.tracking.pace import ASKED_AT_MOST
from providers.base import NoAnswer, ParcelRefused, ParcelUnknown, RateLimited
from providers.carriers.limits import Limits

LIMITED = timedelta(seconds=30)  # pause after a 429 that names none
ERROR = 500  # characters of an error that are kept

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PolledCarrier:
    """The standing with us of one carrier, or of a service that follows many."""

    name: str
    allowance: Allowance = field(default_factory=Allowance)
    breaker: Breaker = field(default_factory=Breaker)
    paused_until: datetime | None = None  # it asked for fewer questions
    last_error: str | None = None  # of what opened the breaker, or asked for the pause

    def lets(self, limits: Limits, now: datetime) -> int | None:
        """The number of questions that may go out now, None: any number."""
        if self.paused_until is not None and now < self.paused_until:
            return 0
        left = [most for most in (self.allowance.free(limits, now), self.breaker.lets(now)) if most is not None]
        return min(left, default=None)

    def stands(self, limits: Limits, now: datetime) -> str:
        """The word for how it stands: answers, away, paused, or quota spent."""
        if self.breaker.state != "closed":
            return "away"
        if self.allowance.quota_spent(limits, now):
            return "quota spent"
        return "paused" if self.paused_until is not None and self.paused_until > now else "answers"

    def wait(self, limits: Limits, now: datetime) -> timedelta | None:
        """The time until more may go out, where that is a matter of the rate alone; else None."""
        if self.breaker.state != "closed" or (self.paused_until is not None and now < self.paused_until):
            return None
        return self.allowance.wait(limits, now)

    def asked(self, questions: int, limits: Limits, now: datetime, lost_at: datetime) -> PolledCarrier:
        """The state after so many questions went out."""
        if not questions:
            return self
        return replace(
            self, allowance=self.allowance.spent(questions, limits, now), breaker=self.breaker.probed(lost_at)
        )

    def answered(self, problems: Sequence[NoAnswer | None], now: datetime) -> PolledCarrier:
        """The state after these questions ended, each with a problem or an answer, in this order."""
        paused, error, heard = self.paused_until, self.last_error, []
        for problem in problems:
            if isinstance(problem, Rests):  # was not asked
                continue
            if isinstance(problem, RateLimited):
                paused, error = max(paused or now, now + _pause(problem)), str(problem)
                continue
            away = problem is not None and not isinstance(problem, ParcelUnknown | ParcelRefused)
            heard.append(not away)
            if away:
                error = str(problem)
        breaker = self.breaker.after(heard, now)
        if paused is not None and paused <= now:
            paused = None
        settled = breaker.state == "closed" and breaker.failures == 0 and paused is None
        return replace(self, breaker=breaker, paused_until=paused, last_error=None if settled else error)


def _pause(problem: NoAnswer) -> timedelta:
    if problem.retry_after is None:
        return LIMITED
    return min(timedelta(seconds=problem.retry_after), ASKED_AT_MOST)


# -- kept ------------------------------------------------------------------------------------------------------

_MAKE = text("insert into polled_carriers (name) values (:name) on conflict (name) do nothing")
_LOCK = text("select * from polled_carriers where name = :name for update")
_EVERY = text("select * from polled_carriers order by name")
_KEEP = text("""
    update polled_carriers set spent_until = :spent_until, month = :month, polls = :polls, state = :state,
        failures = :failures, opened = :opened, until = :until, paused_until = :paused_until,
        last_error = :last_error, updated_at = now()
    where name = :name
""")


def lock(conn: Connection, name: str) -> PolledCarrier:
    """The carrier's row, ours until the transaction ends; made where there was none."""
    row = conn.execute(_LOCK, {"name": name}).one_or_none()
    if row is None:
        conn.execute(_MAKE, {"name": name})
        row = conn.execute(_LOCK, {"name": name}).one()
    return _read(row)


def every(conn: Connection) -> list[PolledCarrier]:
    """All that were ever polled, by name."""
    return [_read(row) for row in conn.execute(_EVERY)]


def keep(conn: Connection, before: PolledCarrier, after: PolledCarrier) -> None:
    """Write what changed of a row whose lock is ours; nothing where nothing did."""
    if after == before:
        return
    if after.breaker.state != before.breaker.state:
        _tell(before, after)
    allowance, breaker = after.allowance, after.breaker
    conn.execute(
        _KEEP,
        {
            "name": after.name,
            "spent_until": allowance.spent_until,
            "month": allowance.month,
            "polls": allowance.polls,
            "state": breaker.state,
            "failures": breaker.failures,
            "opened": breaker.opened,
            "until": breaker.until,
            "paused_until": after.paused_until,
            "last_error": None if after.last_error is None else after.last_error.replace("\x00", "")[:ERROR],
        },
    )


def _read(row: Any) -> PolledCarrier:
    month: date | None = row.month
    return PolledCarrier(
        name=row.name,
        allowance=Allowance(row.spent_until, month, row.polls),
        breaker=Breaker(row.state, row.failures, row.opened, row.until),
        paused_until=row.paused_until,
        last_error=row.last_error,
    )


def _tell(before: PolledCarrier, after: PolledCarrier) -> None:
    """One line per outage in the log, and one for its end."""
    if after.breaker.state == "open" and before.breaker.state == "closed":
        log.warning("carrier %s is away, its parcels wait: %s", after.name, after.last_error)
    elif after.breaker.state == "closed":
        log.warning("carrier %s answers again", after.name)
