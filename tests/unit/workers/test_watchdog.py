"""Deafness of a worker, by a clock of the test's own."""

from __future__ import annotations

from dataclasses import dataclass

from workers.watchdog import DEAF_S, LOOK_S, START_S, STUCK_S, Hearing


@dataclass
class Watched:
    """A worker with two processes that is looked at every LOOK_S."""

    hearing: Hearing
    now: float = 1_000.0
    taken: int = 0

    def pass_by(self, seconds: float, waiting: int | None, busy: int = 0) -> str | None:
        """The first reason for a new start among the looks of so many seconds."""
        for _ in range(round(seconds / LOOK_S)):
            self.now += LOOK_S
            if why := self.hearing.judge(self.now, waiting, self.taken, busy):
                return why
        return None


def a_worker(taken: int = 5) -> Watched:
    watched = Watched(Hearing(size=2))
    watched.taken = taken
    assert watched.pass_by(LOOK_S, waiting=0) is None
    return watched


def test_messages_that_nobody_takes_for_ten_seconds_are_a_reason_to_start_anew():
    worker = a_worker()
    assert worker.pass_by(DEAF_S - LOOK_S, waiting=3) is None
    why = worker.pass_by(LOOK_S, waiting=3)
    assert why is not None
    assert "3 messages wait" in why
    assert "2 of its pool are free" in why


def test_who_takes_one_now_and_then_hears():
    worker = a_worker()
    for _ in range(10):
        assert worker.pass_by(DEAF_S - LOOK_S, waiting=500) is None
        worker.taken += 1


def test_an_empty_queue_says_nothing():
    worker = a_worker()
    assert worker.pass_by(1_000, waiting=0) is None
    assert worker.pass_by(DEAF_S - LOOK_S, waiting=1) is None


def test_while_redis_does_not_tell_nobody_is_deaf():
    worker = a_worker()
    assert worker.pass_by(DEAF_S - LOOK_S, waiting=9) is None
    assert worker.pass_by(1_000, waiting=None) is None
    assert worker.pass_by(DEAF_S - LOOK_S, waiting=9) is None


def test_a_pool_at_work_may_take_its_time_and_not_for_ever():
    worker = a_worker()
    assert worker.pass_by(STUCK_S - LOOK_S, waiting=9, busy=2) is None
    why = worker.pass_by(LOOK_S, waiting=9, busy=2)
    assert why is not None
    assert "at work" in why


def test_one_that_is_busy_beside_a_free_one_is_no_excuse():
    worker = a_worker()
    assert worker.pass_by(DEAF_S, waiting=9, busy=1) is not None


def test_a_new_process_has_time_to_begin():
    worker = a_worker(taken=0)
    assert worker.pass_by(START_S - LOOK_S, waiting=9) is None
    assert worker.pass_by(LOOK_S, waiting=9) is not None


def test_who_was_frozen_is_not_judged_by_the_time_that_he_slept():
    worker = a_worker()
    assert worker.pass_by(LOOK_S, waiting=9) is None
    worker.now += 3_600
    assert worker.pass_by(LOOK_S, waiting=9) is None
