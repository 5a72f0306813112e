"""Disorder and duplicates on demand: nothing lost, and the same again for the same seed."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.ingest.delivery_disorder import disorder, duplicate

SEEDS = st.integers(0, 2**32)
SHARES = st.floats(0, 1)
SIZES = st.integers(0, 60)


@given(size=SIZES, seed=SEEDS)
def test_disorder_loses_nothing_and_repeats_itself(size, seed):
    arrivals = disorder(range(size), seed)
    assert sorted(arrivals) == list(range(size))
    assert disorder(range(size), seed) == arrivals


def test_disorder_is_a_full_shuffle():
    arrivals = disorder(range(1000), seed=7)
    moved = [place for place, event in enumerate(arrivals) if abs(place - event) > 100]
    assert len(moved) > 700
    assert disorder(range(1000), seed=8) != arrivals


def test_disorder_leaves_the_list_it_was_given():
    events = [1, 2, 3, 4, 5]
    disorder(events, seed=1)
    assert events == [1, 2, 3, 4, 5]


@given(size=SIZES, share=SHARES, seed=SEEDS)
def test_duplicate_adds_exactly_the_share_each_event_at_most_twice(size, share, seed):
    arrivals = duplicate(range(size), share, seed)
    counts = Counter(arrivals)
    assert len(arrivals) == size + round(share * size)
    assert set(counts) == set(range(size))
    assert all(count <= 2 for count in counts.values())
    assert duplicate(range(size), share, seed) == arrivals


def test_the_events_that_come_once_keep_their_order():
    arrivals = duplicate(range(500), 0.3, seed=11)
    counts = Counter(arrivals)
    once = [event for event in arrivals if counts[event] == 1]
    assert once == sorted(once)
    assert len(once) == 350


def test_a_second_delivery_may_be_the_earlier_one_and_far_away():
    arrivals = duplicate(range(1000), 0.2, seed=3)
    twice = [event for event, count in Counter(arrivals).items() if count == 2]
    gaps = [len(arrivals) - 1 - arrivals[::-1].index(event) - arrivals.index(event) for event in twice]
    assert max(gaps) > 500
    early = [event for event in twice if arrivals.index(event) < event * 0.5]
    assert early


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused_with_what_to_give(share):
    with pytest.raises(ValueError, match="from 0 to 1"):
        duplicate([1, 2], share, seed=1)
