"""A backlog larger than the streams (decision 0015): what did not fit waits in SQL, and the drain reads it there.

In the journal's order, each once, whoever publishes, dies or goes back meanwhile.
"""

from __future__ import annotations

import pytest

from events.envelope import MAX_BODY_BYTES
from journal import drain as module
from journal.batch import Clash, settle
from journal.entries import INLINE_BYTES, decode, undecided_after
from journal.relay import undecided
from journal.streams import Streams
from tests.builders import created
from tests.integration.conftest import numbers_of

SHARD = 7
CAP = 16


@pytest.fixture(autouse=True)
def small(rig):
    rig.streams.cap = CAP


@pytest.fixture
def delivered(rig, numbers):
    """`delivered(n)`: n events of one shard that all apply, journaled and published; their numbers in the journal."""

    def deliver(count, publish=True, **data):
        made = numbers(count, prefix=f"B{rig.one('select count(*) from journal')}-")
        appended = rig.append(*(created(subject=name, payments=(), **data) for name in made))
        if publish:
            rig.streams.publish(appended.new)
        return [entry.seq for entry in appended.new]

    return deliver


@pytest.fixture
def settled(monkeypatch):
    """The entries of each batch, in turn."""
    batches: list[list[int]] = []
    real = settle

    def noted(conn, entries, *rest, **options):
        batches.append([entry.seq for entry in entries])
        return real(conn, entries, *rest, **options)

    monkeypatch.setattr(module, "settle", noted)
    return batches


def in_stream(rig):
    return [decode(event, SHARD)[0] for _, event in rig.streams.read([SHARD], 100_000).get(SHARD, [])]


def behind(rig):
    return rig.streams.look().behind.get(SHARD)


def assert_all_decided(rig):
    with rig.engine.connect() as conn:
        assert undecided(conn) == 0
    assert not rig.streams.look().waiting()
    account = rig.account()
    assert account["applied"] == account["accepted"]


def test_a_backlog_is_settled_in_the_journals_order_and_its_shard_takes_nothing_until_it_is_done(
    rig, delivered, settled
):
    seqs = delivered(50)
    assert in_stream(rig) == seqs[:CAP]
    assert behind(rig) == seqs[CAP - 1]
    seqs += delivered(50)
    drain = rig.drain(batch=5)
    for turn in range(12):
        drain.answer(SHARD, slice_s=0)
        if turn < 8:
            seqs += delivered(1)
            assert len(in_stream(rig)) <= CAP
    assert in_stream(rig) == []
    assert rig.streams.look().waiting() == [SHARD]
    rig.work()
    assert [seq for batch in settled for seq in batch] == seqs
    assert_all_decided(rig)
    newest = delivered(1)
    assert in_stream(rig) == newest, "publishers may add again"


def test_one_slice_works_a_backlog_off_and_one_ring_is_left_where_it_cannot(rig, delivered):
    delivered(60)
    drain = rig.drain(batch=10)
    for _ in range(3):
        rig.rung.clear()
        drain.answer(SHARD, slice_s=0)
        assert rig.rung == [SHARD]
    assert in_stream(rig) == []
    rig.rung.clear()
    drain.answer(SHARD)
    assert rig.rung == []
    assert_all_decided(rig)


def test_a_shard_that_is_behind_fills_a_batch_and_the_others_have_their_turns(rig, delivered, settled):
    delivered(40)
    other = rig.entries(*(created(subject=name, payments=()) for name in numbers_of(SHARD + 1, 8)))
    rig.streams.publish(other)
    drain = rig.drain(batch=8)
    for _ in range(4):
        drain.answer(SHARD, slice_s=0)
    assert in_stream(rig) == []
    settled.clear()
    drain.answer(SHARD)
    assert settled[1] == [entry.seq for entry in other]
    rig.work()
    assert_all_decided(rig)


def test_what_is_published_while_a_drain_reads_the_last_of_it_is_not_lost(rig, delivered, monkeypatch):
    """Its publisher still finds the shard behind and leaves it; no relay looks afterwards."""
    delivered(CAP + 3)
    late: list[int] = []

    def meanwhile(*arguments):
        found = undecided_after(*arguments)
        if not late:
            late.extend(delivered(2))
        return found

    rig.drain(batch=CAP).answer(SHARD, slice_s=0)
    monkeypatch.setattr(module, "undecided_after", meanwhile)
    rig.work()
    assert late
    assert_all_decided(rig)


def test_a_crowd_that_is_published_while_a_drain_reads_the_last_of_it_keeps_the_shard_behind(
    rig, delivered, monkeypatch
):
    delivered(CAP + 3)
    late: list[int] = []

    def meanwhile(*arguments):
        found = undecided_after(*arguments)
        if not late:
            late.extend(delivered(3 * CAP))
        return found

    drain = rig.drain(batch=CAP)
    drain.answer(SHARD, slice_s=0)
    monkeypatch.setattr(module, "undecided_after", meanwhile)
    drain.answer(SHARD, slice_s=0)
    assert behind(rig) == late[CAP - 3 - 1]
    rig.work()
    assert_all_decided(rig)


def test_a_drain_that_dies_after_its_commit_leaves_what_it_read_to_be_passed_over(rig, delivered, settled, monkeypatch):
    seqs = delivered(CAP + 20)
    rig.drain(batch=CAP).answer(SHARD, slice_s=0)

    class Dead(Exception):
        pass

    def die(*_):
        raise Dead

    with monkeypatch.context() as patch:
        patch.setattr(Streams, "finish", die)
        with pytest.raises(Dead):
            rig.drain(batch=10).answer(SHARD, slice_s=0)
    assert behind(rig) == seqs[CAP - 1]
    settled.clear()
    rig.drain(batch=10).answer(SHARD, slice_s=0)
    assert settled == [seqs[CAP + 10 : CAP + 20]], "what has a result is not read again"
    rig.work()
    assert_all_decided(rig)


def test_who_comes_between_a_rivals_commit_and_its_note_reads_what_is_next(rig, delivered, settled, monkeypatch):
    seqs = delivered(CAP + 30)
    rig.drain(batch=CAP).answer(SHARD, slice_s=0)
    real, rival = Streams.finish, rig.drain(batch=10)

    def overtaken(self, done, passed):
        monkeypatch.setattr(Streams, "finish", real)
        rival.answer(SHARD, slice_s=0)
        return real(self, done, passed)

    monkeypatch.setattr(Streams, "finish", overtaken)
    rig.drain(batch=10).answer(SHARD, slice_s=0)
    assert settled[1:] == [seqs[CAP : CAP + 10], seqs[CAP + 10 : CAP + 20]]
    assert behind(rig) == seqs[CAP + 19], "the rival's note is not put back"
    rig.work()
    assert_all_decided(rig)


def test_a_last_batch_that_meets_a_rival_is_done_again(rig, delivered, monkeypatch):
    """Publishers add to the stream meanwhile, since the shard was not behind any more."""
    delivered(CAP + 5)
    rig.drain(batch=CAP).answer(SHARD, slice_s=0)
    tries = []

    def rival(*arguments, **options):
        tries.append(behind(rig))
        if len(tries) == 1:
            delivered(2)
            raise Clash("a rival")
        return settle(*arguments, **options)

    monkeypatch.setattr(module, "settle", rival)
    rig.drain(batch=CAP).answer(SHARD)
    assert tries[0] is None
    assert len(tries) > 1
    assert_all_decided(rig)


def test_an_entry_whose_event_the_journal_has_lost_is_taken_out(rig, numbers):
    """PostgreSQL went back to an older state, and Redis did not."""
    [entry] = rig.accept(created(subject=numbers(1)[0], payments=(), photo="x" * INLINE_BYTES)).new
    rig.do("delete from journal where seq = :seq", seq=entry.seq)
    assert len(in_stream(rig)) == 1
    rig.drain().answer(SHARD)
    assert rig.streams.look().waiting() == []
    assert rig.rung == [SHARD], "by its publisher"


def test_two_drains_share_shards_that_are_behind(rig, settled):
    names = [name for shard in range(4) for name in numbers_of(shard, 60)]
    rig.accept(*(created(subject=name, payments=()) for name in names))
    assert set(rig.streams.look().behind) == {0, 1, 2, 3}
    rig.at_once(*(lambda shard=shard: rig.drain(batch=10).answer(shard) for shard in (0, 2)))
    rig.work()
    assert {seq for batch in settled for seq in batch} == {seq for (seq,) in rig.do("select seq from journal")}
    assert_all_decided(rig)


def test_large_bodies_are_read_as_many_as_the_memory_is_meant_for(rig, delivered, settled):
    seqs = delivered(CAP)
    large = delivered(12, photo="x" * (MAX_BODY_BYTES - 2_000))
    small = delivered(5)
    rig.drain(batch=32).answer(SHARD, slice_s=60)
    most = -(-module.BATCH_BYTES // (MAX_BODY_BYTES - 2_000))
    batches = [large[first : first + most] for first in range(0, len(large), most)]
    if len(batches[-1]) < most:
        batches[-1] += small
    else:
        batches.append(small)
    assert settled == [seqs, *batches]
    assert_all_decided(rig)
