"""Times ahead on real servers: a day ahead is taken, three are waited for, years are given up; a replay is a new receipt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from journal import parked
from journal.parked import sweep
from journal.verify import verify
from tests.builders import created, paid, scan, shipped, tracked


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def order(rig, now):
    rig.tell(created(at=now), paid(at=now), shipped(at=now, **tracked()))


def test_a_day_ahead_is_taken(rig, order, now):
    seen = scan("delivered", at=now + timedelta(hours=23))
    rig.tell(seen)
    assert rig.outcome(seen) == "applied"


@pytest.mark.parametrize("hours", [25, 71])
def test_up_to_three_days_ahead_waits_until_it_is_within_a_day(rig, order, now, monkeypatch, hours):
    seen, after = scan("delivered", at=now + timedelta(hours=hours)), scan("in_transit", at=now)
    rig.tell(seen)
    assert rig.outcome(seen) == "parked: ahead"
    rig.tell(after)  # what else comes for the order tries it in vain
    assert rig.outcomes(seen, after) == ["parked: ahead", "applied"]
    assert sweep(rig.engine, rig.policy, rig.shop) == (0, 0)
    assert rig.one("select until from parked") >= seen.time
    later = now + timedelta(hours=hours - 23)
    monkeypatch.setattr(parked, "clock", lambda: later)
    assert sweep(rig.engine, rig.policy, rig.shop) == (1, 0)
    assert rig.outcome(seen) == "applied"
    assert verify(rig.engine).differences == []


@pytest.mark.parametrize("ahead", [timedelta(hours=73), timedelta(days=4000)])
def test_further_ahead_is_dead_and_moves_nothing(rig, order, now, ahead):
    seen = scan("delivered", at=now + ahead)
    rig.tell(seen)
    assert rig.outcome(seen) == "dead: time_ahead"
    assert verify(rig.engine).differences == []


def test_it_is_judged_by_its_receipt_however_late_it_is_drained(rig, order, now):
    seen = scan("delivered", at=now + timedelta(hours=60))
    rig.accept(seen)
    rig.do("update journal set accepted_at = accepted_at - interval '20 h' where event_id = :id", id=seen.id)
    rig.work()
    assert rig.outcome(seen) == "dead: time_ahead"
