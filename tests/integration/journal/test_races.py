"""Races on real servers, with nobody sweeping up: whoever commits first, everything applies.

Each try has a random start and a random pause before each commit. `RACE_TRIES=1000` runs each
race so often; `-s` shows how often which commit came first, and how often one waited for another's.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from threading import Barrier, BrokenBarrierError
from time import perf_counter, sleep

import pytest
from sqlalchemy import event, text

from journal.batch import Clash
from journal.drain import LOCK_SPACE, PER_SHARD
from journal.streams import Streams
from tests.builders import created, failed, paid, scan, shipped, told, tracked, won
from tests.conftest import SHARDS

STARTS_S = (0, 0, 0.001, 0.004, 0.03)
PAUSES_S = (0, 0, 0.0005, 0.002, 0.005)  # before a commit
SEED = 20261101


# -- what races: (told before, one event a rival, the status that all of it must end in) --------------


def by_number(n):
    order = created(subject=f"N{n}", payments=())
    return [], [order, paid(payment=f"p{n}", subject=f"N{n}")], "preparing"


def by_payment(n):
    """The payment names no order: the order names it."""
    return [], [created(subject=f"N{n}", payments=(f"p{n}",)), paid(payment=f"p{n}", subject=None)], "preparing"


def by_a_third_event(n):
    """The payment names no order, and the order names no payment: another event names both."""
    events = [
        created(subject=f"N{n}", payments=()),
        failed(payment=f"p{n}", subject=f"N{n}"),
        paid(payment=f"p{n}", subject=None),
    ]
    return [], events, "preparing"


def by_parcel(n):
    """The scan names no order: the shipment names it."""
    before = [created(subject=f"N{n}", payments=(f"p{n}",)), paid(subject=f"N{n}", payment=f"p{n}")]
    box = shipped(subject=f"N{n}", carrier="CJ Logistics", trackingNumber=f"T{n}")
    return before, [box, scan("delivered", f"T{n}", carrier="cj  logistics")], "delivered"


def by_parcel_of_a_new_order(n):
    """Nobody knows the order yet; whoever comes last makes all of it applicable."""
    events = [
        created(subject=f"N{n}", payments=(f"p{n}",)),
        paid(payment=f"p{n}", subject=None),
        shipped(subject=f"N{n}", carrier="CJ Logistics", trackingNumber=f"T{n}"),
        scan("delivered", f"T{n}", carrier="CJ Logistics"),
    ]
    return [], events, "delivered"


MATCHES = (by_number, by_payment, by_a_third_event, by_parcel, by_parcel_of_a_new_order)


@pytest.fixture
def races(rig):
    """`races(match, count)`: made, and what comes before them applied."""

    def make(match, count):
        made = [match(n) for n in range(count)]
        rig.settle(rig.entries(*(event for before, _, _ in made for event in before)))
        return made

    return make


def assert_all_applied(rig, made):
    """Every event applied (but for a failure that a success had overtaken), nothing parked, the state right."""
    rows = rig.do("select j.event_id, r.outcome, r.reason from journal j left join results r using (seq)")
    odd = [row for row in rows if row[1] != "applied" and tuple(row[1:]) != ("ignored", "overtaken")]
    assert odd == []
    assert {event.id for _, events, _ in made for event in events} <= {row[0] for row in rows}
    account = rig.account()
    assert (account["parked"], account["dead"], account["waiting"]) == (0, 0, 0)
    statuses = {f"N{n}": status for n, (_, _, status) in enumerate(made)}
    found = rig.orders(statuses)
    assert {number: order.status for number, order in found.items()} == statuses
    assert all(order.captured() == won(10_000) for order in found.values())


class Clocked:
    """The times at which each rival of one try began, had settled, and had committed: who was first, and who waited."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def note(self, marks):
        first = min(marks, key=lambda one: one[2])
        others = [one for one in marks if one is not first]
        who = "event" if marks.index(first) else "order"
        if all(begun >= first[2] for begun, _, _ in others):
            self.counts[f"{who} committed before the other began"] += 1
        elif any(settled >= first[2] for _, settled, _ in others):
            self.counts[f"{who} first, the other waited"] += 1
        else:
            self.counts[f"{who} first, side by side"] += 1


@pytest.mark.timeout(600)
@pytest.mark.parametrize("match", MATCHES, ids=lambda match: match.__name__)
def test_two_transactions_at_one_instant_never_miss_each_other(rig, races, tries, match):
    made = races(match, tries)
    rivals = len(made[0][1])
    entries = [rig.entries(*(events[rival] for _, events, _ in made)) for rival in range(rivals)]
    start = Barrier(rivals, timeout=30)

    def run(rival):
        random, engine, marks = Random(SEED + rival), rig.own_engine(), []
        retried = 0
        for entry in entries[rival]:
            before, after = random.choice(STARTS_S), random.choice(PAUSES_S)
            settled: list[float] = []

            def hold(settled=settled, after=after):
                settled.append(perf_counter())
                sleep(after)

            start.wait()
            sleep(before)
            begun = perf_counter()
            retried += rig.settle([entry], engine, hold)
            marks.append((begun, settled[-1], perf_counter()))
        return marks, retried

    with ThreadPoolExecutor(rivals) as pool:
        runs = list(pool.map(run, range(rivals)))
    clocked = Clocked()
    for marks in zip(*(marks for marks, _ in runs), strict=True):
        clocked.note(list(marks))
    print(f"\n{match.__name__}, {tries} tries, {sum(n for _, n in runs)} done again: {dict(clocked.counts)}")
    assert_all_applied(rig, made)
    if tries >= 100:  # fewer may be all alike by chance
        assert len({kind.split()[0] for kind in clocked.counts}) == 2, "the race never ended both ways"
        assert any("waited" in kind for kind in clocked.counts), "the commits never overlapped"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("match", MATCHES, ids=lambda match: match.__name__)
def test_two_workers_at_one_instant_never_miss_each_other(rig, races, tries, match):
    """The same through the streams, each rival published and answered by a worker of its own."""
    made = races(match, tries)
    rivals = len(made[0][1])
    start, done = Barrier(rivals, timeout=30), Barrier(rivals, timeout=30)

    def run(rival):
        random, rung = Random(SEED + rival), deque[int]()
        drain = rig.drain(Streams(rig.client, SHARDS, rung.append))
        engine = rig.own_engine()
        for _, events, _ in made:
            with engine.begin() as conn:
                entries = rig.appended(conn, events[rival])
            start.wait()
            sleep(random.choice(STARTS_S))
            drain.streams.publish(entries)
            while rung:
                drain.answer(rung.popleft())
            done.wait()
            while rung:  # sent by the other worker's leave, or ours
                drain.answer(rung.popleft())

    with ThreadPoolExecutor(rivals) as pool:
        list(pool.map(run, range(rivals)))
    assert not rig.streams.look().waiting()
    assert_all_applied(rig, made)


@pytest.mark.parametrize("match", MATCHES, ids=lambda match: match.__name__)
def test_who_comes_second_waits_for_the_commit_and_sees_it(rig, races, match):
    """Not by chance: the others begin while the first is not committed yet; each comes first once."""
    made = races(match, len(match(0)[1]))
    for turn, (_, events, _) in enumerate(made):
        entries = rig.entries(*events)
        first = entries.pop(turn)
        with rig.engine.connect() as conn, ThreadPoolExecutor(len(entries)) as pool:
            rig.settle_in(conn, [first])
            late = [pool.submit(rig.settle, [entry]) for entry in entries]
            rig.wait_until_blocked()
            conn.commit()
            for one in late:
                one.result(30)
    assert_all_applied(rig, made)


# -- doorbells -----------------------------------------------------------------------------------------


class Moment(Streams):
    """Lets something happen once: just before a holder commits its batch, or once it saw that nothing is left."""

    happens: Callable[[], None] | None = None
    held = True  # while the shard is locked; False: after the holder's last look

    def drain(self, rig):
        made = rig.drain(self)
        event.listen(made.engine, "commit", lambda conn: self._let() if self.held else None)
        return made

    def finish(self, done, passed):
        found = super().finish(done, passed)
        if not found.waiting() and not self.held:
            self._let()
        return found

    def _let(self):
        if self.happens is not None:
            happens, self.happens = self.happens, None
            happens()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("held", [True, False], ids=["while it is held", "after the last look"])
def test_a_ring_around_the_holders_last_look_is_not_lost(rig, tries, held):
    """Rings are answered one by one, by two workers; no beat, no relay, no sweep ever looks."""
    bells: deque[int] = deque()
    looking = Moment(rig.client, SHARDS, bells.append)
    looking.held = held
    holder, other = looking.drain(rig), rig.drain(Streams(rig.client, SHARDS, bells.append))
    random, kinds = Random(SEED), Counter[str]()
    for n in range(tries):
        order, payment = created(subject=f"N{n}", payments=()), paid(payment=f"p{n}", subject=f"N{n}")
        [entry] = rig.append(order).new
        at_once = random.random() < 0.7
        left: list[dict[str, int]] = []

        def happens(payment=payment, at_once=at_once, left=left):
            rig.streams._ring = bells.append
            rig.accept(payment)
            assert bells, "what was published rang"
            if at_once:
                left.append(other.answer(bells.popleft()).outcomes)

        looking.happens = happens
        rig.streams._ring = bells.append
        rig.streams.publish([entry])
        holder.answer(bells.popleft())
        if held:
            assert left in ([], [{}]), "the other found the lock taken, and left"
            assert rig.outcome_of(payment) == "applied", "whoever holds the shard looks again after letting go"
        else:
            assert bool(left and left[0]) == at_once, "nobody held the shard any more"
            assert bells or at_once, "nobody would ever look again"
        kinds["answered at once" if at_once else "later"] += 1
        while bells:
            random.choice((holder, other)).answer(bells.popleft())
        assert rig.outcome_of(payment) == "applied"
    print(f"\na ring at the last look, {tries} tries: {dict(kinds)}")
    assert not rig.streams.look().waiting()
    account = rig.account()
    assert account["applied"] == 2 * tries


def test_who_finds_a_shard_taken_leaves_it_to_the_holder(rig, numbers):
    """Else two workers would ring each other for as long as the holder works."""
    [number] = numbers(1)
    rung: list[int] = []
    looking = Moment(rig.client, SHARDS, lambda shard: None)
    other = rig.drain(Streams(rig.client, SHARDS, rung.append))

    def happens():
        rig.accept(paid(subject=number))
        for _ in range(3):
            other.answer(7)

    looking.happens = happens
    rig.accept(created(subject=number))
    looking.drain(rig).answer(7)
    assert looking.happens is not happens, "it happened"
    assert rung == []


# -- the same thing twice ------------------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_entries_that_two_workers_hold_are_applied_once(rig, tries):
    """Redis handed them over twice, and no shard lock is in the way."""
    rounds, size = max(tries // 20, 3), 20
    random = Random(SEED)
    for turn in range(rounds):
        events = []
        for n in range(turn * size, turn * size + size):
            order, payment = created(subject=f"N{n}", payments=(f"p{n}",)), paid(payment=f"p{n}", subject=None)
            events += [order, payment, told("Unheard", subject=f"N{n}")]
        entries = rig.entries(*events)
        other = entries[random.randrange(size) :] if turn % 2 else entries[::-1]
        rig.at_once(lambda entries=entries: rig.settle(entries), lambda other=other: rig.settle(other))
    account = rig.account()
    assert account["accepted"] == rounds * size * 3
    assert account["applied"] == rounds * size * 2
    assert account["ignored"] == rounds * size
    assert account["duplicate"] == 0, "that is counted at the journal's door, and only there"
    assert rig.one("select count(*) from orders") == rig.one("select count(*) from orders where version = 3")
    assert rig.one("select count(*) from fulfillments") == rounds * size, "one plan each"


def test_an_entry_that_stands_in_the_stream_twice_is_applied_once(rig):
    appended = rig.accept(created(subject="N1"))
    rig.streams.publish(appended.new)
    rig.work()
    assert rig.account()["applied"] == 1


def test_who_died_between_commit_and_acknowledgement_costs_nothing(rig, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    order = created(subject="N1")
    rig.accept(order)
    [shard] = rig.rung
    with monkeypatch.context() as patch:
        patch.setattr(Streams, "finish", die)
        with pytest.raises(Killed):
            rig.drain().answer(shard)
    assert rig.outcome(order) == "applied"
    report = rig.drain().answer(shard)
    assert (report.known, report.outcomes) == (1, {})
    assert not rig.streams.look().waiting()


# -- claims --------------------------------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_of_two_orders_that_name_one_payment_one_gets_it_and_the_other_is_dead_and_visible(rig, tries):
    tries = max(tries // 2, 10)
    pairs = [
        [created(subject=f"{side}{n}", payments=(f"p{n}", f"own-{side}{n}")) for side in ("A", "B")]
        for n in range(tries)
    ]
    entries = [rig.entries(*side) for side in zip(*pairs, strict=True)]
    start, wins = Barrier(2, timeout=30), Counter[str]()

    def run(side):
        random, engine = Random(SEED + side), rig.own_engine()
        for entry in entries[side]:
            start.wait()
            sleep(random.choice(PAUSES_S))
            rig.settle([entry], engine, lambda: sleep(random.choice(PAUSES_S)))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, (0, 1)))
    ended = iter(rig.outcomes(*(order for pair in pairs for order in pair)))
    for two in zip(ended, ended, strict=True):
        assert sorted(two) == ["applied", "dead: payment_id_taken"]
    owners = rig.do(
        "select c.key, o.order_number, o.status from correlations c left join orders o on o.id = c.order_id "
        "where c.key like 'payment:p%'"
    )
    assert len(owners) == tries
    wins.update(number[0] for _, number, _ in owners)
    print(f"\nclaims, {tries} tries: {dict(wins)}")
    assert all(status == "pending" for _, _, status in owners)
    # Nothing of the loser is half done: no item, no payment, and it holds no other payment of its own.
    losers = rig.do("select id, order_number from orders where status = 'new'")
    assert len(losers) == tries
    ids = [id for id, _ in losers]
    for table in ("order_items", "transactions", "timers", "fulfillments"):
        assert rig.one(f"select count(*) from {table} where order_id = any(cast(:ids as uuid[]))", ids=ids) == 0
    assert rig.one("select count(*) from correlations where order_id = any(cast(:ids as uuid[]))", ids=ids) == 0
    account = rig.account()
    assert (account["applied"], account["dead"]) == (tries, tries)
    # And the money finds the winner.
    rig.settle(rig.entries(*(paid(payment=f"p{n}", subject=None) for n in range(tries))))
    assert rig.one("select count(*) from orders where status = 'preparing'") == tries


# -- many workers --------------------------------------------------------------------------------------


class _Counting(logging.Handler):
    """How many batches had to be done again."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.count = 0

    def emit(self, record):
        self.count += "drain again" in record.getMessage()


@pytest.fixture
def again():
    log, counting = logging.getLogger("journal.drain"), _Counting()
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(counting)
    yield counting
    log.removeHandler(counting)
    log.setLevel(level)


@pytest.mark.timeout(600)
def test_workers_whose_windows_overlap_do_not_fall_over_each_other(rig, tries, again):
    """Four workers, small batches out of all shards; an order's events lie in three of them."""
    orders = tries * 4
    events = []
    for n in range(orders):
        name = f"N{n}"
        box = shipped(subject=name, carrier="CJ Logistics", trackingNumber=f"T{n}")
        events += [
            created(subject=name, payments=(f"p{n}",)),
            paid(payment=f"p{n}", subject=None),
            box,
            scan("delivered", f"T{n}", carrier="CJ Logistics"),
        ]
    Random(SEED).shuffle(events)
    rig.streams.cap = len(events)
    rig.accept(*events)

    def run(worker):
        random, drain = Random(SEED + worker), rig.drain(batch=4 * PER_SHARD)
        while waiting := rig.streams.look().waiting():
            drain.answer(random.choice(waiting), slice_s=0)

    begun = perf_counter()
    rig.at_once(*(lambda worker=worker: run(worker) for worker in range(4)))
    batches = len(events) // (4 * PER_SHARD)
    took = perf_counter() - begun
    print(f"\n4 workers, {len(events)} events: {again.count} of {batches} batches or more done again, {took:.1f} s")
    assert again.count <= max(5, batches // 10)
    assert_all_applied(rig, [([], [], "delivered")] * orders)


def test_batches_that_bring_the_same_new_orders_in_any_order_never_deadlock(rig):
    """As an API call and a drain may, or two drains of a payment's and an order's shard."""
    random, size = Random(SEED), 40
    for turn in range(6):
        names = [f"N{turn}-{n}" for n in range(size)]
        orders = rig.entries(*(created(subject=name, payments=(f"p{name}",)) for name in names))
        payments = rig.entries(*(paid(subject=name, payment=f"p{name}") for name in names))
        random.shuffle(orders)
        random.shuffle(payments)
        again = rig.at_once(lambda o=orders: rig.settle(o), lambda p=payments: rig.settle(p))
        assert sum(again) <= 2
    assert [each for each in rig.redone if not isinstance(each, Clash)] == [], "a deadlock, or a wait without end"
    assert rig.one("select count(*) from orders where status = 'preparing'") == 6 * size


def test_a_holder_that_never_comes_back_does_not_keep_its_shard(rig, numbers):
    """The lock is PostgreSQL's, and dies with the connection; what it had read is read again."""
    [number] = numbers(1)
    order = created(subject=number)
    rig.accept(order)
    with rig.own_engine().connect() as gone:
        gone.execute(text("select pg_advisory_xact_lock(:space, 7)"), {"space": LOCK_SPACE})
        assert rig.streams.read([7], 10)
        pid = gone.execute(text("select pg_backend_pid()")).scalar_one()
        drain = rig.drain()
        assert drain.answer(7).outcomes == {}
        rig.do("select pg_terminate_backend(:pid, 5000)", pid=pid)
        assert drain.answer(7).outcomes == {"applied": 1}
        gone.invalidate()
    assert rig.outcome(order) == "applied"


NUMBERS = ("first", "second")


def on(n):
    """The carrier's fields of a number."""
    return tracked() | {"trackingNumber": NUMBERS[n]}


@pytest.mark.parametrize("by", ["a late name", "a payment"])
def test_batches_that_scan_and_name_boxes_crosswise_never_deadlock(rig, by):
    """A scan holds its number until the commit. Whoever then names another number, or a payment, must not wait crosswise.

    `a late name`: each scans the number that the other names late. `a payment`: one scans, and then names a payment that
    the other has named before it comes to the scanned number.
    """
    rig.tell(*(created(subject=f"N{n}", payments=(f"p{n}",)) for n in range(4)))
    rig.tell(*(shipped(f"box {n}", subject=f"N{n}", **on(n)) for n in range(2)))
    if by == "a late name":
        batches = [[scan("in_transit", NUMBERS[n]), shipped("box", subject=f"N{n + 2}", **on(1 - n))] for n in range(2)]
    else:
        batches = [
            [scan("in_transit", NUMBERS[0]), paid(payment="shared", subject="N0")],
            [failed(payment="shared", subject="N2"), shipped("box", subject="N2", **on(0))],
        ]
    entries = [rig.entries(*batch) for batch in batches]
    engines = [rig.own_engine() for _ in batches]
    looked = Barrier(2, timeout=30)

    def run(n):
        met: list[bool] = []

        def meet(conn, cursor, statement, *rest):
            """Both have looked their keys up, or one waits for the other; then the second is ahead."""
            if "scanned" in statement and not met:
                met.append(True)
                with suppress(BrokenBarrierError):
                    looked.wait(1)
                sleep(0 if n else 0.2)

        event.listen(engines[n], "after_cursor_execute", meet)
        return rig.settle(entries[n], engines[n])

    assert rig.at_once(lambda: run(0), lambda: run(1)) == [0, 0], "nobody was given up, nor had to begin anew"
