"""Rows that somebody holds, and processes that stand still with locks in hand."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from time import monotonic, sleep

import psutil
import psycopg

from journal.drain import LOCK_SPACE
from outbound.webhooks import subscriptions
from tests.faults.deployment import Deployment
from tests.faults.fault import FROZEN_BOUND_S, ORDER, PROVIDER, SHARD, Aim, Fault
from tests.faults.gauge import EVERY_S, oldest_untold_s
from tests.faults.hosts import ends_of
from tests.faults.rates import Sample, Series

HOLD_S, LONG_S = 10.0, 25.0
CATCH_S = 20.0  # to catch a process in the middle of a transaction
UNDER_WAY_S, SILENT_S = 0.3, 0.6  # for webhooks under way to come; then none comes for so long
_NEWEST = "select order_number, id from orders where order_number like 'F%%' order by id desc limit 1 offset %s"
_PAYMENTS = """
    select c.key, o.order_number from correlations c join orders o on o.id = c.order_id
    where c.key like 'payment:pi_F%%' order by c.order_id desc limit 1 offset %s
"""
_HELD = "select objid from pg_locks where pid = any(%s) and locktype = 'advisory' and classid = %s"
_IN = "select pid from pg_stat_activity where client_port = any(%s) and xact_start is not null"


@contextmanager
def order_locked(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """An operator's open `select … for update`, while events of that order, and of all others, come in."""
    with _row(deployment, random, _NEWEST, "select from orders where id = %s for update") as aim:
        yield aim


@contextmanager
def correlation_locked(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """The same on the row that says which order a payment belongs to."""
    with _row(deployment, random, _PAYMENTS, "select from correlations where key = %s for update", keyed=True) as aim:
        yield aim


@contextmanager
def _row(deployment: Deployment, random: Random, choose: str, lock: str, keyed: bool = False) -> Iterator[Aim]:
    with psycopg.connect(deployment.gauge.url, application_name="an operator") as conn:
        row = conn.execute(choose, [random.randrange(50)]).fetchone()
        if row is None:
            raise RuntimeError("no order yet to lock")
        number, held = (row[1], row[0]) if keyed else row
        deployment.gauge.aim([number])
        conn.rollback()
        conn.execute(lock, [held])
        deployment.load.hot = [number]
        if keyed:
            deployment.load.hot_payment = held.removeprefix("payment:")
        try:
            yield Aim(f"order {number}", share=0.0)
        finally:
            deployment.load.hot, deployment.load.hot_payment = [], None
            conn.rollback()


# -- frozen processes ----------------------------------------------------------------------------------------


def caught(deployment: Deployment, process: psutil.Process, seconds: float = CATCH_S) -> list[int]:
    """Stop `process` in the middle of a transaction; the backends that wait for it. It may get through many before."""
    port = int(deployment.postgres.url.rsplit(":", 1)[1].split("/")[0])
    until = monotonic() + seconds
    with psycopg.connect(deployment.gauge.url, autocommit=True) as conn:
        while monotonic() < until:
            process.send_signal(signal.SIGSTOP)
            ends = [end[1] for end in ends_of([process.pid], port)]
            sleep(0.02)  # what it had sent is answered by now
            if found := [row[0] for row in conn.execute(_IN, [ends])]:
                return found
            process.send_signal(signal.SIGCONT)
            sleep(0.013)
    raise RuntimeError(f"process {process.pid} was not caught in a transaction within {seconds:.0f} s")


def shards_of(deployment: Deployment, backends: list[int]) -> list[int]:
    """The shards whose advisory locks these backends hold."""
    with psycopg.connect(deployment.gauge.url, autocommit=True) as conn:
        return sorted(row[0] for row in conn.execute(_HELD, [backends, LOCK_SPACE]))


@contextmanager
def drain_frozen(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """One drain process, SIGSTOPped in the middle of a transaction: its shards and rows are in its hands."""
    process = random.choice([each for host in deployment.hosts for each in host.drains()])
    try:
        held = shards_of(deployment, caught(deployment, process))
        deployment.gauge.aim(shards=held)
        yield Aim(
            f"drain process {process.pid} with shards {held}", share=len(held) / deployment.shop.parts.shop.shards
        )
    finally:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


@contextmanager
def host_frozen(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """Every process of one worker host, in the middle of a transaction of its drain."""
    host = random.choice(deployment.hosts)
    try:
        held = shards_of(deployment, caught(deployment, host.drains()[0]))
        host.signal(signal.SIGSTOP)
        deployment.gauge.aim(shards=held)
        yield Aim(f"host {host.name} with shards {held}", share=len(held) / deployment.shop.parts.shop.shards)
    finally:
        host.signal(signal.SIGCONT)


@contextmanager
def api_paused(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """The API's processes stand still; what comes by other doors goes on."""
    sleep(random.random() / 2)
    processes = deployment.api_processes()
    deployment.gauge.aim()
    try:
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        yield Aim()
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


# -- the dispatcher ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Told:
    """Outgoing webhooks as a series: taken so far, and the age of the oldest that nobody has tried."""

    deployment: Deployment
    series: Series

    def watch(self, until: Callable[[], bool]) -> None:
        """Sample until told to end."""
        with psycopg.connect(self.deployment.gauge.url, autocommit=True) as conn:
            while not until():
                taken = self.deployment.counts().get("hook", 0)
                self.series.add(Sample(monotonic(), taken, taken, oldest_untold_s(conn)))
                sleep(EVERY_S)

    def settled(self, seconds: float = 8.0) -> float:
        """Webhooks taken per second, once they flow."""
        sleep(seconds)
        now = self.series.samples[-1].at
        return self.series.rate(now - seconds / 2, now)


@contextmanager
def subscribed(deployment: Deployment) -> Iterator[Told]:
    """A subscription to returns and payments, taken by the outside world, until the block ends."""
    with deployment.shop.engine.begin() as conn:
        subscription, _ = subscriptions.add(
            conn, f"{deployment.outside_url}/hook", ["transactions"], ["update", "create"], "faults", datetime.now(UTC)
        )
    told, ended = Told(deployment, Series()), threading.Event()
    thread = threading.Thread(target=told.watch, args=(ended.is_set,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        ended.set()
        thread.join(5)
        with deployment.shop.engine.begin() as conn:
            subscriptions.remove(conn, subscription.id, "faults")


@contextmanager
def dispatcher_frozen(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """The process that posts webhooks, caught while it waits for a receiver."""
    process = None
    with subscribed(deployment) as told:
        baseline = told.settled()
        try:
            process, began = _posting(deployment)
            aim = Aim(f"process {process.pid}", series=told.series, baseline=baseline, began=began)
            yield aim
            aim.figures["longest silence s"] = round(told.series.longest_silence(began, monotonic()), 1)
        finally:
            if process is not None:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)


def _posting(deployment: Deployment) -> tuple[psutil.Process, float]:
    """Stop the worker's process whose webhooks are taken: it has a connection to the receiver, and without it none are; since when.

    One that posted a moment ago has a connection, too, and keeps it for a while.
    """
    port = int(deployment.outside_url.rsplit(":", 1)[1])
    until = monotonic() + CATCH_S
    while monotonic() < until:
        for process in [each for host in deployment.hosts for each in host.all()]:
            with suppress(psutil.NoSuchProcess):
                if ends_of([process.pid], port):
                    process.send_signal(signal.SIGSTOP)
                    stopped = monotonic()
                    if _none_taken(deployment):
                        return process, stopped
                    process.send_signal(signal.SIGCONT)
        sleep(0.01)
    raise RuntimeError(f"nobody posts webhooks within {CATCH_S:.0f} s")


def _none_taken(deployment: Deployment) -> bool:
    """True if no webhook is taken any more, once those under way have come."""
    sleep(UNDER_WAY_S)
    before = deployment.counts().get("hook", 0)
    sleep(SILENT_S)
    return deployment.counts().get("hook", 0) == before


FAULTS = (
    Fault("order-locked", "the row of one order held for 10 s", "locks", order_locked, HOLD_S, scope=ORDER),
    Fault("correlation-locked", "the row of one payment held for 10 s", "locks", correlation_locked, HOLD_S, scope=ORDER),
    Fault(
        "drain-frozen", "a drain process frozen for 10 s in a transaction", "locks", drain_frozen, HOLD_S,
        scope=SHARD, bound_s=FROZEN_BOUND_S,
    ),
    Fault(
        "host-frozen", "a whole worker host frozen for up to 25 s in a transaction", "locks", host_frozen, LONG_S,
        scope=SHARD, bound_s=FROZEN_BOUND_S, from_begin=True, until_back=True,
    ),
    Fault("api-paused", "the API paused for 6 s (SIGSTOP)", "locks", api_paused, 6.0),
    Fault(
        "dispatcher-frozen", "the process that posts webhooks frozen for up to 25 s", "locks", dispatcher_frozen, LONG_S,
        scope=PROVIDER, bound_s=FROZEN_BOUND_S, from_begin=True, until_back=True,
    ),
)  # fmt: skip
