"""A carrier that is away is left alone, tried one parcel at a time, and taken back at its first answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from outbound.tracking.breaker import FAILURES, LONGEST, Breaker, pause

NOW = datetime(2026, 11, 30, tzinfo=UTC)
AWAY = Breaker().after([False] * FAILURES, NOW)


def test_some_failures_between_answers_open_nothing():
    assert Breaker().after(([False] * (FAILURES - 1) + [True]) * 10, NOW).state == "closed"


def test_failures_in_a_row_open_it_and_nothing_is_asked_until_its_pause_is_over():
    assert (AWAY.state, AWAY.lets(NOW)) == ("open", 0)
    assert AWAY.lets(NOW + pause(1)) == 1


def test_a_probe_that_fails_opens_it_for_longer_and_one_that_is_answered_closes_it():
    later = NOW + pause(1)
    probing = AWAY.probed(later + timedelta(seconds=60))
    assert (probing.state, probing.lets(later)) == ("probing", 0)
    again = probing.after([False], later)
    assert (again.state, again.until) == ("open", later + pause(2))
    assert probing.after([True], later) == Breaker()


def test_a_probe_that_was_killed_is_followed_by_another():
    assert AWAY.probed(NOW).lets(NOW) == 1


def test_questions_that_were_under_way_when_it_opened_prolong_nothing():
    assert AWAY.after([False] * 60, NOW + timedelta(seconds=9)).until == AWAY.until


@given(answers=st.lists(st.booleans(), min_size=1))
def test_an_answer_closes_it_whatever_was_before(answers):
    assert AWAY.after([*answers, True], NOW) == Breaker()


@given(answers=st.lists(st.booleans(), min_size=1), opened=st.integers(1, 10**6))
def test_it_is_never_open_for_longer_than_the_longest_pause(answers, opened):
    found = Breaker("probing", FAILURES, opened, NOW).after(answers, NOW)
    assert found.until is None or found.until <= NOW + LONGEST
