"""Examinations that are shared by all who watch: what runs is looked at often, what waits is counted as its cost allows."""

from __future__ import annotations

import pytest

from api.console import checks
from api.console.checks import FRESH_S, JUST_S, LONGEST_S, SHARE, Examinations
from operations.health.check import OK, Check
from settings.environment import read
from workers.examination import Examination

RUNS, WAITS = Check("beat", OK, "alive"), Check("refunds", OK, "none")


class Shop:
    """The time, and what an examination finds and takes."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.counting_s = 0.5
        self.countable = True
        self.counts: list[bool] = []  # of each examination: it counted

    def examine(self, place: object, seconds: float, counted: list[Check] | None) -> Examination:
        self.counts.append(counted is None)
        made = [WAITS] if counted is None and self.countable else None
        return Examination([RUNS, *(counted or [WAITS])], made, self.counting_s if counted is None else 0.0)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    made = Shop()
    monkeypatch.setattr(checks, "examine", made.examine)
    monkeypatch.setattr(checks, "monotonic", lambda: made.now)
    return made


@pytest.fixture
def examinations() -> Examinations:
    return Examinations(read({}))


def test_what_waits_is_counted_as_rarely_as_its_cost_asks_and_the_rest_is_looked_at_each_time(shop, examinations):
    first = examinations.now()
    for _ in range(int(SHARE * shop.counting_s / 30)):
        shop.now += 30
        later = examinations.now()
        assert later.counted_at == first.at < later.at
        assert later.checks == [RUNS, WAITS]
    shop.now += 30
    assert examinations.now().counted_at > first.at
    assert shop.counts == [True, *[False] * 6, True]


def test_a_count_stands_no_longer_than_some_minutes_and_a_cheap_one_is_made_each_time(shop, examinations):
    shop.counting_s = 60.0
    first = examinations.now()
    shop.now += LONGEST_S + 1
    assert examinations.now().counted_at > first.at
    shop.counting_s = 0.01
    shop.now += LONGEST_S + 1
    for _ in range(3):
        examined = examinations.now()
        assert examined.counted_at == examined.at
        shop.now += 30


def test_who_asks_for_a_new_one_has_all_of_it_counted_unless_that_was_a_moment_ago(shop, examinations):
    examinations.now()
    shop.now += FRESH_S + 1
    assert examinations.now().counted_at < examinations.newest().at
    asked = examinations.again()
    assert asked.counted_at == asked.at
    assert examinations.again() is asked
    shop.now += JUST_S + 1
    assert examinations.again().at > asked.at
    assert shop.counts == [True, False, True, True]


def test_what_could_not_be_counted_is_counted_the_next_time(shop, examinations):
    shop.countable = False
    examinations.now()
    shop.now += FRESH_S + 1
    shop.countable = True
    examinations.now()
    shop.now += FRESH_S + 1
    examinations.now()
    assert shop.counts == [True, True, False]


def test_a_fresh_one_is_handed_out(shop, examinations):
    first = examinations.now()
    shop.now += FRESH_S - 1
    assert examinations.now() is examinations.newest() is first
    shop.now += 2
    assert examinations.newest() is None
