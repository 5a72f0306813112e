"""An examination that takes over what was counted before, and one that cannot count all of it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from operations.health import postgres
from operations.health.check import OK, PROBLEM, Check, Place
from settings.environment import read
from storage.engine import connect
from workers import examination
from workers.examination import COUNTS, STATES, examine

ENOUGH_S = 30.0


def names_of(looks) -> set[str]:
    return {name for names, _ in looks for name in names}


@pytest.fixture
def place(shop, hands) -> Place:
    return Place(read(), embedded=False)


def test_what_was_counted_before_stands_in_its_place_and_is_not_looked_at(place, monkeypatch):
    first = examine(place, ENOUGH_S)
    assert first.counted is not None
    assert {check.name for check in first.counted} == names_of(COUNTS)
    assert first.counting_s > 0
    before = [Check("refunds", PROBLEM, "counted before"), *first.counted]
    monkeypatch.setattr(examination, "COUNTS", ())  # nobody looks
    second = examine(place, ENOUGH_S, before)
    assert (second.counted, second.counting_s) == (None, 0.0)
    assert [check for check in second.checks if check.name in names_of(COUNTS)] == before
    assert names_of(STATES) <= {check.name for check in second.checks}


def test_a_count_that_a_lock_refused_is_none_to_be_kept(place, monkeypatch, database_url):
    monkeypatch.setattr(postgres, "LOCKED_S", 0.1)
    engine = connect(database_url)
    with engine.connect() as conn:
        conn.execute(text("lock table effects"))
        found = examine(place, ENOUGH_S)
    engine.dispose()
    assert found.counted is None
    assert any(check.name == "refunds" and check.level != OK for check in found.checks)


def test_nothing_that_was_counted_is_told_of_a_postgresql_that_cannot_be_asked(place, monkeypatch):
    monkeypatch.setattr(examination, "_usable", lambda database: False)
    found = examine(place, ENOUGH_S, [Check("refunds", OK, "counted before")])
    assert "refunds" not in {check.name for check in found.checks}
