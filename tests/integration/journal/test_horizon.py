"""Holders of the relay's horizon on real servers: transactions that append, and no others, however long they take.

Numbers are drawn in another order than commits: nothing undecided is ever passed over. And what a round reads is what
is open and what came since the last one.
"""

from __future__ import annotations

from contextlib import ExitStack
from random import Random
from threading import Event

import pytest
from sqlalchemy import text

from journal import relay as module
from journal.entries import read, undecided_after
from journal.relay import relay, undecided
from operations import dead_letters
from tests.builders import created, paid
from tests.conftest import SHARDS
from tests.integration.journal.test_relay import mark, passed_over

FLOW = 3_000  # events that are decided while somebody holds something
FEW = 12 * SHARDS  # rows that a quiet round may read

ROWS_READ = text(
    "select sum(seq_tup_read + idx_scan + coalesce(idx_tup_fetch, 0)) from pg_stat_xact_user_tables "
    "where relname in ('journal', 'results')"
)


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Nothing is too young for the relay."""
    monkeypatch.setattr(module, "SETTLING_S", 0)


def flow(rig, count=FLOW, decided=True):
    """So many events over all shards, decided at once."""
    rig.do(
        """
        with new as (
            insert into journal (source, event_id, type, time, subject, shard, data, digest)
            select 'flow', gen_random_uuid(), 'OrderCreated', now(), 'N' || n, n % cast(:shards as integer), '{}', ''
            from generate_series(1, :count) n returning seq)
        insert into results (seq, outcome, policy_id, decided_at) select seq, 'ignored', :policy, now() from new
        where :decided
        """,
        count=count,
        shards=SHARDS,
        policy=rig.shop.policy_id,
        decided=decided,
    )


@pytest.fixture
def rows_read(rig, monkeypatch):
    """`rows_read()`: rows of the journal and of results that one round looks at."""
    move, found, engine = module._move_marks, [], rig.own_engine(1)

    def count(conn, *arguments):
        found.append(conn.execute(ROWS_READ).scalar_one())
        conn.execute(text("select pg_stat_force_next_flush()"))  # else the next round's count begins at ours
        move(conn, *arguments)

    monkeypatch.setattr(module, "_move_marks", count)

    def read():
        found.clear()
        relay(engine, rig.streams)
        return int(found[0])

    return read


# -- what it costs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "held",
    ["select 1", "select count(*) from journal", "update fixed set value = value", "select pg_current_xact_id()"],
    ids=["idle", "reader", "writer", "idle with an id"],
)
def test_a_transaction_that_does_not_append_costs_no_round_anything(rig, rows_read, held):
    with rig.own_engine().connect() as long:
        long.execute(text(held))
        flow(rig)
        for _ in range(3):
            rows_read()
        assert rows_read() <= FEW
        assert rig.one("select min(seq) from relay_marks") == FLOW
        with rig.engine.connect() as conn:
            assert undecided(conn) == 0
        long.rollback()


def test_an_event_that_stays_undecided_costs_itself_alone(rig, rows_read):
    """Somebody holds its order's row; its shard goes on."""
    [stuck] = rig.accept(created(subject="N7")).new
    flow(rig)
    for _ in range(4):
        rows_read()
    assert rows_read() <= FEW
    assert mark(rig, stuck.shard) == stuck.seq - 1
    assert rig.do("select seq from undecided") == [(stuck.seq,)]
    assert _read_by_a_drain(rig, stuck) <= 12
    rig.client.flushdb()
    assert relay(rig.engine, rig.streams).behind == 1, "it is looked for all the same"
    rig.work()
    for _ in range(2):
        relay(rig.engine, rig.streams)
    assert mark(rig, stuck.shard) == FLOW + 1


def _read_by_a_drain(rig, stuck):
    """Rows that a drain reads in the journal where the shard is behind from `stuck` on; it finds that one alone."""
    with rig.own_engine(1).connect() as conn:
        found = undecided_after(conn, stuck.shard, stuck.seq - 1, 100, 10_000)
        assert [entry.seq for entry in found] == [stuck.seq]
        return int(conn.execute(ROWS_READ).scalar_one())


def test_more_open_events_than_a_mark_may_pass_are_all_looked_for(rig, monkeypatch):
    monkeypatch.setattr(module, "OPEN", 8)
    flow(rig, 3 * module.OPEN * SHARDS, decided=False)
    for _ in range(module.OPEN + 5):
        relay(rig.engine, rig.streams)
    assert rig.one("select max(cardinality(open)) from relay_marks") == module.OPEN
    assert passed_over(rig) == []
    with rig.engine.connect() as conn:
        assert undecided(conn) == 3 * module.OPEN * SHARDS


def test_a_shard_with_much_to_do_is_looked_at_too(rig, rows_read):
    """Its stream is not low for as long as the backlog lasts: what is decided meanwhile is not read at the end."""
    flow(rig)
    rig.streams.cap = 1
    rig.accept(*(created(subject=f"M{n}", payments=()) for n in range(4 * SHARDS)))
    assert min(rig.streams.look().lengths) >= 1
    for _ in range(3):
        rows_read()
    assert rows_read() <= FEW


# -- whom it waits for ---------------------------------------------------------------------------------


def test_a_number_that_was_drawn_by_a_transaction_without_an_id_is_waited_for(rig, numbers):
    """PostgreSQL gives a transaction its id with the first row that it writes: the number is drawn before that."""
    rig.do("create function pause() returns trigger language plpgsql as "
           "'begin perform pg_advisory_xact_lock(4); return new; end'")  # fmt: skip
    rig.do("create trigger pause before insert on journal for each row when (new.subject = 'slow') "
           "execute function pause()")  # fmt: skip
    rig.append(
        created(subject="first", payments=())
    )  # with it PostgreSQL logs the next 32 numbers, so they cost no transaction its id
    slow, gated = created(subject="slow", payments=()), Event()

    def late():
        gated.wait(30)
        rig.append(slow)

    def meanwhile():
        with rig.own_engine().connect() as gate:
            gate.execute(text("select pg_advisory_xact_lock(4)"))
            gated.set()
            rig.wait_until_blocked()
            assert rig.one("select count(*) from pg_locks where locktype = 'transactionid'") == 0
            drawn = rig.one("select last_value from journal_seq")
            flow(rig, SHARDS)
            for _ in range(4):
                relay(rig.engine, rig.streams)
            assert rig.one("select max(above) from relay_marks") < drawn
            gate.rollback()

    rig.at_once(late, meanwhile)
    rig.client.flushdb()
    assert relay(rig.engine, rig.streams).behind == 2, "their publishers died right then"
    rig.work()
    assert rig.outcome(slow) == "applied"


def test_the_first_number_of_all_is_not_passed_before_it_is_drawn(rig):
    for _ in range(3):
        relay(rig.engine, rig.streams)
    first = rig.append(created(subject="N1")).new[0]
    assert first.seq == 1
    assert relay(rig.engine, rig.streams).behind == 1, "its publisher died right then"


def test_a_statement_that_appends_by_itself_is_waited_for(rig):
    """Whatever writes to the journal, by whatever statement: the table itself knows its appenders."""
    with rig.own_engine().connect() as long:
        long.execute(text(
            "insert into journal (source, event_id, type, time, shard, data, digest) "
            "values ('hand', '1', 'OrderCreated', now(), 3, '{}', '')"
        ))  # fmt: skip
        flow(rig, SHARDS)
        for _ in range(4):
            relay(rig.engine, rig.streams)
        assert rig.one("select max(above) from relay_marks") == 0
        long.commit()
    for _ in range(2):
        relay(rig.engine, rig.streams)
    assert passed_over(rig) == []
    assert mark(rig, 4) == SHARDS + 1


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_passed_over_in_any_order_of_draws_commits_rounds_and_replays(rig, seed):
    """Six connections that append, give up, decide and take back by chance; the relay looks after every few steps."""
    random, number = Random(seed), 0
    with ExitStack() as stack:
        lines = [stack.enter_context(rig.own_engine(1).connect()) for _ in range(6)]
        for _ in range(150):
            step, line = random.random(), random.choice(lines)
            if step < 0.4:
                number += random.randint(1, 3)
                events = [created(subject=f"N{number - n}", payments=()) for n in range(random.randint(1, 3))]
                rig.appended(line, *events, *(paid(subject=one.subject, currency="USD") for one in events[:1]))
            elif step < 0.6:
                line.commit() if random.random() < 0.7 else line.rollback()
            elif step < 0.75:
                _decide_some(rig, random)
            elif step < 0.8:
                with rig.engine.begin() as conn:
                    dead = conn.execute(text("select event_id from dead_letters join journal using (seq) "
                                             "where state = 'open' order by random() limit 1")).scalars()  # fmt: skip
                    dead_letters.replay(conn, dead.all(), "tester")
            else:
                relay(rig.engine, rig.streams)
            assert passed_over(rig) == []
        for line in lines:
            line.commit()
    assert passed_over(rig) == []
    rig.client.flushdb()
    for _ in range(module.OPEN):
        relay(rig.engine, rig.streams)
        rig.work()
    assert rig.account()["waiting"] == 0
    assert rig.one("select count(distinct seq) from relay_marks") == 1


def _decide_some(rig, random):
    seqs = [seq for (seq,) in rig.do("select seq from undecided order by seq")]
    with rig.engine.connect() as conn:
        chosen = read(conn, random.sample(seqs, len(seqs) // 2))
    rig.settle(chosen)


# -- one round at a time -------------------------------------------------------------------------------


def test_a_round_beside_another_only_rings(rig, rows_read):
    rig.append(created(subject="N1"))
    rig.accept(created(subject="N2"))
    rig.client.delete(*rig.client.keys("orders:{*}:bell"))
    rig.rung.clear()
    with rig.own_engine().connect() as other:
        assert other.execute(module._DRAWN).scalar() is not None
        done = relay(rig.engine, rig.streams)
        assert (done.behind, done.rung) == (0, 1)
    assert relay(rig.engine, rig.streams).behind == 1


def test_a_mark_that_somebody_holds_is_not_waited_for(rig):
    flow(rig)
    with rig.own_engine().connect() as other:
        other.execute(text("select from relay_marks where shard = 7 for update"))
        for _ in range(3):
            relay(rig.engine, rig.streams)
        assert (mark(rig, 7), mark(rig, 8)) == (0, FLOW)
        other.rollback()
    relay(rig.engine, rig.streams)
    assert mark(rig, 7) == FLOW
