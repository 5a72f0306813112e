"""Rates and recovery: what the harness says of a fault follows from samples alone."""

from __future__ import annotations

import pytest

from tests.faults.rates import Sample, Series, median, percentile


def series(*spans: tuple[float, float, float], every_s: float = 0.2) -> Series:
    """Spans of (seconds, done per second, lag), one after another, from 0 on."""
    made, at, done = Series(), 0.0, 0.0
    for seconds, rate, lag in spans:
        for _ in range(round(seconds / every_s)):
            made.add(Sample(at, round(done), round(done / 2), lag))
            at, done = at + every_s, done + rate * every_s
    return made


def test_a_rate_lies_on_the_line_between_samples():
    steady = series((10, 100, 0))
    assert steady.rate(2.1, 5.05) == pytest.approx(100)
    assert steady.rate(2, 5, others=True) == pytest.approx(50)


def test_a_gap_between_samples_counts_what_was_done_over_its_whole_length():
    gap = Series([Sample(0, 0, 0, 0), Sample(10, 100, 100, 0)])
    assert gap.rate(2, 4) == 10


def test_it_is_back_once_a_window_is_as_before_and_nothing_old_waits():
    stands = series((10, 100, 0), (5, 0, 5), (4, 250, 4), (6, 100, 0))
    back = stands.recovery(15, 100)
    assert back == pytest.approx(4.0, abs=0.3), "the rate is back at once, the backlog is gone after four seconds"


def test_a_rate_that_is_back_while_a_backlog_stays_is_no_recovery():
    assert series((10, 100, 0), (20, 100, 9)).recovery(10, 100) is None


def test_a_rate_that_stays_low_never_comes_back():
    assert series((10, 100, 0), (20, 90, 0)).recovery(10, 100) is None


def test_what_stood_still_for_a_time_comes_back_when_it_goes_on():
    back = series((10, 100, 0), (7, 0, 7), (5, 100, 0)).recovery(10, 100)
    assert back == pytest.approx(7, abs=0.4)


def test_a_recovery_needs_a_whole_window():
    assert series((10, 100, 0), (2, 100, 0)).recovery(10, 100) is None
    assert series((10, 100, 0), (9, 100, 0)).recovery(10, 100, until=12) is None


def test_the_lowest_rate_is_that_of_the_worst_window():
    dip = series((5, 100, 0), (3, 10, 0), (5, 100, 0))
    assert dip.lowest_rate(0, 12) == pytest.approx(10, abs=3)
    assert dip.longest_lag(0, 12) == 0


@pytest.mark.parametrize(("values", "middle", "high"), [([], 0, 0), ([3], 3, 3), ([1, 2, 3, 4], 2.5, 4)])
def test_middles_and_percentiles(values, middle, high):
    assert median(values) == middle
    assert percentile(values, 0.99) == high


def test_the_longest_silence_is_that_between_two_samples_that_differ():
    series = Series([Sample(float(at), done, done, 0.0) for at, done in enumerate((0, 5, 5, 5, 5, 9, 9, 12))])
    assert series.longest_silence(0.0, 8.0) == 3.0
    assert series.longest_silence(5.0, 8.0) == 1.0
