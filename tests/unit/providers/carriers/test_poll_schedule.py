import doctest
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.field_types import TrackingStatus
from providers.carriers import poll_schedule
from settings import fields

STATUSES = st.sampled_from([None, "of a later version", *get_args(TrackingStatus)])
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("module", [poll_schedule, fields])
def test_the_examples_in_the_docstrings_hold(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_every_status_of_the_table_is_one_of_the_unified_set():
    assert set(poll_schedule.FACTORS) <= set(get_args(TrackingStatus))


@given(failures=st.integers(-3, 10**6), status=STATUSES, chance=st.floats(0, 1))
def test_a_wait_is_never_zero_and_never_beyond_the_longest(failures, status, chance):
    wait = poll_schedule.next_poll(failures, status, SECOND, chance=chance)
    assert SECOND * 0.4 <= wait <= SECOND * poll_schedule.LONGEST * 1.2


@given(failures=st.integers(0, 20), status=STATUSES)
def test_one_more_failure_never_shortens_the_wait(failures, status):
    assert poll_schedule.next_poll(failures + 1, status) >= poll_schedule.next_poll(failures, status)


def test_a_carrier_that_asks_for_a_year_is_asked_again_the_next_day():
    assert poll_schedule.next_poll(0, None, SECOND, retry_after=3e7) == timedelta(days=1)


def test_a_carrier_that_asks_for_less_than_our_pace_changes_nothing():
    assert poll_schedule.next_poll(0, None, retry_after=1) == poll_schedule.next_poll(0, None)
