"""Peers that one could build on: other libraries under the same domain, database and lives as the rest.

They play where they are installed (`pip install 'order-lifecycle-workers[bench]'`), in runs of full length. Tables and
SQL are (b)'s; so is what becomes of an event that comes too early, and how a repeated one is found.

faststream_batches  FastStream: batches of a Redis stream's consumer group, a transaction a batch
procrastinate_job   procrastinate: PostgreSQL is the queue, a job per event
taskiq_task         taskiq: a Redis stream, a task per event

Each module has `prepare`, called once before its worker starts, `publish` and `is_waiting`, for the bench.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Protocol, cast

import redis

__all__ = ["PEERS", "Module", "Peer", "installed", "make_group"]


class Module(Protocol):
    """The functions that each peer's module has."""

    def prepare(self, database_url: str, redis_url: str) -> None:
        """Make what its worker needs, the tables of (b) aside."""

    def publish(self, database_url: str, redis_url: str, events: Sequence[dict[str, Any]]) -> None:
        """Hand events in, in this order."""

    def is_waiting(self, queue: redis.Redis) -> bool:
        """True while Redis still has something to do for it; then nobody needs to disturb PostgreSQL with a count."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A library, its program, and how much it plays."""

    title: str
    libraries: tuple[str, ...]  # what is imported; the first one's version is told
    name: str  # of the module
    command: tuple[str, ...]  # of its worker
    processes: int  # to start of that command; 1 if it starts the two itself
    times: int  # as many lives as (a), for a round of a second or two
    poll_s: float | None = None  # between two counts of what is applied, where its queue is in PostgreSQL

    def module(self) -> Module:
        """Its program, imported now: nothing else of the bench needs the library."""
        return cast("Module", import_module(self.name))

    def is_installed(self) -> bool:
        """True if all of it can be imported."""
        return all(find_spec(library) is not None for library in self.libraries)

    def version(self) -> str:
        """The version of the library."""
        return version(self.libraries[0])


_TASKIQ = ("taskiq", "worker", "--workers=2", "--max-async-tasks=1", "--ack-type=when_executed", "--log-level=WARNING")
PEERS = {
    "faststream": Peer(
        title="FastStream, batches",
        libraries=("faststream",),
        name="bench.peers.faststream_batches",
        command=(sys.executable, "-m", "bench.peers.faststream_batches"),
        processes=2,
        times=3,
    ),
    "procrastinate": Peer(
        title="procrastinate, jobs",
        libraries=("procrastinate", "psycopg_pool"),
        name="bench.peers.procrastinate_job",
        command=(sys.executable, "-m", "bench.peers.procrastinate_job"),
        processes=2,
        times=1,
        poll_s=0.05,
    ),
    "taskiq": Peer(
        title="taskiq, tasks",
        libraries=("taskiq", "taskiq_redis"),
        name="bench.peers.taskiq_task",
        command=(sys.executable, "-m", *_TASKIQ, "bench.peers.taskiq_task:broker"),
        processes=1,
        times=1,
    ),
}


def make_group(redis_url: str, stream: str, group: str) -> None:
    """A stream's consumer group, which then has all that is handed in from now on."""
    with redis.Redis.from_url(redis_url) as client:
        client.xgroup_create(stream, group, id="0", mkstream=True)


def installed() -> tuple[str, ...]:
    """The names of those that can play here."""
    return tuple(name for name, peer in PEERS.items() if peer.is_installed())
