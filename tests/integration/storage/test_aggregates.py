"""Orders with all their parts: what is saved is loaded, in few statements, under a lock that holds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text
from sqlalchemy.exc import DataError, IntegrityError

from domain import dirty_tracking, fulfillment, order, returns, transaction
from domain.dirty_tracking import CLEAN, DIRTY, FILLED, NEW, drop, touch
from domain.fulfillment import Fulfillment, FulfillmentItem
from domain.order import Order, OrderItem
from domain.returns import Return, ReturnItem
from domain.transaction import Transaction
from storage.aggregates import lock, peek
from storage.aggregates import save as add_to
from storage.engine import connect
from storage.raw_sql import Writes

PARTS = ("items", "transactions", "fulfillments", "fulfillment_items", "returns", "return_items")
NOT_STORED = {*dirty_tracking.NOT_STORED, *PARTS}
NOW = datetime(2026, 11, 1, 9, 30, 0, 123456, UTC)
REASONS = ("change_of_mind", "defective", "wrong_delivery", "damaged", "other")
WORDS = ("", "NULL", "a b", 'say "hi"', "back\\slash", "{x,y}", "it's :v", "한글", "𝄞", "line\nbreak")
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def engine(module_database_url):
    engine = connect(module_database_url, pinned=True)
    yield engine
    engine.dispose()


@pytest.fixture
def conn(engine):
    """A connection whose work is undone afterwards."""
    with engine.connect() as conn:
        yield conn


def save(conn, orders):
    """Write orders as a batch does."""
    writes = Writes()
    add_to(conn, orders, writes)
    writes.run(conn)


# -- orders at random, within what the constraints allow ---------------------------------------------


class Maker:
    """Makes orders and parts out of one source of chance."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def id(self) -> str:
        """An id that no other row has."""
        return f"{self.random.getrandbits(32):08x}-0000-7000-8000-{next(_numbers):012x}"

    def name(self) -> str:
        """A text that no other row has."""
        return f"{self.random.choice(WORDS)}{next(_numbers)}"

    def maybe(self, value):
        """`value`, or as often None."""
        return value if self.random.random() < 0.5 else None

    def money(self, limit: Decimal = Decimal(10**9)) -> Decimal:
        """From 0 to `limit`."""
        kinds = (Decimal(0), limit, limit / 8, Decimal("1E+3"), Decimal("0.010"))
        return min(self.random.choice(kinds), limit)

    def time(self) -> datetime:
        """Any time, to the microsecond."""
        years = (1, 1969, 2026, 9999)
        return NOW.replace(year=self.random.choice(years), microsecond=self.random.choice((0, 1, 100_000, 999_999)))

    def word(self) -> str:
        """A text like those of others."""
        return self.random.choice(WORDS)

    def order(self, most: int = 4) -> Order:
        """An order with up to `parts` parts of each kind, none of them stored yet."""
        made = Order(self.id(), self.name(), self.random.randrange(64), change_state=NEW)
        if self.random.random() < 0.8:
            self.fill(made)
            self.grow(made, most)
        return made

    def fill(self, made: Order) -> None:
        """The fields that OrderCreated tells of an order, and those that a life makes of it."""
        made.customer, made.personal_id = self.maybe(self.word()), self.maybe(self.id())
        made.currency, made.placed_at = "KRW", self.time()
        made.total_amount, made.discount_amount = self.money(), self.money()
        made.shipping_amount, made.discount_code = self.money(), self.maybe(self.word())
        self.live(made)

    def live(self, made: Order) -> None:
        """The changes that later events make."""
        made.status = self.random.choice([s for s in order.Status if s != "new"])
        made.version += self.random.randrange(1, 9)
        made.effects_suppressed = self.random.random() < 0.5
        made.flags = sorted(self.random.sample(WORDS, self.random.randrange(4)))
        made.canceled_at, made.confirmed_at = self.maybe(self.time()), self.maybe(self.time())

    def grow(self, made: Order, most: int) -> None:
        """Further parts of each kind."""
        some = self.random.randrange
        made.items += [self.item(made, len(made.items) + i) for i in range(some(most + 1))]
        made.transactions += [self.transaction(made) for _ in range(some(most + 1))]
        for _ in range(some(most + 1)):
            made.fulfillments.append(parcel := self.parcel(made))
            for item in self.random.sample(made.items, some(len(made.items) + 1)):
                share = FulfillmentItem(self.id(), made.id, parcel.id, item.id, some(1, 9), NEW)
                parcel.shares[item.id] = share
        for _ in range(some(most + 1)):
            made.returns.append(back := self.back(made))
            for item in self.random.sample(made.items, some(len(made.items) + 1)):
                back.shares.append(ReturnItem(self.id(), made.id, back.id, item.id, some(1, 9), NEW))

    def item(self, made: Order, position: int) -> OrderItem:
        """A line; what was shipped and returned fits."""
        quantity, price = self.random.randrange(1, 9), self.money()
        item = OrderItem(
            self.id(), made.id, position, self.maybe(self.name()), self.word(), self.maybe(self.word()),
            self.maybe(self.word()), quantity, price, price * quantity, change_state=NEW,
        )  # fmt: skip
        self.change_item(item)
        return item

    def change_item(self, item: OrderItem) -> None:
        """Parcels and returns were counted anew."""
        item.shipped_quantity = self.random.randint(0, item.quantity)
        item.delivered_quantity = self.random.randint(0, item.shipped_quantity)
        item.returned_quantity = self.random.randint(0, item.quantity)
        item.canceled_quantity = self.random.randint(0, item.quantity)

    def transaction(self, made: Order) -> Transaction:
        """A payment in any state."""
        paid = Transaction(self.id(), made.id, self.name(), "KRW", change_state=NEW)
        self.change_transaction(paid)
        return paid

    def change_transaction(self, paid: Transaction) -> None:
        """The provider told more."""
        paid.status = self.random.choice(list(transaction.Status))
        paid.amount = self.money()
        paid.refunded_amount, paid.refund_target = self.money(), self.money(paid.amount)
        paid.payment_method, paid.provider = self.maybe(self.word()), self.maybe(self.word())
        paid.receipt_url, paid.dispute = self.maybe(self.word()), self.maybe(self.word())
        paid.paid_at = self.time() if paid.status == "paid" else self.maybe(self.time())
        paid.reversed_at = self.maybe(self.time())
        paid.captures = sorted(self.random.sample(WORDS, self.random.randrange(4)))
        paid.facts = self.maybe({"one": [self.word(), 1, None], 'a "quoted" \\ name': {"inner": self.word()}})
        paid.pending_kind, paid.pending_until = self.maybe(self.word()), self.maybe(self.time())

    def parcel(self, made: Order) -> Fulfillment:
        """A fulfillment in any state."""
        parcel = Fulfillment(self.id(), made.id, self.maybe(self.name()), change_state=NEW)
        self.change_parcel(parcel)
        return parcel

    def change_parcel(self, parcel: Fulfillment) -> None:
        """The carrier told more."""
        parcel.status = self.random.choice(list(fulfillment.Status))
        parcel.planned = parcel.status == "pending" and self.random.random() < 0.5
        parcel.carrier, parcel.tracking_number = self.maybe(self.word()), self.maybe(self.word())
        parcel.items_step = self.random.randrange(5)
        parcel.facts = self.maybe({"one": [self.word(), 1, None], 'a "quoted" \\ name': {"inner": self.word()}})
        parcel.tracking_status, parcel.tracking_detail = self.maybe(self.word()), self.maybe(self.word())
        parcel.estimated_delivery, parcel.last_scan_at = self.maybe(self.time()), self.maybe(self.time())
        parcel.last_scan_description, parcel.last_scan_location = self.maybe(self.word()), self.maybe(self.word())
        parcel.parcels = sorted(self.random.sample(WORDS, self.random.randrange(4)))
        parcel.shipped_at, parcel.failed_at = self.maybe(self.time()), self.maybe(self.time())
        parcel.delivered_at = self.time() if parcel.status == "delivered" else self.maybe(self.time())

    def back(self, made: Order) -> Return:
        """A return in any state."""
        back = Return(self.id(), made.id, self.maybe(self.name()), self.random.choice(REASONS), change_state=NEW)
        self.change_back(back)
        return back

    def change_back(self, back: Return) -> None:
        """Staff, or time, took it further."""
        back.status = self.random.choice(list(returns.Status))
        back.for_staff, back.refund_stated = self.random.choices((True, False), k=2)
        back.refund_amount, back.personal_id = self.maybe(self.money()), self.maybe(self.id())
        back.requested_at = self.maybe(self.time())
        back.completed_at = self.time() if back.status == "completed" else None

    def change(self, made: Order) -> None:
        """A batch's work on a stored order: some parts changed, some gone, some new."""
        touch(made)
        self.live(made)
        for parcel in made.fulfillments:
            for item_id in [each for each in parcel.shares if self.random.random() < 0.3]:
                drop(parcel.shares.pop(item_id), made.deleted)
        for back in made.returns:
            for gone in [share for share in back.shares if self.random.random() < 0.3]:
                back.shares.remove(gone)
                drop(gone, made.deleted)
        for share in made.fulfillment_items:
            if self.random.random() < 0.5:
                share.quantity = self.random.randrange(1, 9)
                touch(share)
        for parcel in list(made.fulfillments):
            if not parcel.shares:
                made.fulfillments.remove(parcel)
                drop(parcel, made.deleted)
        changes: tuple[Any, ...] = (
            (made.items, self.change_item),
            (made.transactions, self.change_transaction),
            (made.fulfillments, self.change_parcel),
            (made.returns, self.change_back),
        )
        for these, change in changes:
            for part in these:
                if self.random.random() < 0.5:
                    change(part)
                    touch(part)
        self.grow(made, 2)


def facts(made: Order) -> dict:
    """An order and its parts as plain values, the parts by id."""
    found = {f.name: getattr(made, f.name) for f in fields(Order) if f.name not in NOT_STORED}
    for name in PARTS:
        found[name] = [
            {f.name: getattr(part, f.name) for f in fields(part) if f.name not in NOT_STORED}
            for part in sorted(getattr(made, name), key=attrgetter("id"))
        ]
    return found


def settle(made: Order) -> None:
    """Mark everything as stored."""
    made.deleted.clear()
    for part in (made, *itertools.chain(*(getattr(made, name) for name in PARTS))):
        part.change_state = CLEAN


def assert_stored(conn, orders: list[Order]) -> None:
    """Assert that a new load finds `orders`, field by field."""
    found = lock(conn, [made.id for made in orders])
    assert {id: facts(made) for id, made in found.items()} == {made.id: facts(made) for made in orders}
    for made in found.values():
        assert [item.position for item in made.items] == sorted(item.position for item in made.items)
        for part in (made, *itertools.chain(*(getattr(made, name) for name in PARTS))):
            assert part.change_state == CLEAN


# -- what is saved is loaded -------------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=True), count=st.integers(1, 6))
def test_what_is_saved_is_loaded(engine, random, count):
    """New orders; then, twice, orders changed by a batch, and hidden ones created."""
    make = Maker(random)
    with engine.connect() as conn:
        orders = [make.order() for _ in range(count)]
        save(conn, orders)
        assert_stored(conn, orders)
        for _ in range(2):
            for made in orders:
                settle(made)
                if made.status == "new":
                    made.change_state = FILLED
                    make.fill(made)
                    make.grow(made, 3)
                elif random.random() < 0.7:
                    make.change(made)
            orders.append(make.order())
            save(conn, orders)
            assert_stored(conn, orders)


def test_what_is_loaded_can_be_changed_and_saved(conn):
    """The drain's round: lock and load, change the loaded objects, save those."""
    make = Maker(Random(1))
    orders = [make.order() for _ in range(20)]
    save(conn, orders)
    for _ in range(5):
        loaded = list(lock(conn, [made.id for made in orders]).values())
        for made in loaded:
            if made.status != "new":
                make.change(made)
        save(conn, loaded)
        assert_stored(conn, loaded)


def test_a_clean_order_is_not_written(conn):
    made = Maker(Random(2)).order()
    save(conn, [made])
    settle(made)
    with counted(conn) as statements:
        save(conn, [made])
        save(conn, [])
    assert statements == []


def test_only_changed_rows_get_a_new_updated_at(conn):
    make = Maker(Random(3))
    one, other = make.order(), make.order()
    save(conn, [one, other])
    conn.execute(text("update orders set created_at = '2020-01-01', updated_at = '2020-01-01'"))
    for made in (one, other):
        settle(made)
    one.change_state = DIRTY
    save(conn, [one, other])
    rows = conn.execute(text("select id, created_at, updated_at from orders")).all()
    assert {id: (made.year == 2020, changed.year == 2020) for id, made, changed in rows} == {
        one.id: (True, False),
        other.id: (True, True),
    }


def test_ids_that_no_order_has_are_left_out(conn):
    make = Maker(Random(4))
    made = make.order()
    save(conn, [made])
    assert list(lock(conn, [make.id(), made.id, make.id()])) == [made.id]
    assert lock(conn, [make.id()]) == {}
    with counted(conn) as statements:
        assert lock(conn, []) == {}
    assert statements == []


def test_a_broken_constraint_is_named(conn):
    made = a_paid_order()
    made.items[0].shipped_quantity = made.items[0].quantity + 1
    with pytest.raises(IntegrityError, match="order_items_quantities_check"):
        save(conn, [made])


def test_a_value_out_of_range_is_the_datas_fault(conn):
    made = a_paid_order()
    made.items[0].quantity = 2**31
    with pytest.raises(DataError):
        save(conn, [made])


# -- few statements ----------------------------------------------------------------------------------


@contextmanager
def counted(conn) -> Iterator[list[str]]:
    """The statements that `conn` executes meanwhile."""
    statements: list[str] = []

    def note(_conn, _cursor, statement, *_rest):
        statements.append(statement)

    event.listen(conn, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(conn, "before_cursor_execute", note)


def a_full_order(make: Maker) -> Order:
    """An order with at least two parts of every kind, each share of another parcel or return."""
    while True:
        made = make.order()
        if all(len(getattr(made, name)) >= 2 for name in PARTS):
            return made


def test_the_number_of_statements_is_the_same_for_one_order_and_for_200(conn):
    counts = []
    for size in (1, 200):
        make = Maker(Random(5))
        orders = [a_full_order(make) for _ in range(size)]
        hidden = [Order(make.id(), make.name(), 0, change_state=NEW) for _ in range(size)]
        with counted(conn) as inserts:
            save(conn, orders + hidden)
        with counted(conn) as loads:
            loaded = list(lock(conn, [made.id for made in orders]).values())
        for made in loaded:
            make.live(made)
            touch(made)
            parcel = next(parcel for parcel in made.fulfillments if parcel.shares)
            drop(parcel.shares.popitem()[1], made.deleted)
            back = next(back for back in made.returns if back.shares)
            drop(back.shares.pop(), made.deleted)
            for name in PARTS:
                for part in getattr(made, name):
                    touch(part)
        for made in hidden:
            make.fill(made)
            made.change_state = FILLED
        with counted(conn) as updates:
            save(conn, loaded + hidden)
        assert_stored(conn, loaded + hidden)
        counts.append((len(inserts), len(loads), len(updates)))
    assert counts == [(1, 2, 2)] * 2  # deletions come in a statement before the updates


# -- locks -------------------------------------------------------------------------------------------


def a_paid_order() -> Order:
    """A small order, not stored yet."""
    make = Maker(Random(next(_numbers)))
    made = Order(make.id(), make.name(), 0, change_state=NEW)
    make.fill(made)
    made.items = [make.item(made, 0)]
    made.transactions = [make.transaction(made)]
    return made


@pytest.fixture
def stored(engine):
    """An order that is committed."""
    made = a_paid_order()
    with engine.begin() as conn:
        save(conn, [made])
    settle(made)
    return made


def wait_until_blocked(conn, pid: int) -> None:
    """Until the session `pid` waits for a lock of this connection's."""
    sql = text("select pg_backend_pid() = any(pg_blocking_pids(:pid)) from pg_sleep(0.01)")
    for _ in range(1000):
        if conn.execute(sql, {"pid": pid}).scalar():
            return
    pytest.fail("nobody waits for the lock")


def test_who_waited_for_a_locked_order_sees_its_new_parts(engine, stored):
    """One statement would not do: after its wait it returns the new order with its old children."""
    with engine.connect() as first, engine.connect() as second, ThreadPoolExecutor(1) as pool:
        pid = second.execute(text("select pg_backend_pid()")).scalar_one()
        second.commit()
        mine = lock(first, [stored.id])[stored.id]
        late = pool.submit(lock, second, [stored.id])
        wait_until_blocked(first, pid)
        mine.version += 1
        touch(mine)
        mine.transactions.append(Maker(Random(6)).transaction(mine))
        save(first, [mine])
        assert not late.done()
        first.commit()
        theirs = late.result(30)[stored.id]
    assert facts(theirs) == facts(mine)
    assert len(theirs.transactions) == 2


def test_who_does_not_lock_does_not_wait(engine, stored):
    with engine.connect() as first, engine.connect() as second, ThreadPoolExecutor(1) as pool:
        lock(first, [stored.id])
        found = pool.submit(peek, second, [stored.id]).result(30)
    assert facts(found[stored.id]) == facts(stored)


def test_a_locked_order_does_not_hold_up_others(engine, stored):
    other = a_paid_order()
    with engine.begin() as conn:
        save(conn, [other])
    with engine.connect() as first, engine.connect() as second, ThreadPoolExecutor(1) as pool:
        lock(first, [stored.id])
        assert list(pool.submit(lock, second, [other.id]).result(30)) == [other.id]


def test_batches_that_share_orders_never_deadlock(engine):
    """Rows are locked in the order of their ids, whatever order the ids are given in."""
    orders = [a_paid_order() for _ in range(30)]
    with engine.begin() as conn:
        save(conn, orders)
    ids = [made.id for made in orders]

    def work(seed: int) -> None:
        chance = Random(seed)
        for _ in range(15):
            with engine.begin() as conn:
                locked = lock(conn, chance.sample(ids, 10))
                for made in locked.values():
                    made.version += 1
                    touch(made)
                save(conn, locked.values())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    with engine.connect() as conn:
        grown = sum(made.version for made in lock(conn, ids).values())
    assert grown == sum(made.version for made in orders) + 4 * 15 * 10
