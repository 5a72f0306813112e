"""A row that somebody holds stops its own order and no other: not its batch, not its shard, not for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import pytest
from sqlalchemy import text

from journal import relay
from journal.lock_waits import FIRST_S, MOST_S, LockWaits, holders
from tests.builders import created, told

PATIENCE_S = 30.0


@pytest.fixture
def held(rig) -> Callable[..., object]:
    """`with held(sql, …) as pid:` another session has run this in a transaction that goes on."""

    @contextmanager
    def hold(sql: str, **values: object) -> Iterator[int]:
        engine = rig.own_engine(1)
        with engine.connect() as conn:
            conn.execute(text(sql), values)
            yield conn.execute(text("select pg_backend_pid()")).scalar_one()
            conn.rollback()

    return hold


@pytest.fixture
def work(rig) -> Callable[[Callable[[], bool]], None]:
    """`work(until)`: one worker and the relay, until the condition holds."""
    drain = rig.drain()

    def run(until: Callable[[], bool]) -> None:
        end = monotonic() + PATIENCE_S
        while not until():
            assert monotonic() < end, "it is never decided"
            relay.relay(rig.engine, rig.streams)
            for shard in rig.streams.look().waiting():
                drain.answer(shard)

    return run


def paid(number: str, payment: str, subject: bool = True):
    return told("PaymentSucceeded", subject=number if subject else None, paymentId=payment, amount="10000")


def test_other_orders_of_its_batch_go_on_and_it_follows_when_its_row_is_free(rig, numbers, held, work):
    names = numbers(6)
    rig.tell(*(created(subject=name, payments=(f"pay-{name}",)) for name in names))
    events = [paid(name, f"pay-{name}") for name in names]
    with held("select from orders where order_number = :name for update", name=names[2]):
        rig.accept(*events)
        work(lambda: rig.outcomes(*events).count("applied") == 5)
        assert rig.outcome(events[2]) == "undecided"
        late = told("OrderCanceled", subject=names[2], by="customer")
        rig.accept(late)
        more = [paid(name, f"more-{name}") for name in names if name != names[2]]
        rig.accept(*more)
        work(lambda: rig.outcomes(*more) == ["applied"] * 5)
        assert rig.outcomes(events[2], late) == ["undecided"] * 2
    work(lambda: rig.outcomes(events[2], late) == ["applied"] * 2)
    rig.account()


def test_an_operators_open_update_holds_up_nobody_else(rig, numbers, held, work):
    one, other = numbers(2)
    rig.tell(created(subject=one, payments=("p1",)), created(subject=other, payments=("p2",)))
    first, second = paid(one, "p1"), paid(other, "p2")
    with held("update transactions set receipt_url = 'x' where payment_id = 'p1'"):  # of a part, not of the order
        rig.accept(first, second)
        work(lambda: rig.outcome(second) == "applied")
        assert rig.outcome(first) == "undecided"
    work(lambda: rig.outcome(first) == "applied")


def test_a_held_payment_waits_and_the_rest_goes_on(rig, numbers, held, work):
    one, other = numbers(2)
    early = paid(one, "known-early", subject=False)
    rig.tell(early, created(subject=other, payments=("p2",)))
    assert rig.outcome(early) == "parked: payment_unknown"
    placed, second = created(subject=one, payments=("known-early",)), paid(other, "p2")
    with held("select from correlations where key = 'payment:known-early' for update"):
        rig.accept(placed, second)
        work(lambda: rig.outcome(second) == "applied")
        assert rig.outcome(placed) == "undecided"
    work(lambda: rig.outcomes(placed, early) == ["applied"] * 2)


def test_what_is_left_has_claimed_nothing(rig, numbers, held, work):
    """Else whoever waits for the claim would be forgotten: it is looked for where the claim is made."""
    one, other = numbers(2)
    rig.tell(created(subject=one, payments=()), created(subject=other, payments=("p2",)))
    early = paid(one, "told-early", subject=False)
    rig.tell(early)
    assert rig.outcome(early) == "parked: payment_unknown"
    named, second = paid(one, "told-early"), paid(other, "p2")
    with held("select from orders where order_number = :name for update", name=one):
        rig.accept(named, second)
        work(lambda: rig.outcome(second) == "applied")
        assert rig.one("select order_id from correlations where key = 'payment:told-early'") is None
    work(lambda: rig.outcomes(named, early) == ["applied"] * 2)


def test_a_rival_that_makes_the_same_order_and_never_commits(rig, numbers, held, work):
    one, other = numbers(2)
    with held(
        "insert into orders (id, order_number, shard, status, version) values (gen_random_uuid(), :name, 7, 'new', 0)",
        name=one,
    ):
        first, second = created(subject=one, payments=("p1",)), created(subject=other, payments=("p2",))
        rig.accept(first, second)
        work(lambda: rig.outcome(second) == "applied")
        assert rig.outcome(first) == "undecided"
    work(lambda: rig.outcome(first) == "applied")


def test_who_holds_it_is_found(rig, numbers, held):
    (one,) = numbers(1)
    rig.tell(created(subject=one, payments=("p1",)))
    rig.accept(paid(one, "p1"))
    order_id = rig.order(one).id
    with held("select from orders where id = :id for update", id=order_id) as pid, rig.engine.connect() as conn:
        (found,) = holders(conn, [order_id])
    assert (found.order_number, found.pid, found.state) == (one, pid, "idle in transaction")
    with rig.engine.connect() as conn:
        assert holders(conn, [order_id]) == []


def test_the_wait_grows_and_is_bounded(rig, numbers):
    (one,) = numbers(1)
    (entry,) = rig.entries(created(subject=one, payments=()))
    waits = LockWaits()
    assert waits.ripe([entry]) == [entry]
    seen = []
    with rig.engine.connect() as conn:
        for _ in range(8):
            waits.note(conn, [entry], {entry.seq}, [])
            assert not waits.ripe([entry])
            seen.append(waits._waits[one].seconds)
        waits.note(conn, [entry], set(), [])
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (FIRST_S, MOST_S)
    assert not waits
