"""One deadline for all looks: what hangs is told from what this host was too slow to ask."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from operations.health import deadline
from operations.health.check import OK, PROBLEM, WARNING, Check
from operations.health.deadline import Round


@pytest.fixture
def over():
    """Set at the end of a test, for looks that hang until then."""
    event = threading.Event()
    yield event
    event.set()


def hanging(over: threading.Event, begun: threading.Event):
    def look():
        begun.set()
        over.wait()
        return [Check("locks", OK, "none")]

    return look


def test_a_look_whose_turn_did_not_come_in_time_is_a_warning_and_blames_nobody(over):
    round_, begun = Round(0.05, at_once=1), threading.Event()
    round_.start(("locks",), hanging(over, begun), in_turn=True)
    assert begun.wait(30)
    round_.start(("refunds", "webhooks"), lambda: [Check("refunds", OK, "none")], in_turn=True)
    refunds = round_.gather()[-1]
    assert (refunds.name, refunds.level) == ("refunds", WARNING)
    assert "this host is slow" in refunds.says
    assert "not looked at: webhooks" in refunds.says
    assert "locks" not in (refunds.remedy or "")


def test_a_look_that_waits_longer_than_an_answer_may_take_is_a_problem(over, monkeypatch):
    monkeypatch.setattr(deadline, "ASKED_S", 0.0)
    round_, begun = Round(0.05, at_once=1), threading.Event()
    round_.start(("locks",), hanging(over, begun), in_turn=True)
    assert begun.wait(30)
    (locks,) = round_.gather()
    assert (locks.level, "gave no answer" in locks.says) == (PROBLEM, True)


def test_a_look_that_had_no_turn_since_another_hangs_says_so(over, monkeypatch):
    monkeypatch.setattr(deadline, "ASKED_S", 0.0)
    round_, begun = Round(0.05, at_once=1), threading.Event()
    round_.start(("locks",), hanging(over, begun), in_turn=True)
    assert begun.wait(30)
    round_.start(("refunds",), lambda: [Check("refunds", OK, "none")], in_turn=True)
    refunds = round_.gather()[-1]
    assert (refunds.name, refunds.level, refunds.says) == ("refunds", WARNING, "had no turn: other looks hang")


def test_looks_that_take_turns_all_end_where_there_is_time():
    round_ = Round(30, at_once=1)
    for name in ("a", "b", "c"):
        round_.start((name,), partial(list, [Check(name, OK, "well")]), in_turn=True)
    assert [check.name for check in round_.gather()] == ["a", "b", "c"]
