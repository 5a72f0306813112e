"""While Redis takes nothing, a worker hears nothing: then it looks for itself, in the journal.

Redis is away, paused, a replica, or full: no doorbell can be rung and no chore sent. Each process of a worker tries that,
with a write as small as a doorbell's. Refused twice, it drains the journal, and does the chores of its queues at their pace,
until Redis takes a write again. What is decided meanwhile is decided as ever; publishers leave their events in the
journal, and the relay finds what is missing afterwards.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from random import randrange
from time import monotonic

import redis
from sqlalchemy import Engine, text
from sqlalchemy.exc import InterfaceError, OperationalError

from journal.batch import Clash
from journal.outage import NoStreams
from journal.streams import connect
from workers.chores import Chore
from workers.resources import Parts

LOOK_S = 1.0  # between two tries, and between two looks into the journal
ANSWER_S = 1.0  # of Redis; if it is merely slow, to look here as well does no harm
REFUSALS = 2  # in a row, before it counts as away
PROBE = "orders:probe"
_LOCK = text("select pg_try_advisory_lock(77003, hashtext(:name))")
_UNLOCK = text("select pg_advisory_unlock(77003, hashtext(:name))")

log = logging.getLogger(__name__)


class Standby:
    """The thread of one process that tries Redis, and works without it where it must."""

    def __init__(
        self, parts: Parts, chores: Sequence[Chore], perform: Callable[[Parts, Chore], None], *, drains: bool
    ) -> None:
        self._parts = replace(parts, streams=NoStreams(parts.engine, parts.streams))
        self._chores, self._perform, self._drains = chores, perform, drains
        self._client = connect(parts.settings.redis_url or "", answer_s=ANSWER_S, again=0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="standby", daemon=True)
        self._due: dict[str, float] = {}
        self._under_way: dict[str, Future[None]] = {}

    def start(self) -> None:
        """Try Redis from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Work no longer; what is under way ends with its process."""
        self._over.set()
        self._client.close()

    def refused(self) -> redis.RedisError | None:
        """The reason that Redis takes no write, None where it does."""
        try:
            self._client.set(PROBE, b"1", ex=60)
        except redis.RedisError as error:
            return error
        return None

    def _run(self) -> None:
        refusals = 0
        pool = ThreadPoolExecutor(max(1, len(self._chores)), "standby")
        while not self._over.wait(LOOK_S):
            if (error := self.refused()) is not None:
                refusals += 1
                if refusals == REFUSALS:
                    log.warning("Redis takes nothing (%s): until it does, events and chores are looked for here", error)
                if refusals >= REFUSALS:
                    self._look(pool)
            else:
                if refusals >= REFUSALS:
                    log.warning("Redis takes writes again: doorbells and the beat are listened to")
                refusals = 0
        pool.shutdown(wait=False, cancel_futures=True)

    def _look(self, pool: ThreadPoolExecutor) -> None:
        now = monotonic()
        for chore in self._chores:
            under_way = self._under_way.get(chore.name)
            if self._due.get(chore.name, now) <= now and (under_way is None or under_way.done()):
                self._due[chore.name] = now + chore.pace.total_seconds()
                self._under_way[chore.name] = pool.submit(self._round, chore)
        if self._drains:
            _calmly("drain", self._drain)

    def _drain(self) -> None:
        """Until nothing is decided any more, or LOOK_S is over: then Redis is tried again."""
        until = monotonic() + LOOK_S
        while self._parts.drain().answer(randrange(self._parts.shop.shards)).outcomes and monotonic() < until:
            pass

    def _round(self, chore: Chore) -> None:
        def alone() -> None:
            with _alone(self._parts.engine, chore.name) as ours:
                if ours:
                    self._perform(self._parts, chore)

        _calmly(chore.name, alone)


def _calmly(name: str, work: Callable[[], None]) -> None:
    """What fails is told, and tried again at the next look."""
    try:
        work()
    except (Clash, OperationalError, InterfaceError) as error:
        log.warning("%s without Redis: PostgreSQL is away or busy, too: %s", name, error)
    except Exception:
        log.exception("%s without Redis failed", name)


@contextmanager
def _alone(engine: Engine, name: str) -> Iterator[bool]:
    """Whether no other process does this chore now; PostgreSQL's lock stands for the lease in Redis."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        ours = bool(conn.execute(_LOCK, {"name": name}).scalar_one())
        try:
            yield ours
        finally:
            if ours:
                conn.execute(_UNLOCK, {"name": name})
