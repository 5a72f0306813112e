"""One question that hangs holds up no other; what is overdue is let go."""

from __future__ import annotations

import threading
from collections import deque

from outbound import leases
from outbound.leases import Claimed, Round


class Outside:
    """Numbers that are due, of which some are answered only once they are let go."""

    def __init__(self, due: int, *hanging: int) -> None:
        self.due = deque(range(due))
        self.hanging = set(hanging)
        self.go = threading.Event()
        self.settled: list[int] = []
        self.late: list[int] = []

    def claim(self, most: int) -> Claimed[int, int]:
        taken = [self.due.popleft() for _ in range(min(most, len(self.due)))]
        return Claimed(taken, len(self.due), len(taken))

    def ask(self, number: int) -> int:
        if number in self.hanging:
            self.go.wait(30)
        return number

    def settle(self, lease, ended, late) -> None:
        self.settled += [job.result() for _, job in ended]
        self.late += late
        if len(self.settled) >= 99:
            self.go.set()

    def run(self, limit: int = 1000, answer_s: float = 30.0) -> int:
        return Round(self.claim, self.ask, self.settle, 4, 8, 30.0, answer_s).run(limit)


def test_all_that_is_due_is_asked_once():
    outside = Outside(50)
    assert outside.run() == 50
    assert sorted(outside.settled) == list(range(50))


def test_one_that_hangs_holds_up_no_other(monkeypatch):
    monkeypatch.setattr(leases, "SETTLE_S", 0.01)
    outside = Outside(100, 3)  # let go once all others are settled
    assert outside.run() == 100
    assert outside.settled[-1] == 3
    assert not outside.late


def test_what_is_overdue_is_let_go_and_nothing_more_is_claimed():
    outside = Outside(100, *range(8))
    try:
        assert outside.run(answer_s=0.1) == 8
        assert sorted(outside.late) == [0, 1, 2, 3], "those that were asked; the others keep their lease"
        assert outside.settled == []
    finally:
        outside.go.set()


def test_a_limit_is_kept():
    outside = Outside(100)
    assert outside.run(limit=20) == 20
    assert len(outside.settled) == 20


def test_where_the_next_claim_depends_on_it_an_answer_is_settled_as_it_comes():
    """Numbers of one chain: each is due once the one before is settled, as a later change of an order is."""
    hangs = threading.Event()
    settled: list[int] = []

    def claim(_most: int) -> Claimed[int, None]:
        items = [-1, 0] if not settled and not claimed else [settled[-1] + 1] if settled and settled[-1] < 20 else []
        fresh = [item for item in items if item not in claimed]
        claimed.update(fresh)
        return Claimed(fresh, None, len(fresh))

    def ask(number: int) -> int:
        if number < 0:
            hangs.wait(30)
        return number

    def settle(_lease, ended, _late) -> None:
        settled.extend(job.result() for _, job in ended)
        if 20 in settled:
            hangs.set()

    claimed: set[int] = set()
    assert Round(claim, ask, settle, 4, 8, 30.0, 30.0, at_once=True).run(1000) == 22
    assert settled == [*range(21), -1], "one by one, and the one that hangs last"
