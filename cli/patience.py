"""The wait of `orders ingest --wait`: what it waits for, says and stops at; what cannot move, or was given up, is named.

It waits until every event has a result and every refund that may go out has gone. It ends
without that, and says so, when each refund that is left has failed TRIES times, when nobody is there to make them, or when
nothing at all moved for PATIENCE_S. What holds it up is what `orders doctor` finds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.progress import Progress, TaskID
from sqlalchemy import Connection, text
from sqlalchemy.exc import InterfaceError, OperationalError

from cli.bootstrap import heartbeat
from cli.options import Problem, err
from cli.terminal import safe
from journal.relay import undecided
from operations.health.check import OK, Place, some
from outbound.refund_routes import WAITS, Routes, configured_routes
from workers.examination import examine
from workers.resources import Parts

BEAT_S = 12  # workers that run, or just start, beat within this
QUIET_S = 15.0  # nothing moved: the cause is looked for, and told
PATIENCE_S = 90.0  # nothing moved: it stops
LOOK_S = 2.0  # for that
NAMED = 5  # orders, or reasons, in a line
TRIES = 4  # of a refund: they span 13 s; what failed so often is tried on for hours, by the workers

_OPEN = "e.state in ('due', 'in_flight', 'unknown')"
_REFUNDS = text(f"""
    select count(*) filter (where {_OPEN} and not {WAITS}) as open,
           count(*) filter (where {_OPEN} and {WAITS}) as waiting,
           count(*) filter (where e.state in ('due', 'unknown') and e.attempts >= :tries
                            or e.state = 'in_flight' and e.attempts > :tries) as failing,
           count(*) filter (where e.state = 'dead' and e.updated_at >= :since) as dead,
           count(*) filter (where e.state = 'staff' and e.updated_at >= :since) as staff,
           array_agg(o.order_number order by e.id) filter (where e.state = 'account_needed' and e.updated_at >= :since)
                as accounts,
           string_agg(distinct coalesce(t.provider, 'their provider'), ', ') filter (where {_OPEN} and not {WAITS})
                as providers,
           (array_agg(e.last_error order by e.updated_at desc) filter (where e.last_error is not null
                and (e.updated_at >= :since or e.state in ('due', 'unknown'))))[1] as error
    from effects e join transactions t on t.id = e.transaction_id join orders o on o.id = e.order_id
    where e.state in ('due', 'in_flight', 'unknown', 'dead', 'staff', 'account_needed')
""")
_DELIVERIES = text("select count(*) from deliveries where state = 'due'")
_DIED = text("""
    select reason, count(*) from dead_letters where seq > :last and state = 'open' group by reason order by 2 desc, 1
""")
_NOW = text("select clock_timestamp() as at, coalesce((select max(seq) from journal), 0) as last")


@dataclass(frozen=True, slots=True)
class Beginning:
    """The command's beginning: events behind it that are given up, and refunds that fail from then on, are told as its own."""

    at: datetime
    last: int  # the journal's last number


@dataclass(frozen=True, slots=True)
class Left:
    """The work that is not done at one moment. `died`, `dead`, `staff` and `accounts` are what came to that since the command began."""

    undecided: int
    died: dict[str, int]  # events that were given up, by reason, the most frequent first
    refunds: int  # that may go out
    waiting: int  # that nobody makes before a setting is set
    failing: int  # of them, that failed TRIES times
    dead: int
    staff: int
    accounts: list[str]  # orders whose refund waits for the customer's bank account
    deliveries: int  # tellings to subscribers: they are not waited for
    error: str | None
    provider: str | None

    def moves(self) -> bool:
        """True if something may still happen by itself soon."""
        return bool(self.undecided or self.refunds > self.failing)

    def reasons(self) -> list[str]:
        """The lines of what is left that should not be, each with the next step."""
        found = []
        if self.undecided:
            found.append(f"{some(self.undecided, 'event')} without a result yet; `orders doctor` says why")
        if self.died:
            named = ", ".join(f"{count:,} {reason}" for reason, count in [*self.died.items()][:NAMED])
            more = f" and {len(self.died) - NAMED:,} reasons more" if len(self.died) > NAMED else ""
            found.append(
                f"{some(sum(self.died.values()), 'event')} given up ({named}{more}): `orders given-up causes --kind event` "
                "says what to do about each; edit or replay them by `orders given-up`, or discard them"
            )
        if self.waiting:
            found.append(
                f"{some(self.waiting, 'refund')} due, and no refund client is set: `orders doctor` names the setting"
            )
        if self.refunds:
            found.append(
                f"{some(self.refunds, 'refund')} not made by {self.provider}, {self.failing:,} of them after {TRIES} tries or more"
                f"{f'; its last answer: {self.error}' if self.error else ''}; workers try on: `orders doctor`"
            )
        if self.dead:
            cause = f"; the last: {self.error}" if self.error and not self.refunds else ""
            found.append(f"{some(self.dead, 'refund')} given up{cause}: `orders given-up list --kind refund`")
        if self.staff:
            found.append(f"{some(self.staff, 'refund')} for a person to release: `orders refunds list --waiting`")
        if self.accounts:
            more = f" and {len(self.accounts) - NAMED:,} more" if len(self.accounts) > NAMED else ""
            found.append(
                f"{some(len(self.accounts), 'refund')} for the customer's bank account, of order "
                f"{', '.join(self.accounts[:NAMED])}{more}: PUT /api/orders/ORDER/refund-account tells it"
            )
        return found

    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "undecided": self.undecided,
            "died": self.died,
            "refunds": {
                "open": self.refunds,
                "waiting": self.waiting,
                "failing": self.failing,
                "dead": self.dead,
                "staff": self.staff,
                "account_needed": self.accounts,
                "provider": self.provider,
                "last_error": self.error,
            },
            "deliveries": self.deliveries,
            "reasons": self.reasons(),
        }


@dataclass(slots=True)
class Patience:
    """One wait. `start` starts workers, where those that beat at `served` turn out to be gone."""

    opened: Parts
    place: Place
    start: Callable[[], None] | None
    served: datetime | None
    since: Beginning
    clock: Callable[[], float] = time.monotonic
    _least: tuple[int, int] | None = None
    _moved: float = field(default=0.0)
    _told: float = field(default=0.0)

    def wait(self, bar: Progress) -> Left:
        """Until nothing is left that moves; what is left then. Errors: Problem where PostgreSQL is away for PATIENCE_S."""
        began = self._moved = self.clock()
        task = bar.add_task("applying", total=None)
        first = 0
        while True:
            looked = self.clock()
            left = self._look()
            now = self.clock()
            if left is not None:
                first = max(first, left.undecided)
                _show(bar, task, left, first)
                self._note(left, now)
                if not left.moves():
                    return left
            if now - self._moved >= PATIENCE_S:
                if left is None:
                    raise Problem(
                        f"PostgreSQL does not answer since {PATIENCE_S:.0f} s; what was journaled is safe, and ingested again "
                        f"it counts as duplicates. `orders doctor` says what to do"
                    )
                return left
            if self.start is not None and now - began >= BEAT_S:
                if heartbeat(self.opened) == self.served:
                    self.start()
                self.start = None
            if now - max(self._moved, self._told) >= QUIET_S:
                self._told = now
                self._say(left, now - self._moved)
            time.sleep(max(0.1, 2 * (self.clock() - looked)))  # a long backlog takes a while to count

    def _look(self) -> Left | None:
        try:
            with self.opened.engine.connect() as conn:
                return left(conn, configured_routes(self.opened.settings), self.since)
        except (OperationalError, InterfaceError):
            return None

    def _note(self, left: Left, now: float) -> None:
        """Less than ever before is left: it moves."""
        at = (left.undecided, left.refunds)
        if self._least is None or any(new < old for new, old in zip(at, self._least, strict=True)):
            self._moved = now
            self._least = at if self._least is None else (min(at[0], self._least[0]), min(at[1], self._least[1]))

    def _say(self, left: Left | None, quiet_s: float) -> None:
        err.print(f"nothing moved for {quiet_s:.0f} s; {_waiting(left)}", markup=False, soft_wrap=True)
        for check in examine(self.place, LOOK_S).checks:
            if check.level != OK:
                remedy = f" → {check.remedy}" if check.remedy else ""
                err.print(f"  [yellow]{check.name}:[/] {safe(check.says + remedy)}", soft_wrap=True)


def begun(conn: Connection) -> Beginning:
    """The beginning at this moment: the database's time, and the end of its journal."""
    return Beginning(*conn.execute(_NOW).one())


def left(conn: Connection, routes: Routes, since: Beginning) -> Left:
    """The work that is left at this moment."""
    count = undecided(conn)
    row = conn.execute(_REFUNDS, {"tries": TRIES, "since": since.at, **routes.parameters()}).one()
    died = {row[0]: int(row[1]) for row in conn.execute(_DIED, {"last": since.last})}
    deliveries = int(conn.execute(_DELIVERIES).scalar_one())
    error = " ".join(row.error.split())[:160] if row.error else None
    accounts = list(row.accounts or ())
    return Left(
        count, died, row.open, row.waiting, row.failing, row.dead, row.staff, accounts, deliveries, error, row.providers
    )


def _show(bar: Progress, task: TaskID, left: Left, first: int) -> None:
    says = "applying" if left.undecided else safe(_waiting(left))
    bar.update(task, total=first, completed=first - left.undecided, description=says)


def _waiting(left: Left | None) -> str:
    if left is None:
        return "PostgreSQL does not answer"
    told = [some(left.undecided, "undecided event")] if left.undecided else []
    if left.refunds:
        failing = f", {left.failing:,} of them failing: {left.error}" if left.failing else ""
        told.append(f"{some(left.refunds, 'refund')} on the way by {left.provider}{failing}")
    return "waiting: " + " · ".join(told) if told else "nothing is left"
