"""Streams and doorbells: what is added, what rings, what stays behind."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from journal.entries import INLINE_BYTES, Entry, decode, encode, shard_of
from journal.streams import RING_FOR, Streams, connect

AT = datetime(2026, 11, 1, tzinfo=UTC)


def an_entry(seq: int, shard: int = 3, **data: object) -> Entry:
    size = len(str(data))
    return Entry(seq, "shop", f"e{seq}", "OrderCanceled", 1, AT, "N1", shard, False, dict(data), size)


@pytest.fixture
def rung() -> list[int]:
    return []


@pytest.fixture
def streams(redis_url, rung) -> Streams:
    return Streams(connect(redis_url), 8, rung.append)


@pytest.mark.parametrize("trace", [None, f"00-{'ab' * 16}-{'cd' * 8}-01"])
def test_an_entry_comes_out_as_it_went_in(trace):
    entry = an_entry(7, by="customer")
    entry.trace = trace
    assert decode(encode(entry), 3) == (7, entry.size, entry)


def test_a_large_body_travels_by_its_number():
    entry = an_entry(7, note="x" * INLINE_BYTES)
    assert decode(encode(entry), 3) == (7, entry.size, None)


def test_long_names_travel_by_number_too():
    entry = an_entry(7)
    entry.event_id = entry.subject = "이" * 255
    assert decode(encode(entry), 3) == (7, entry.size, None)


def test_publishing_rings_once_until_somebody_answers(streams, rung):
    streams.publish([an_entry(1)])
    streams.publish([an_entry(2)])
    assert rung == [3]
    streams.answer(3, 1)
    streams.publish([an_entry(3)])
    assert rung == [3, 3]


def test_entries_stay_until_they_are_finished(streams):
    streams.publish([an_entry(1), an_entry(2)])
    first = streams.read([3], 10)
    assert streams.read([3], 10) == first
    streams.finish({3: [name for name, _ in first[3]][:1]}, {})
    assert streams.read([3], 10) == {3: first[3][1:]}
    assert streams.look().lengths[3] == 1


def test_the_oldest_are_read_first_and_no_more_than_asked_for(streams):
    streams.publish([an_entry(1), an_entry(2), an_entry(3), an_entry(4, shard=5)])
    found = streams.read([3, 4, 5], 2)
    assert {shard: [decode(event, shard)[0] for _, event in each] for shard, each in found.items()} == {
        3: [1, 2],
        5: [4],
    }


def test_a_few_entries_in_many_shards_ring_once_and_many_ring_more_often(streams, rung):
    streams.publish([an_entry(n, shard=n % 8) for n in range(16)])
    assert len(rung) == 1
    for shard in range(8):
        streams.answer(shard, 1)
    rung.clear()
    streams.publish([an_entry(n, shard=n % 8) for n in range(RING_FOR + 1)])
    assert len(rung) == 2


def test_an_answer_takes_the_bell_and_reads_the_shard(streams, rung):
    streams.publish([an_entry(1), an_entry(2), an_entry(3, shard=5)])
    assert streams.answer(3, 10) == streams.read([3], 10)
    assert streams.answer(3, 1) == streams.read([3], 1)
    assert streams.answer(4, 10) == {}
    assert streams.look().lengths == [0, 0, 0, 2, 0, 1, 0, 0]
    streams.publish([an_entry(4)])
    assert rung == [5, 3]


def test_a_full_stream_leaves_the_rest_to_the_journal_and_takes_nothing_more_until_it_caught_up(streams):
    streams.cap = 2
    streams.publish([an_entry(1), an_entry(2), an_entry(3)])
    assert streams.numbers([3]) == {3: {1, 2}}
    assert streams.look().behind == {3: 2}
    look = streams.finish({3: [name for name, _ in streams.read([3], 10)[3]]}, {})
    assert (look.lengths[3], look.behind, look.waiting()) == (0, {3: 2}, [3])
    streams.publish([an_entry(4)])
    assert streams.numbers([3, 4]) == {3: set(), 4: set()}
    assert streams.finish({}, {3: (2, 4)}).behind == {3: 4}
    streams.caught_up(3, 3)
    streams.publish([an_entry(5)])
    assert streams.numbers([3]) == {3: set()}, "somebody went back"
    streams.caught_up(3, 4)
    streams.publish([an_entry(5)])
    assert streams.numbers([3]) == {3: {5}}


def test_an_entry_below_where_a_shard_is_behind_is_added_while_there_is_room(streams):
    """It was journaled before what is read there now, and committed after it; or replayed."""
    streams.cap = 3
    streams.fall_behind(3, 10)
    streams.publish([an_entry(7), an_entry(11), an_entry(8), an_entry(9), an_entry(10)])
    assert streams.numbers([3]) == {3: {7, 8, 9}}
    assert streams.look().behind == {3: 9}, "there was no room for the tenth"


def test_who_read_the_journal_up_to_somewhere_changes_nothing_that_was_put_there_meanwhile(streams):
    streams.fall_behind(3, 10)
    streams.fall_behind(5, 1_000_000_000_000)
    streams.fall_behind(3, 4)
    streams.fall_behind(3, 9)
    assert streams.finish({}, {3: (10, 20), 5: (1_000_000_000_000, 1_000_000_000_001)}).behind == {
        3: 4,
        5: 1_000_000_000_001,
    }
    streams.caught_up(3, 4)
    assert streams.finish({}, {3: (4, 20)}).behind == {5: 1_000_000_000_001}


def test_a_redis_that_was_emptied_is_looked_at_all_the_same(streams):
    streams.publish([an_entry(1)])
    [(name, _)] = streams.read([3], 1)[3]
    streams.client.script_flush()
    streams.client.flushdb()
    look = streams.finish({3: [name]}, {3: (1, 2)})
    assert (look.waiting(), look.behind) == ([], {})
    streams.fall_behind(3, 1)
    streams.client.script_flush()
    assert streams.finish({}, {3: (1, 2)}).behind == {3: 1}


def test_publishing_to_a_redis_that_is_away_loses_nothing_and_says_so(rung):
    streams = Streams(connect("redis://127.0.0.1:1/0"), 8, rung.append)
    assert streams.publish([an_entry(1)]) is False
    assert rung == []


def test_a_route_keeps_its_shard_for_ever():
    assert [shard_of(route, 64) for route in ("N1", "payment:pi_1", "tracking:dhl:123")] == [14, 7, 17]
