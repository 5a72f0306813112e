import doctest
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.field_types import TrackingStatus
from outbound.tracking import allowance, breaker, pace, polls
from providers.carriers import scans
from settings import fields

STATUSES = st.sampled_from([None, "of a later version", *get_args(TrackingStatus)])
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("module", [pace, allowance, breaker, polls, scans, fields])
def test_the_examples_in_the_docstrings_hold(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_every_status_of_the_table_is_one_of_the_unified_set():
    assert set(pace.FACTORS) - {None} <= set(get_args(TrackingStatus))


@given(failures=st.integers(-3, 10**6), status=STATUSES, chance=st.floats(0, 1))
def test_a_wait_is_never_zero_and_never_beyond_the_longest(failures, status, chance):
    wait = pace.next_poll(failures, status, SECOND, chance=chance)
    assert SECOND * 0.4 <= wait <= SECOND * pace.LONGEST * 1.2


@given(failures=st.integers(0, 20), status=STATUSES)
def test_one_more_failure_never_shortens_the_wait(failures, status):
    assert pace.next_poll(failures + 1, status) >= pace.next_poll(failures, status)


def test_a_carrier_that_asks_for_a_year_is_asked_again_the_next_day():
    assert pace.next_poll(0, None, SECOND, retry_after=3e7) == timedelta(days=1)


def test_a_carrier_that_asks_for_less_than_our_pace_changes_nothing():
    assert pace.next_poll(0, None, retry_after=1) == pace.next_poll(0, None)
