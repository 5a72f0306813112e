"""A shop to disturb: embedded servers of its own, real workers, deliveries; and what must hold afterwards.

Always on servers of its own, whatever DATABASE_URL and REDIS_URL name: a FLUSHALL is nothing to do to
somebody else's Redis.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from cli.processes import Processes, start_workers
from domain.policy import Context
from embedded import servers
from events.envelope import Envelope
from journal import totals as accounts
from journal.append import append
from journal.batch import Shop as Batches
from journal.batch import clock, settle
from journal.policy_store import policy_id
from journal.relay import undecided
from journal.verify import verify
from settings.environment import known, read
from storage import engine as engines
from storage import migrate
from storage.aggregates import peek
from storage.pg_arrays import array
from tests.fold_helpers import state_of
from tests.scenario_generator import differences
from workers.app import ring
from workers.resources import Parts, parts

READY_S = 60  # for all drain processes to run: a start takes 2 s on an idle machine
BATCH = 512  # of the undisturbed run
OUTCOMES = accounts.OUTCOMES

State = dict[str, Any]


@dataclass(slots=True)
class Shop:
    """Open servers, and what was delivered to them."""

    parts: Parts
    data: Path
    deliveries: int = 0
    events: int = 0  # of them, each id once

    @property
    def engine(self) -> Engine:
        return self.parts.engine

    def deliver(self, envelopes: Sequence[Envelope], *, held: bool = False) -> None:
        """One call at the door: journaled in one transaction, published after its commit."""
        with self.engine.begin() as conn:
            done = append(conn, envelopes, self.parts.shop.shards, effects_suppressed=held)
        self.parts.streams.publish(done.new)
        self.deliveries += len(envelopes)
        self.events += len(done.new)

    def waiting(self) -> int:
        """Events without a result."""
        with self.engine.connect() as conn:
            return undecided(conn)

    def streamed(self) -> int:
        """Entries in the streams."""
        return sum(self.parts.streams.look().lengths)

    def drained(self, within_s: float) -> float:
        """Seconds until every event has a result; TimeoutError after `within_s`."""
        begun = monotonic()
        while left := self.waiting():
            if monotonic() - begun > within_s:
                raise TimeoutError(f"{left} events have no result after {within_s} s")
            sleep(0.2)  # looking costs 1 ms a thousand of what waits
        return monotonic() - begun


@contextmanager
def settings(**values: str) -> Iterator[None]:
    """Every setting at its default but for `values`, whatever the environment or a `.env` says."""
    before = {setting.name: os.environ.get(setting.name) for setting in known()}
    os.environ.update({setting.name: setting.default or "" for setting in known()} | values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def a_shop(data: Path) -> Iterator[Shop]:
    """Servers under `data` with the schema in place; the settings name them until the block ends."""
    with (
        servers(data) as at,
        settings(ORDERS_DATA=str(data), DATABASE_URL=at.database_url, REDIS_URL=at.redis_url),
    ):
        migrate.upgrade(at.database_url, read().shards)
        with parts(read(), ring) as opened:
            yield Shop(opened, data)


# -- workers -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Workers:
    """A worker with its drain processes, and the beat, as `orders up` runs them."""

    processes: Processes
    count: int
    died: list[str] = field(default_factory=list)  # name and code of each that was started again

    def pids(self) -> list[int]:
        """The drain processes that run now."""
        main = self.processes.children["worker"].process
        with suppress(psutil.NoSuchProcess):
            if main is not None and main.poll() is None:
                return sorted(child.pid for child in psutil.Process(main.pid).children())
        return []

    def ready(self) -> None:
        """Returns once all drain processes run."""
        until = monotonic() + READY_S
        while len(self.pids()) < self.count:
            if monotonic() > until:
                log = self.processes.log("worker").read_text(errors="replace")[-2000:]
                raise TimeoutError(f"{len(self.pids())} of {self.count} drain processes after {READY_S} s\n{log}")
            sleep(0.02)


@contextmanager
def workers(shop: Shop, count: int) -> Iterator[Workers]:
    """`count` drain processes and the beat until the block ends."""
    died: list[str] = []
    with Processes(shop.data / "logs", lambda name, code: died.append(f"{name} ({code})")) as processes:
        start_workers(processes, count)
        yield Workers(processes, count, died)


def orphans(shop: Shop, within_s: float = 5) -> list[str]:
    """Processes that were started for this shop's workers and still run after `within_s`."""
    until = monotonic() + within_s
    while (found := _started_for(shop)) and monotonic() < until:
        sleep(0.1)
    return found


def _started_for(shop: Shop) -> list[str]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = process.environ().get("REDIS_URL") == shop.parts.settings.redis_url
            if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid}: {' '.join(process.cmdline())}")
    return found


# -- what must hold ----------------------------------------------------------------------------------------


def states(engine: Engine) -> dict[str, State]:
    """Order number → its whole state, as stored."""
    found: dict[str, State] = {}
    with engine.connect() as conn:
        ids = list(conn.execute(text("select id from orders order by id")).scalars())
        for start in range(0, len(ids), BATCH):
            for order in peek(conn, ids[start : start + BATCH]).values():
                found[order.order_number] = state_of(order)
    return found


def undisturbed(shop: Shop, deliveries: Iterable[Sequence[Envelope]]) -> dict[str, State]:
    """The states that the same deliveries end in, in this process, with no Redis and no worker at all."""
    url = make_url(shop.parts.settings.database_url or "").set(database="undisturbed")
    with shop.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
        admin.execute(text("create database undisturbed"))
    database_url = url.render_as_string(hide_password=False)
    shards, policy = shop.parts.shop.shards, shop.parts.settings.policy
    migrate.upgrade(database_url, shards)
    engine = engines.connect(database_url, pinned=True)
    try:
        with engine.begin() as conn:
            batches = Batches(policy_id(conn, policy), shards)
        for envelopes in deliveries:
            with engine.begin() as conn:
                entries = append(conn, envelopes, shards).new
            for start in range(0, len(entries), BATCH):
                with engine.begin() as conn:
                    settle(conn, entries[start : start + BATCH], Context(clock(), policy), batches)
        return states(engine)
    finally:
        engine.dispose()
        with shop.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
            admin.execute(text("drop database undisturbed with (force)"))


def otherwise(expected: dict[str, State], found: dict[str, State]) -> list[str]:
    """The differences between two runs of the same events, to the last field.

    Which payment gives back, and what each return gives back where nobody states it, follow from what
    was known when: of these the sums are compared, by the lives' own ends.
    """
    lines = []
    for number in sorted(expected.keys() | found.keys()):
        if number not in expected or number not in found:
            lines.append(f"order {number}: only in the {'disturbed' if number in found else 'undisturbed'} run")
        else:
            lines += [f"order {number}: {d}" for d in differences(_settled(expected[number]), _settled(found[number]))]
    return lines


def _settled(state: State) -> State:
    """A state without what the design leaves to the order of arrival."""
    given = sum((one["refundAmount"] or Decimal(0) for one in state["returns"].values()), Decimal(0))
    return {
        **state,
        "flags": dict.fromkeys(state["flags"], True),
        "transactions": {k: {**t, "refundTarget": None} for k, t in state["transactions"].items()},
        "returns": {
            **{k: {**r, "refundAmount": None} for k, r in state["returns"].items()},
            "Σ refundAmount": given,
        },
    }


def account(engine: Engine) -> dict[str, Any]:
    """The account of everything accepted."""
    with engine.connect() as conn:
        return accounts.account(conn)


def account_faults(shop: Shop, document: dict[str, Any]) -> list[str]:
    """The differences between the account and what was delivered, once and again."""
    lines = []

    def must(what: str, found: int, due: int) -> None:
        if found != due:
            lines.append(f"account: {what} is {found}, must be {due}")

    must("accepted", document["accepted"], shop.deliveries)
    must("duplicate", document["duplicate"], shop.deliveries - shop.events)
    must("body_differs", document["body_differs"], 0)
    for name, part in (("", document), ("own ", document["own"])):
        must(f"{name}waiting", part["waiting"], 0)
        must(f"the sum of {name}outcomes", sum(part[outcome] for outcome in OUTCOMES), part["accepted"])
        for key in ("accepted", *OUTCOMES):
            must(f"{name}{key} by type", sum(counts[key] for counts in part["by_type"].values()), part[key])
        for outcome in ("ignored", "parked", "dead"):
            reasons = sum(row["count"] for row in part["by_reason"] if row["outcome"] == outcome)
            must(f"{name}{outcome} with a reason", reasons, part[outcome])
    must("own duplicate", document["own"]["duplicate"], 0)
    return lines


def verify_faults(engine: Engine) -> list[str]:
    """The differences between what is stored and what the journal tells."""
    report = verify(engine)
    if not report.orders:
        return ["verify: no order"]
    return [f"verify: {difference}" for difference in report.differences]


def rows_of(table: str, engine: Engine) -> int:
    """The number of rows of a table."""
    with engine.connect() as conn:
        return int(conn.execute(text(f"select count(*) from {table}")).scalar_one())


def by_number(engine: Engine, statement: str, numbers: Sequence[str]) -> list[Any]:
    """Rows of a statement about orders of these `numbers`."""
    with engine.connect() as conn:
        return list(conn.execute(text(statement), {"numbers": array(numbers, "text")}).all())
