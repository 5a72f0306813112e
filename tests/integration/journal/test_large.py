"""Large orders, long histories and many that wait, on real servers: work is bounded, and so is memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import pairwise
from time import process_time
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from journal import batch as batches
from journal import drain as drains
from journal import parked as sweeps
from journal.parked import sweep
from journal.streams import Look
from journal.verify import verify
from queries import timeline
from queries.parser import Query
from queries.repository import each
from tests.builders import ORDER, confirmed, created, paid, scan, shipped, told
from tests.large import large_life

ORDERS = 4_000


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """The statements that are sent to the database meanwhile."""
    found: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        found.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)


# -- batches -----------------------------------------------------------------------------------------


def test_a_batch_of_a_large_order_and_its_verification_cost_by_their_lines(rig):
    """In processor time of this process, the best of three, and in statements."""
    rig.settle(rig.entries(*large_life(2, 2, 2, order="warm")))
    costs = []
    for size in (6, 12, 24):
        settling, verifying, sending = [], [], set()
        for turn in range(3):
            order = f"O{size}-{turn}"
            entries = rig.entries(*large_life(100, size, size, order=order))
            with statements(rig.engine) as sent:
                settling.append(costing(partial(rig.settle, entries)))
                verifying.append(costing(partial(verify, rig.engine, order)))
            sending.add(len(sent))
            assert rig.status(order) == "returned"
        costs.append((min(settling), min(verifying), sending))
    assert costs[0][2] == costs[1][2] == costs[2][2]
    assert len(costs[0][2]) == 1
    for before, after in pairwise(costs):
        assert after[0] < 3 * before[0], costs
        assert after[1] < 3 * before[1], costs
    assert verify(rig.engine).differences == []


def costing(work: Callable[[], object]) -> float:
    """Seconds of processor time; what others left to be collected is none of it."""
    gc.collect()
    begun = process_time()
    work()
    return process_time() - begun


def test_heavy_events_are_left_for_the_next_batch_and_others_are_not(rig, numbers, monkeypatch):
    monkeypatch.setattr(drains, "WORK", 100)
    large, *small = numbers(5)
    story = large_life(70, 4, 2, order=large)
    others = [created(subject=number, payments=()) for number in small]
    reports: list[batches.BatchReport] = []

    def settle(*args: Any, **more: Any) -> batches.BatchReport:
        reports.append(batches.settle(*args, **more))
        return reports[-1]

    monkeypatch.setattr(drains, "settle", settle)
    rig.accept(*story, *others)
    rig.work()
    assert reports[0].rest, "all of it was folded in one batch"
    first = {row[0] for row in rig.do("""
        select o.order_number from results r join orders o on o.id = r.order_id
        where decided_at = (select min(decided_at) from results)
    """)}  # fmt: skip
    assert first == {large, *small}
    assert rig.status(large) == "delivered"
    assert set(rig.outcomes(*story, *others)) == {"applied"}
    assert rig.one("select count(*) from results where order_id is null") == 0
    assert verify(rig.engine).differences == []


def test_what_was_left_of_a_backlog_is_read_in_the_journal_again(rig, numbers, monkeypatch):
    monkeypatch.setattr(drains, "WORK", 100)
    [large] = numbers(1)
    story = large_life(70, 4, 2, order=large)
    appended = rig.append(*story)
    shard = appended.new[0].shard
    rig.streams.fall_behind(shard, appended.new[0].seq - 1)
    rig.work()
    assert set(rig.outcomes(*story)) == {"applied"}
    assert rig.streams.look().behind == {}
    assert verify(rig.engine).differences == []


def test_a_shard_with_a_large_order_drains_alone_and_half_of_the_time(rig, monkeypatch):
    drain = rig.drain()
    lengths = [0] * 64
    lengths[3], lengths[5], lengths[7] = 9, 9, 9
    look = Look(lengths, {})
    assert set(drain._window(3, look, set())) == {3, 5, 7}
    drain._slow.add(5)
    assert set(drain._window(3, look, set())) == {5}
    drain._owed_s = 0.5  # the others' turn, until they have had as much
    assert set(drain._window(3, look, set())) == {3, 7}
    lengths[3] = lengths[7] = 0
    assert set(drain._window(3, look, set())) == {5}, "nobody else waits"


# -- the sweep ---------------------------------------------------------------------------------------


@pytest.fixture
def no_turn(monkeypatch):
    """No order has its turn: only what changed is examined."""
    monkeypatch.setattr(sweeps, "TURNS", 2**30)


def examined(rig) -> int:
    """The number of orders that a sweep examines."""
    found = 0

    def counting(conn: Any, entries: Any, context: Any, shop: Any, deferral: Any, retry: batches.Retry) -> Any:
        nonlocal found
        found += len(retry.orders)
        return batches.settle(conn, entries, context, shop, deferral, retry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeps, "settle", counting)
        assert sweep(rig.engine, rig.policy, rig.shop) == (0, 0)
    return found


def test_the_sweep_examines_an_order_again_only_once_it_changed(rig, no_turn):
    names = [f"N{i}" for i in range(30)]
    rig.tell(*(confirmed(subject=name) for name in names))
    rig.tell(*(created(subject=name, payments=()) for name in names))
    assert examined(rig) == 30
    with statements(rig.engine) as sent:
        assert examined(rig) == 0
    assert len(sent) <= 3, "a look at what changed, and one at what is over"
    rig.tell(paid(subject="N7", payment="p7"))
    assert examined(rig) == 1
    assert examined(rig) == 0


def test_each_order_has_its_turn_though_it_did_not_change(rig, monkeypatch):
    monkeypatch.setattr(sweeps, "TURNS", 4)
    rig.tell(*(confirmed(subject=f"N{i}") for i in range(40)))
    turns = []
    for turn in (0, 1, 2, 3, 0, 1, 2, 3):
        monkeypatch.setattr(sweeps, "randrange", lambda _, turn=turn: turn)
        turns.append(examined(rig))
    assert turns[0] == 40, "nobody had looked yet"
    assert sum(turns[4:]) == 40
    assert max(turns[4:]) < 40


def test_one_run_of_the_sweep_is_bounded_and_the_next_goes_on(rig, no_turn, monkeypatch):
    monkeypatch.setattr(sweeps, "A_RUN", 4)
    rig.tell(*(confirmed(subject=f"N{i}") for i in range(10)))
    assert [examined(rig) for _ in range(4)] == [4, 4, 2, 0]


def test_the_sweep_leaves_what_somebody_holds(rig, no_turn):
    rig.tell(confirmed(subject="N1"), confirmed(subject="N2"))
    with rig.own_engine().connect() as conn:
        conn.execute(text("select from orders where order_number = 'N1' for update"))
        assert examined(rig) == 1
    assert examined(rig) == 1


# -- looking -----------------------------------------------------------------------------------------


def test_a_page_of_a_long_timeline_reads_no_more_than_it_skips_and_shows(rig):
    parcel: dict[str, Any] = {"carrier": "CJ", "trackingNumber": "T1"}
    rig.tell(
        created(subject="N1"), paid(subject="N1"), shipped("box", subject="N1", **parcel),
        *(scan("in_transit", "T1", carrier="CJ", subject="N1") for _ in range(1500)),
        told("Unheard", subject="N1"),
    )  # fmt: skip
    rig.do("update relay_marks set seq = (select max(seq) from results)")
    rig.append(late := confirmed(subject="N1"))
    rig.do("analyze results")
    rig.do("analyze journal")
    order = rig.order("N1").id
    with rig.engine.connect() as conn:
        whole = timeline.timeline(conn, order)
        assert (len(whole), whole[-1]["id"]) == (timeline.length(conn, order), late.id)
        assert timeline.newest(conn, order, 10) == whole[-10:]
        assert timeline.newest(conn, order, 10, skip=10) == whole[-20:-10]
        assert timeline.timeline(conn, order, 10, skip=20) == whole[20:30]
        assert timeline.timeline(conn, order, 10, skip=len(whole)) == []
        plan = conn.execute(
            text(f"explain (analyze, format json) {timeline._OLDEST.text}"),
            {"id": order, "upto": 30, "most": 10, "skip": 20},
        ).scalar_one()
    assert max(_rows_of(plan[0]["Plan"], "journal")) <= 30, plan


def _rows_of(node: dict[str, Any], table: str) -> Iterator[float]:
    """Rows that each scan of a table came to, over all its loops."""
    if node.get("Relation Name") == table:
        yield node["Actual Rows"] * node["Actual Loops"]
    for inner in node.get("Plans", ()):
        yield from _rows_of(inner, table)


def test_all_orders_are_listed_with_few_of_them_in_memory(rig):
    rig.tell(created(subject="first"))
    rig.do(
        "insert into orders (id, order_number, shard, status, version, currency, placed_at) "
        "select gen_random_uuid(), 'X' || n, 0, 'pending', 1, 'KRW', now() from generate_series(1, :count) n",
        count=ORDERS - 1,
    )
    with rig.engine.connect() as conn:
        asked = Query(limit=0, sort=("-createdAt",))
        next(each(conn, "orders", asked))  # what is built once
        conn.rollback()
        tracemalloc.start()
        count = sum(1 for _ in each(conn, "orders", asked))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == ORDERS
    assert peak < 6 * 2**20, f"{peak:,} bytes"


def test_a_long_history_is_verified_a_page_at_a_time(rig, monkeypatch):
    from journal import verify as module

    monkeypatch.setattr(module, "EVENTS", 20)
    monkeypatch.setattr(module, "PAGE", 7)
    rig.tell(*large_life(3, 6, 3, scans=2), *(created(subject=f"N{i}") for i in range(30)))
    report = verify(rig.engine)
    assert (report.orders, report.differences) == (31, [])
    assert report.events == rig.one("select count(*) from results where apply_number is not null")
    at = rig.one("select max(decided_at) from results") + timedelta(seconds=1)
    known = module.as_known_at(rig.engine, ORDER, at)
    assert known is not None
    assert module.compare(rig.order(ORDER), known) == []
