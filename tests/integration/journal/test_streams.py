"""Streams and doorbells: what is added, what rings, what stays behind."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from journal.entries import INLINE_BYTES, Entry, decode, encode, number_of, shard_of
from journal.streams import Streams, connect

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


def test_an_entry_comes_out_as_it_went_in():
    entry = an_entry(7, by="customer")
    fields = {k.encode(): v if isinstance(v, bytes) else str(v).encode() for k, v in encode(entry).items()}
    assert decode(fields, 3) == entry


def test_a_large_body_travels_by_its_number():
    entry = an_entry(7, note="x" * INLINE_BYTES)
    fields = {k.encode(): str(v).encode() for k, v in encode(entry).items()}
    assert decode(fields, 3) is None
    assert number_of(fields)[0] == 7


def test_long_names_travel_by_number_too():
    entry = an_entry(7)
    entry.event_id = entry.subject = "이" * 255
    assert "e" not in encode(entry)


def test_publishing_rings_once_until_somebody_answers(streams, rung):
    streams.publish([an_entry(1)])
    streams.publish([an_entry(2)])
    assert rung == [3]
    streams.answer(3)
    streams.publish([an_entry(3)])
    assert rung == [3, 3]


def test_entries_stay_until_they_are_finished(streams):
    streams.publish([an_entry(1), an_entry(2)])
    first = streams.read([3], 10)
    assert streams.read([3], 10) == {}
    assert streams.read([3], 10, again=[3]) == first
    streams.finish({3: [name for name, _ in first[3]]})
    assert streams.read([3], 10, again=[3]) == {}
    assert streams.lengths()[3] == 0


def test_what_was_read_before_comes_before_what_is_new(streams):
    streams.publish([an_entry(1)])
    streams.read([3], 10)
    streams.publish([an_entry(2)])
    assert [number_of(fields)[0] for _, fields in streams.read([3], 10, again=[3])[3]] == [1, 2]


def test_an_answer_takes_the_bell_and_tells_what_waits(streams, rung):
    streams.publish([an_entry(1), an_entry(2)])
    lengths = streams.answer(3)
    assert lengths == streams.lengths()
    assert lengths[3] == 2
    assert sum(lengths) == 2
    streams.publish([an_entry(3)])
    assert rung == [3, 3]


def test_a_full_stream_leaves_the_rest_to_the_relay_and_takes_nothing_until_it_caught_up(streams):
    streams.cap = 2
    streams.publish([an_entry(1), an_entry(2), an_entry(3)])
    assert streams.numbers(3) == {1, 2}
    assert streams.is_behind(3)
    streams.finish({3: [name for name, _ in streams.read([3], 10)[3]]})
    streams.publish([an_entry(4)])
    assert streams.numbers(3) == set()
    streams.add(3, [an_entry(3), an_entry(4)], topping_up=True)
    streams.caught_up(3)
    assert streams.numbers(3) == {3, 4}


def test_a_lost_group_is_made_again_at_the_first_entry(streams):
    streams.publish([an_entry(1)])
    streams.read([3], 10)
    streams.client.flushdb()
    streams.publish([an_entry(2)])
    assert [int(f[b"s"]) for _, f in streams.read([3], 10)[3]] == [2]


def test_publishing_to_a_redis_that_is_away_loses_nothing_and_says_so(rung):
    streams = Streams(connect("redis://127.0.0.1:1/0"), 8, rung.append)
    assert streams.publish([an_entry(1)]) is False
    assert rung == []


def test_a_route_keeps_its_shard_for_ever():
    assert [shard_of(route, 64) for route in ("N1", "payment:pi_1", "tracking:dhl:123")] == [14, 7, 17]
