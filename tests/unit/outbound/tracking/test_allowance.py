"""A carrier's rate is kept in every window, whenever it begins and whoever asks; a quota is kept in every month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbound.tracking.allowance import Allowance, burst, month_of, next_month
from providers.carriers.limits import Limits, Rate

START = datetime(2026, 11, 30, 23, 59, 50, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RATES = st.builds(Rate, st.integers(1, 500), st.sampled_from([SECOND, 60 * SECOND, 3600 * SECOND]))


def let_through(limits, steps):
    """The questions that went out, by their time, where at each step so many are wanted."""
    state, now, sent = Allowance(), START, []
    for wait, wanted in steps:
        now += wait
        free = state.free(limits, now)
        taken = wanted if free is None else min(wanted, free)
        state = state.spent(taken, limits, now)
        sent.append((now, taken))
    return sent


@given(
    rate=RATES,
    steps=st.lists(st.tuples(st.floats(0, 0.4), st.integers(0, 200)), min_size=1, max_size=30),
)
def test_no_window_holds_more_than_the_rate_also_where_one_burst_leaves_late(rate, steps):
    sent = let_through(Limits(rate), [(rate.period * share, wanted) for share, wanted in steps])
    for begin, _ in sent:
        within = sum(taken for at, taken in sent if begin <= at < begin + rate.period)
        assert within + burst(rate) <= max(rate.count, 2)


@pytest.mark.parametrize("count", range(1, 41))
def test_no_window_of_a_small_rate_holds_more_where_all_that_may_be_asked_is(count):
    rate = Rate(count, SECOND)
    sent = [each for each in let_through(Limits(rate), [(SECOND / 400, count)] * 1000) if each[1]]
    for begin, _ in sent:
        assert sum(taken for at, taken in sent if begin <= at < begin + SECOND) + burst(rate) <= max(count, 2)


def test_a_rate_is_made_use_of():
    rate = Rate(50, SECOND)
    sent = let_through(Limits(rate), [(timedelta(milliseconds=25), 64)] * 400)
    assert sum(taken for _, taken in sent) >= 10 * 40


def test_what_waits_for_the_rate_is_told_how_long():
    limits = Limits(Rate(50, SECOND))
    state = Allowance().spent(5, limits, START)
    assert state.free(limits, START) == 0
    wait = state.wait(limits, START)
    assert wait is not None
    assert 0 < (state.free(limits, START + wait) or 0) < 5
    assert state.free(limits, START + 2 * wait) == 5


def test_a_quota_holds_until_the_month_s_end_and_begins_anew():
    limits = Limits(per_month=3)
    state = Allowance().spent(2, limits, START)
    assert state.free(limits, START) == 1
    state = state.spent(1, limits, START)
    assert (state.free(limits, START), state.wait(limits, START)) == (0, None)
    december = next_month(START)
    assert (month_of(december), state.free(limits, december)) == (december.date(), 3)
    assert state.spent(1, limits, december).polls_in(december) == 1


def test_without_limits_anything_goes():
    assert Allowance().spent(10**9, Limits(), START).free(Limits(), START) is None


@pytest.mark.parametrize("name", ["free", "wait"])
def test_a_quota_of_nothing_lets_nothing_through(name):
    assert getattr(Allowance(), name)(Limits(Rate(9, SECOND), per_month=0), START) in (0, None)
