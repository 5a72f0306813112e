"""Redis dies and comes back, full or empty, again and again while workers are at work: they hear, without anybody's hand."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from time import monotonic, sleep

import pytest
import redis

from cli.processes import Processes
from embedded.valkey import Valkey
from events.envelope import Envelope
from settings.environment import read
from tests.chaos.api_outages import Restartable
from tests.chaos.backlog import simple_lives
from tests.chaos.harness import Shop, account, account_faults, settings
from workers.app import ring
from workers.resources import parts

CYCLES = 5
RATE = 150  # events per second
DRAINS = 2
READY_S, WITHIN_S = 60, 40  # generous: a loaded machine starts a process in many seconds
WORKERS = {
    "worker": ("worker", "--concurrency", str(DRAINS), "--queues", "drain"),
    "chores": ("worker", "--queues", "chores"),
}


class Load(threading.Thread):
    """Delivers at RATE until it is stopped, whatever the servers do."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(daemon=True)
        self._shop, self._over = shop, threading.Event()
        self._events = (each for events in simple_lives((f"R{n:09}" for n in count()), 10**6, 0) for each in events)

    def run(self) -> None:
        while not self._over.wait(0.1):
            self._shop.deliver([self._next() for _ in range(RATE // 10)])

    def _next(self) -> Envelope:
        return next(self._events)

    def stop(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def at_work(database_url: str, data: Path) -> Iterator[tuple[Shop, Restartable, Load, list[str]]]:
    """A shop with workers and beat on a Valkey of its own, under load; and which of them were started again."""
    died: list[str] = []
    with ExitStack() as stack:
        valkey = Restartable(Valkey, data)
        stack.callback(valkey.stop)
        valkey.start()
        stack.enter_context(settings(ORDERS_DATA=str(data), DATABASE_URL=database_url, REDIS_URL=valkey.url))
        opened = stack.enter_context(parts(read(), ring))
        processes = stack.enter_context(Processes(data / "logs", lambda name, code: died.append(f"{name} ({code})")))
        for name, arguments in WORKERS.items():
            processes.start(name, "cli", *arguments)
        processes.start("beat", "cli", "beat")
        shop = Shop(opened, data)
        load = Load(shop)
        load.start()
        stack.callback(load.stop)
        yield shop, valkey, load, died


def decided(shop: Shop, more_than: int, within_s: float) -> int:
    """Returns once more events than that have a result; how many."""
    until = monotonic() + within_s
    while (now := shop.events - shop.waiting()) <= more_than:
        if monotonic() > until:
            raise TimeoutError(f"{now} events decided, and no more, {within_s} s long")
        sleep(0.05)
    return now


def kill(valkey: Restartable) -> None:
    """Kill a process by SIGKILL, and wait until it is gone."""
    with redis.Redis.from_url(valkey.url) as client:
        info: dict[str, int] = client.info("server")
    os.kill(info["process_id"], signal.SIGKILL)
    valkey.stop()


@pytest.mark.slow
def test_workers_hear_again_after_every_restart_and_decide_while_it_is_full(database_url: str, tmp_path_factory):
    data = tmp_path_factory.mktemp("restarts")
    with at_work(database_url, data) as (shop, valkey, load, died):
        done = decided(shop, 0, READY_S)
        for cycle in range(CYCLES):
            kill(valkey)
            if cycle % 2:  # it comes back with nothing
                for file in (data / "valkey").glob("appendonlydir/*"):
                    file.unlink()
            valkey.start()
            done = decided(shop, done + RATE, WITHIN_S)
        client = shop.parts.streams.client
        client.config_set("maxmemory", "1")
        accepted = shop.events
        decided(shop, accepted, WITHIN_S)
        client.config_set("maxmemory", "0")
        load.stop()
        shop.drained(WITHIN_S)
        assert account_faults(shop, account(shop.engine)) == []
        assert died == []
