"""Promise 7 on real servers: Redis may forget everything; the relay knows what is undecided.

And how far everything is decided, whatever order transactions draw numbers and commit in.
"""

from __future__ import annotations

import contextlib
import threading
from random import Random
from time import monotonic

import pytest
import redis

from journal import relay as module
from journal.entries import decode, read
from journal.relay import relay, undecided
from journal.streams import Streams
from operations import dead_letters
from tests.builders import created, paid, told
from tests.conftest import SHARDS
from tests.integration.conftest import numbers_of

SHARD = 7


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Nothing is too young for the relay, but where a test says so."""
    monkeypatch.setattr(module, "SETTLING_S", 0)


@pytest.fixture
def one_shard(rig, numbers):
    """`one_shard(n)`: journal n events of one shard that all apply; their numbers in the journal."""

    def make(count, publish=True):
        made = numbers(count, prefix=f"R{rig.one('select count(*) from journal')}-")
        appended = rig.append(*(created(subject=name, payments=()) for name in made))
        if publish:
            rig.streams.publish(appended.new)
        return [entry.seq for entry in appended.new]

    return make


def in_stream(rig, shard=SHARD):
    """The journal's numbers in a stream, in its order."""
    return [decode(event, shard)[0] for _, event in rig.streams.read([shard], 100_000).get(shard, [])]


def mark(rig, shard=SHARD):
    return rig.one("select seq from relay_marks where shard = :shard", shard=shard)


def last(rig):
    return rig.one("select last_value from journal_seq")


def passed_over(rig):
    """Undecided events that nobody would ever look for again."""
    return rig.do(
        "select seq from journal where not exists (select from results where results.seq = journal.seq) "
        "except select seq from undecided"
    )


def assert_all_decided(rig):
    with rig.engine.connect() as conn:
        assert undecided(conn) == 0
    assert rig.account()["waiting"] == 0
    assert not rig.streams.look().waiting()


# -- Redis forgets -------------------------------------------------------------------------------------


def test_after_a_flush_everything_undecided_is_read_in_the_journal_and_applies_once(rig, numbers):
    names = numbers(40)
    events = [created(subject=name, payments=(f"p {name}",)) for name in names]
    events += [paid(payment=f"p {name}", subject=None) for name in names]
    first = rig.accept(*events[:30])
    rig.drain(batch=10).answer(SHARD, slice_s=0)  # some are decided, some were read and not finished
    rig.streams.read([SHARD], 5)
    second = rig.accept(*events[30:])
    rig.client.flushdb()
    decided = {seq for (seq,) in rig.do("select seq from results")}
    done = relay(rig.engine, rig.streams)
    waiting: dict[int, list[int]] = {}
    for entry in first.new + second.new:
        if entry.seq not in decided:
            waiting.setdefault(entry.shard, []).append(entry.seq)
    assert sum(map(len, waiting.values())) == 70
    assert done.behind == len(waiting)
    assert rig.streams.look().behind == {shard: seqs[0] - 1 for shard, seqs in waiting.items()}
    assert relay(rig.engine, rig.streams).behind == 0, "what is behind is not put there again"
    rig.work()
    assert set(rig.outcomes(*events)) == {"applied"}
    assert_all_decided(rig)
    account = rig.account()
    assert (account["accepted"], account["applied"], account["duplicate"]) == (80, 80, 0)
    assert rig.one("select count(*) from orders where version = 3 and status = 'preparing'") == 40


def test_what_was_never_published_is_found_and_rung(rig, one_shard):
    seqs = one_shard(3, publish=False)
    done = relay(rig.engine, rig.streams)
    assert (done.behind, done.rung) == (1, 1)
    assert rig.streams.look().behind == {SHARD: seqs[0] - 1}
    assert rig.rung == [SHARD]


def test_it_rings_what_waits_without_a_doorbell_and_only_that(rig, one_shard):
    one_shard(3)
    rig.streams.answer(SHARD, 1)  # a worker took the ring, and was killed
    rig.rung.clear()
    relay(rig.engine, rig.streams)
    relay(rig.engine, rig.streams)
    assert rig.rung == [SHARD], "the second finds a doorbell on its way"


def test_an_event_on_its_way_through_its_publisher_is_left_to_it(rig, one_shard, monkeypatch):
    monkeypatch.setattr(module, "SETTLING_S", 1.5)
    seqs = one_shard(2, publish=False)
    assert relay(rig.engine, rig.streams).behind == 0
    rig.do("update journal set accepted_at = accepted_at - interval '2 s' where seq = :seq", seq=seqs[0])
    assert relay(rig.engine, rig.streams).behind == 1
    assert rig.streams.look().behind == {SHARD: seqs[0] - 1}


def test_flushes_while_workers_publishers_and_relay_are_at_work_lose_nothing_and_double_nothing(rig, numbers):
    """Two workers, one publisher, one relay, and somebody who empties Redis all the time."""
    orders = 150
    events = []
    for n in range(orders):
        events += [created(subject=f"N{n}", payments=(f"p{n}",)), paid(payment=f"p{n}", subject=None)]
    ended, published = threading.Event(), threading.Event()
    flushes: list[object] = []

    def publish():
        for at in range(0, len(events), 10):
            rig.accept(*events[at : at + 10])
        published.set()

    def work(seed):
        random, drain = Random(seed), rig.drain(Streams(rig.client, SHARDS, lambda shard: None), batch=16)
        while not ended.is_set():
            waiting = rig.streams.look().waiting()
            with contextlib.suppress(redis.RedisError):  # flushed between two commands: the next ring
                if waiting:
                    drain.answer(random.choice(waiting), slice_s=0)
            ended.wait(0.001)

    def again():
        until, engine = monotonic() + 40, rig.own_engine()
        while monotonic() < until:
            relay(engine, rig.streams)
            with engine.connect() as conn:
                if published.is_set() and undecided(conn) == 0:
                    break
        ended.set()

    def flush():
        while not ended.wait(0.05) and len(flushes) < 30:
            flushes.append(rig.client.flushdb())

    rig.at_once(publish, lambda: work(1), lambda: work(2), again, flush)
    assert flushes
    rig.work()
    assert set(rig.outcomes(*events)) == {"applied"}
    assert_all_decided(rig)
    assert rig.one("select count(*) from orders where version = 3") == orders
    assert rig.account()["duplicate"] == 0


# -- marks ---------------------------------------------------------------------------------------------


def test_a_mark_moves_up_to_what_is_decided_and_no_further(rig, one_shard):
    seqs = one_shard(6, publish=False)
    with rig.engine.connect() as conn:
        entries = read(conn, seqs)
    rig.settle(entries[:2] + entries[3:])  # the third is undecided, the later ones are not
    for _ in range(3):
        relay(rig.engine, rig.streams)
    assert mark(rig) == seqs[1]
    assert rig.streams.look().behind == {SHARD: seqs[2] - 1}
    rig.work()
    for _ in range(3):
        relay(rig.engine, rig.streams)
    assert mark(rig) == last(rig)


def test_a_mark_never_passes_a_number_that_an_open_transaction_has_drawn(rig, numbers):
    """Numbers are drawn in another order than commits: what commits late is found all the same."""
    early, late = created(subject=numbers(2)[0]), created(subject=numbers(2)[1], payments=())
    with rig.engine.connect() as slow:
        [drawn] = rig.appended(slow, early)
        rig.tell(late)
        for _ in range(4):
            relay(rig.engine, rig.streams)
        assert drawn.seq < rig.one("select seq from journal")
        assert mark(rig) < drawn.seq
        slow.commit()
    # Its publisher died right then: only the relay can find it.
    assert relay(rig.engine, rig.streams).behind == 1
    rig.work()
    assert rig.outcome(early) == "applied"
    for _ in range(3):
        relay(rig.engine, rig.streams)
    assert mark(rig) == last(rig)


def test_a_transaction_that_gave_up_does_not_hold_the_marks(rig, numbers, one_shard):
    with rig.engine.connect() as slow:
        rig.appended(slow, created(subject=numbers(1)[0]))
        slow.rollback()
    one_shard(2)
    rig.work()
    for _ in range(3):
        relay(rig.engine, rig.streams)
    assert mark(rig) == last(rig)


def test_marks_are_right_while_transactions_of_all_lengths_come_and_go(rig, numbers, tries):
    """Writers that draw numbers and commit at random, a relay all the time: nothing is ever passed over."""
    names = numbers(3 * tries)
    ended = threading.Event()
    passed: list[object] = []

    def write(writer):
        random, engine = Random(writer), rig.own_engine()
        for name in names[writer::3]:
            with engine.connect() as conn:
                rig.appended(conn, created(subject=name, payments=()))
                ended.wait(random.choice((0, 0, 0.002, 0.02)))
                conn.rollback() if random.random() < 0.2 else conn.commit()

    def watch():
        engine = rig.own_engine()
        while not ended.is_set():
            relay(engine, rig.streams)
            drain.answer(SHARD, slice_s=0)
            passed.extend(passed_over(rig))

    drain = rig.drain()
    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    watcher = threading.Thread(target=watch)
    for thread in [*writers, watcher]:
        thread.start()
    for thread in writers:
        thread.join(60)
    ended.set()
    watcher.join(30)
    assert passed == []
    for _ in range(3):
        relay(rig.engine, rig.streams)
        rig.work()
    assert_all_decided(rig)


# -- backlogs ------------------------------------------------------------------------------------------


def test_a_stream_that_is_not_low_is_left_alone(rig, one_shard):
    rig.streams.cap = 16
    one_shard(10)
    one_shard(1, publish=False)
    assert relay(rig.engine, rig.streams).behind == 0
    rig.work()
    assert relay(rig.engine, rig.streams).behind == 1


def test_what_waits_is_rung_for_where_no_stream_is_low(rig):
    """The workers took the bells of a backlog, and were killed."""
    rig.streams.cap = 16
    rig.accept(*(created(subject=name, payments=()) for shard in range(SHARDS) for name in numbers_of(shard, 5)))
    for shard in range(SHARDS):
        rig.streams.answer(shard, 1)
    rig.rung.clear()
    done = relay(rig.engine, rig.streams)
    assert (done.behind, done.rung) == (0, len(rig.rung)) == (0, 2)


def test_what_a_low_stream_lacks_is_found_among_what_it_has(rig, one_shard):
    rig.streams.cap = 64
    seqs = one_shard(3) + one_shard(1, publish=False) + one_shard(3)
    assert relay(rig.engine, rig.streams).behind == 1
    assert rig.streams.look().behind == {SHARD: seqs[3] - 1}
    assert in_stream(rig) == seqs[:3] + seqs[4:]
    rig.work()
    assert_all_decided(rig)
    assert relay(rig.engine, rig.streams).behind == 0


def test_what_is_passed_over_while_a_shard_is_behind_is_gone_back_to(rig, one_shard):
    """A number that was drawn before those that the drain read, and committed after them; its publisher died."""
    rig.streams.cap = 16
    one_shard(16)
    [lost] = one_shard(1, publish=False)
    one_shard(20)
    assert relay(rig.engine, rig.streams).behind == 0, "the stream has enough to do"
    rig.drain(batch=16).answer(SHARD, slice_s=0)
    assert rig.streams.look().behind == {SHARD: lost}
    assert relay(rig.engine, rig.streams).behind == 1
    assert rig.streams.look().behind == {SHARD: lost - 1}
    rig.work()
    assert_all_decided(rig)


# -- replay --------------------------------------------------------------------------------------------


def test_what_is_replayed_below_a_mark_is_found(rig, numbers, one_shard):
    name = numbers(1)[0]
    order, wrong = created(subject=name), paid(subject=name, currency="USD")
    rig.tell(order, wrong)
    one_shard(3)
    rig.work()
    for _ in range(3):
        relay(rig.engine, rig.streams)
    assert mark(rig) == last(rig)
    with rig.engine.begin() as conn:
        dead_letters.edit(conn, wrong.id, {**wrong.data, "currency": "KRW"}, None, "tester")
        assert len(dead_letters.replay(conn, [wrong.id], "tester").entries) == 1
    assert rig.outcome(wrong) == "undecided"
    assert relay(rig.engine, rig.streams).behind == 1, "nobody published it"
    rig.work()
    assert (rig.outcome(wrong), rig.status(name)) == ("applied", "preparing")
    for _ in range(3):
        relay(rig.engine, rig.streams)
    assert mark(rig) == last(rig)


def test_a_mark_that_was_lowered_by_hand_costs_a_look_and_doubles_nothing(rig, one_shard):
    one_shard(20)
    rig.work()
    for _ in range(3):
        relay(rig.engine, rig.streams)
    before = rig.account()
    rig.do("update relay_marks set seq = 0")
    assert relay(rig.engine, rig.streams).behind == 0
    assert mark(rig) == last(rig)
    assert rig.account() == before


def test_a_replay_while_the_relay_looks_is_not_passed_over(rig, numbers, monkeypatch):
    """The relay saw all decided; before it moves the mark, a replay commits."""
    name = numbers(1)[0]
    wrong = told("PaymentSucceeded", subject=name, paymentId="pay", amount="1", currency="USD")
    rig.tell(created(subject=name), wrong)
    relay(rig.engine, rig.streams)
    move = module._move_marks

    def replayed_first(conn, found, horizon):
        with rig.own_engine().begin() as other:
            dead_letters.replay(other, [wrong.id], "tester")
        monkeypatch.setattr(module, "_move_marks", move)
        move(conn, found, horizon)

    monkeypatch.setattr(module, "_move_marks", replayed_first)
    for _ in range(3):
        relay(rig.engine, rig.streams)
    assert mark(rig) < rig.one("select seq from journal where event_id = :id", id=wrong.id)
    rig.work()
    assert rig.outcome(wrong) != "undecided"
