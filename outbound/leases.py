"""A round of questions to somebody outside: what is answered is settled while slow answers are waited for.

One of sixty questions that hangs must not hold up the sixty after it. So a round claims, asks in threads, settles
what has come every SETTLE_S, and claims more in the place of that; it ends after a slice, and with the last answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

SETTLE_S = 0.5  # while something hangs; where all have answered nobody waits

Item = TypeVar("Item")
Lease = TypeVar("Lease", bound=Hashable)
Answer = TypeVar("Answer")


class Claimed(NamedTuple, Generic[Item, Lease]):
    """What was claimed: its lease, and how many that were, with those that needed no question."""

    items: Sequence[Item]
    lease: Lease
    taken: int


@dataclass(frozen=True, slots=True)
class _Question(Generic[Item, Lease]):
    item: Item
    lease: Lease
    until: float


@dataclass(frozen=True, slots=True)
class Round(Generic[Item, Lease, Answer]):
    """How one kind of question is claimed, asked and settled."""

    claim: Callable[[int], Claimed[Item, Lease]]  # at most so many
    ask: Callable[[Item], Answer]  # in a thread
    settle: Callable[[Lease, Sequence[tuple[Item, Future[Answer]]], Sequence[Item]], None]  # answered, and overdue
    threads: int
    room: int  # questions at once, those that wait for a thread included
    slice_s: float  # then nothing more is claimed
    answer_s: float  # then a question is overdue, and nothing more is claimed

    def run(self, limit: int) -> int:
        """Claim until nothing is due, at most `limit`; how many were taken. What nobody asked in time keeps its lease."""
        until = monotonic() + self.slice_s
        asked: dict[Future[Answer], _Question[Item, Lease]] = {}
        taken, over = 0, False
        pool = ThreadPoolExecutor(self.threads, "outside")
        try:
            while True:
                room = min(self.room - len(asked), limit - taken)
                found = 0
                if not over and room > 0 and monotonic() < until:
                    claimed = self.claim(room)
                    found = claimed.taken
                    taken += found
                    for item in claimed.items:
                        question = _Question(item, claimed.lease, monotonic() + self.answer_s)
                        asked[pool.submit(self.ask, item)] = question
                if not asked:
                    if not found:
                        return taken
                    continue
                wait(asked, SETTLE_S)
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
