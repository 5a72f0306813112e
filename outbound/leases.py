"""The protocol of whatever is claimed and done outside: refunds, payment look-ups, tracking, deliveries of webhooks.

    claim    what is due becomes ours until a lease is over, in a short transaction
    ask      in threads, without a connection to PostgreSQL; it may take as long as it wants
    settle   what came of it is recorded, if the lease is still ours
    over     whoever was too slow, or died, has lost the lease: another claims it, under the same idempotency key

One of sixty questions that hangs must not hold up the sixty after it. So a round claims, asks, settles what has come
every SETTLE_S (or at once, where others wait for that), and claims more in the place of it; it ends after a slice,
and with the last answer.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Generic, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, IntegrityError

from providers.base import NoAnswer
from telemetry import traces

SETTLE_S = 0.5  # while something hangs; where all have answered nobody waits


class Rests(NoAnswer):
    """A question that was not asked: between its claim and its turn somebody paused it. It counts as no failure."""


Item = TypeVar("Item")
Lease = TypeVar("Lease", bound=Hashable)
Answer = TypeVar("Answer")


class Claimed(NamedTuple, Generic[Item, Lease]):
    """Items that were claimed together: their lease, and how many that were, with those that needed no question.

    `again_s`: more may be due, and be claimed in so many seconds, not before.
    """

    items: Sequence[Item]
    lease: Lease
    taken: int
    again_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Question(Generic[Item, Lease]):
    item: Item
    lease: Lease
    until: float


@dataclass(frozen=True, slots=True)
class Round(Generic[Item, Lease, Answer]):
    """One kind of claim, with how it is asked and settled."""

    claim: Callable[[int], Claimed[Item, Lease]]  # at most so many
    ask: Callable[[Item], Answer]  # in a thread
    settle: Callable[[Lease, Sequence[tuple[Item, Future[Answer]]], Sequence[Item]], None]  # answered, and overdue
    threads: int
    room: int  # questions at once, those that wait for a thread included
    slice_s: float  # then nothing more is claimed
    answer_s: float  # then a question is overdue, and nothing more is claimed
    at_once: bool = False  # each answer is settled as it comes: what is claimed next depends on it

    def run(self, limit: int = sys.maxsize) -> int:
        """Claim until nothing is due, at most `limit`; how many were taken. What nobody asked in time keeps its lease."""
        until = monotonic() + self.slice_s
        asked: dict[Future[Answer], _Question[Item, Lease]] = {}
        taken, over = 0, False
        pool = ThreadPoolExecutor(self.threads, "outside")
        try:
            while True:
                room = min(self.room - len(asked), limit - taken)
                found, again_s = 0, None
                if not over and room > 0 and monotonic() < until:
                    claimed = self.claim(room)
                    found, again_s = claimed.taken, claimed.again_s
                    taken += found
                    for item in claimed.items:
                        question = _Question(item, claimed.lease, monotonic() + self.answer_s)
                        asked[pool.submit(traces.carried(self.ask), item)] = question
                if not asked:
                    if not found and (again_s is None or monotonic() + again_s >= until):
                        return taken
                    sleep(again_s or 0)
                    continue
                within = SETTLE_S if again_s is None else min(again_s, SETTLE_S)
                wait(asked, within, FIRST_COMPLETED if self.at_once else ALL_COMPLETED)
                over = self._settle(asked) or over
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _settle(self, asked: dict[Future[Answer], _Question[Item, Lease]]) -> bool:
        """Settle what has ended, lease by lease, and let go of what is overdue; whether something is."""
        ended: defaultdict[Lease, list[tuple[Item, Future[Answer]]]] = defaultdict(list)
        late: defaultdict[Lease, list[Item]] = defaultdict(list)
        overdue = False
        for job, question in list(asked.items()):
            if job.done():
                ended[question.lease].append((question.item, job))
            elif monotonic() >= question.until:
                overdue = True
                if not job.cancel():
                    late[question.lease].append(question.item)
            else:
                continue
            del asked[job]
        for lease in {**ended, **late}:
            self.settle(lease, ended[lease], late[lease])
        return overdue


Row = TypeVar("Row")
Written = TypeVar("Written")


def settle_apart(
    engine: Engine,
    rows: Sequence[Row],
    settle: Callable[[Connection, Sequence[Row]], list[Written]],
    refuse: Callable[[Row, str], bool],
) -> list[Written]:
    """`settle` all `rows` in one transaction; where the database refuses a value, each in one of its own.

    `refuse` turns an answer into none, for the reason given, and says whether there was an answer to turn: the row whose
    answer the database refuses is settled as one without.
    Errors: DataError, IntegrityError where it refuses a row that has no answer, which is a fault of ours.
    """
    try:
        with engine.begin() as conn:
            return settle(conn, rows)
    except (DataError, IntegrityError) as error:
        if len(rows) > 1:
            return [each for row in rows for each in settle_apart(engine, [row], settle, refuse)]
        if not refuse(rows[0], f"the database refuses the answer: {error.orig}"):
            raise
        return settle_apart(engine, rows, settle, refuse)
