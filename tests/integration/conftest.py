"""A shop on real servers whose doorbells, drains and clocks a test holds in its hands.

rig    the shop; `rig.at_once(…)` runs things at one instant, each with an engine of its own
tries  how often each race is run: RACE_TRIES, else 10
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from domain.order import Order
from domain.policy import Context, Policy
from events.envelope import Envelope
from journal.append import Appended, append
from journal.batch import BatchReport, Shop, clock, is_of_the_moment, settle
from journal.drain import BATCH, Drain
from journal.entries import Entry, shard_of
from journal.policy_store import policy_id
from journal.streams import Streams
from journal.streams import connect as connect_redis
from journal.totals import OUTCOMES, account
from storage import engine as engines
from storage.aggregates import peek
from tests.conftest import SHARDS
from tests.pg_waits import wait_until_blocked

TRIES = 10
AGAIN = 20  # of one batch that meets a rival


class Rig:
    """One shop: accepts events, drains when told to, and tells what became of each."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.database_url = database_url
        self.policy = Policy()
        self._open = ExitStack()
        self.engine = self.own_engine()
        self.client = connect_redis(redis_url)
        self._open.callback(self.client.close)
        self.rung: list[int] = []
        self.redone: list[Exception] = []  # the reason of each batch that `settle` did again
        self.streams = Streams(self.client, SHARDS, self.rung.append)
        with self.engine.begin() as conn:
            self.shop = Shop(policy_id(conn, self.policy), SHARDS)

    def decide(self, **decisions: Any) -> None:
        """Another policy, from here on."""
        self.policy = replace(self.policy, **decisions)
        with self.engine.begin() as conn:
            self.shop = Shop(policy_id(conn, self.policy), SHARDS)

    def own_engine(self, pool: int = 5) -> Engine:
        """An engine that shares no connection with anyone."""
        engine = engines.connect(self.database_url, pinned=True, pool=pool)
        self._open.callback(engine.dispose)
        return engine

    def drain(self, streams: Streams | None = None, batch: int = BATCH) -> Drain:
        """A worker of its own."""
        return Drain(self.own_engine(), streams or self.streams, self.policy, self.shop, batch)

    # -- events in

    def append(self, *envelopes: Envelope, held: bool = False) -> Appended:
        """Journal deliveries, and commit."""
        with self.engine.begin() as conn:
            return append(conn, envelopes, SHARDS, effects_suppressed=held)

    def entries(self, *envelopes: Envelope) -> list[Entry]:
        """Journal events that are new; their entries, in the order given."""
        found = self.append(*envelopes).new
        assert len(found) == len(envelopes)
        return found

    def accept(self, *envelopes: Envelope, held: bool = False) -> Appended:
        """Journal deliveries, commit, publish."""
        appended = self.append(*envelopes, held=held)
        assert self.streams.publish(appended.new)
        return appended

    def appended(self, conn: Connection, *envelopes: Envelope) -> list[Entry]:
        """Journal deliveries, in a transaction of the test's."""
        return append(conn, envelopes, SHARDS).new

    # -- work

    def work(self) -> None:
        """Answer shards until nothing waits in a stream, or behind it."""
        drain = Drain(self.engine, self.streams, self.policy, self.shop)
        while waiting := self.streams.look().waiting():
            for shard in waiting:
                drain.answer(shard)

    def tell(self, *envelopes: Envelope, held: bool = False) -> None:
        """Accept and apply some events."""
        self.accept(*envelopes, held=held)
        self.work()

    def context(self) -> Context:
        return Context(clock(), self.policy)

    def settle_in(self, conn: Connection, entries: Sequence[Entry]) -> BatchReport:
        """One batch, in a transaction of the test's."""
        return settle(conn, entries, self.context(), self.shop)

    def settle(
        self, entries: Sequence[Entry], engine: Engine | None = None, before_commit: Callable[[], object] = int
    ) -> int:
        """One batch in one transaction, again where a rival was in the way; how often it had to be done again."""
        for again in range(AGAIN):
            try:
                with (engine or self.engine).begin() as conn:
                    self.settle_in(conn, entries)
                    before_commit()
            except Exception as error:
                if not is_of_the_moment(error):
                    raise
                self.redone.append(error)
            else:
                return again
        raise AssertionError(f"{AGAIN} tries, and no end")

    def at_once(self, *work: Callable[[], Any]) -> list[Any]:
        """The results of each piece of work, begun at one instant."""
        start = Barrier(len(work), timeout=30)

        def run(one: Callable[[], Any]) -> Any:
            start.wait()
            return one()

        with ThreadPoolExecutor(len(work)) as pool:
            return [one.result(60) for one in [pool.submit(run, each) for each in work]]

    # -- looking

    def do(self, sql: str, **values: Any) -> list[Any]:
        """Run a statement, and commit; the rows, if any."""
        with self.engine.begin() as conn:
            found = conn.execute(text(sql), values)
            return list(found.all()) if found.returns_rows else []

    def one(self, sql: str, **values: Any) -> Any:
        return self.do(sql, **values)[0][0]

    def outcomes(self, *envelopes: Envelope) -> list[str]:
        """The outcome of each event: "applied", "parked: order_unknown", "undecided"."""
        rows = self.do("select j.event_id, r.outcome, r.reason from journal j left join results r using (seq)")
        found = {name: outcome if reason is None else f"{outcome}: {reason}" for name, outcome, reason in rows}
        return [found[one.id] or "undecided" for one in envelopes]

    def outcome(self, envelope: Envelope) -> str:
        return self.outcomes(envelope)[0]

    def outcome_of(self, envelope: Envelope) -> str | None:
        """The one outcome, without its reason, looked up by key: for loops."""
        sql = "select outcome from results join journal using (seq) where source = :source and event_id = :id"
        rows = self.do(sql, source=envelope.source, id=envelope.id)
        return str(rows[0][0]) if rows else None

    def orders(self, numbers: Iterable[str]) -> dict[str, Order]:
        """Orders by number, as stored."""
        wanted = list(numbers)
        with self.engine.connect() as conn:
            sql = text("select id from orders where order_number = any(:numbers)")
            ids = conn.execute(sql, {"numbers": wanted}).scalars().all()
            return {order.order_number: order for order in peek(conn, ids).values()}

    def order(self, number: str) -> Order:
        return self.orders([number])[number]

    def status(self, number: str) -> str:
        return str(self.order(number).status)

    def account(self) -> dict[str, Any]:
        """The account; it adds up, whatever happened (promise 4)."""
        with self.engine.connect() as conn:
            found = account(conn)
        for part in (found, found["own"]):
            assert part["accepted"] == sum(part[name] for name in OUTCOMES)
        letters = self.one("select count(*) from dead_letters where state = 'open' and seq is not null")
        assert found["dead"] + found["own"]["dead"] == letters
        assert found["parked"] + found["own"]["parked"] == self.one("select count(*) from parked")
        return found

    def wait_until_blocked(self, count: int = 1) -> None:
        """Until so many connections to this database wait for a lock."""
        with self.engine.connect() as conn:
            wait_until_blocked(conn, count)

    def close(self) -> None:
        self._open.close()


def numbers_of(shard: int, count: int, prefix: str = "N") -> list[str]:
    """So many order numbers of one shard."""
    found: list[str] = []
    candidate = 0
    while len(found) < count:
        candidate += 1
        if shard_of(f"{prefix}{candidate}", SHARDS) == shard:
            found.append(f"{prefix}{candidate}")
    return found


@pytest.fixture
def rig(database_url: str, redis_url: str) -> Iterator[Rig]:
    made = Rig(database_url, redis_url)
    yield made
    made.close()


@pytest.fixture
def numbers() -> Callable[..., list[str]]:
    """`numbers(5)`: order numbers of one shard."""
    return partial(numbers_of, 7)


@pytest.fixture(scope="session")
def tries() -> int:
    return int(os.environ.get("RACE_TRIES") or TRIES)
