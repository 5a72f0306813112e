"""Looks from a worker's main process whether it still hears: messages wait, and it takes none.

Whatever made it deaf, a new start mends it, and costs nothing that was accepted: so it says why, and ends with EXIT.
Whoever supervises it (`orders up`, compose, systemd) starts it again.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import redis
from billiard.process import active_children
from celery.signals import task_received
from celery.worker.state import active_requests

from journal.streams import connect
from workers.liveness import Heartbeat

LOOK_S = 1.0  # between two looks
DEAF_S = 10.0  # messages waited all the while, a process or thread of the pool was free, and nothing was taken
STUCK_S = 300.0  # likewise, though all of the pool was at work: several times what the longest run may take
START_S = 60.0  # of a new process, until it took its first message
ANSWER_S = 2.0  # of Redis; a watchdog has nothing to say while Redis is away
EXIT = 70  # EX_SOFTWARE

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Hearing:
    """The time for which messages have waited without one being taken, as far as somebody looked."""

    size: int  # processes or threads of the pool
    deaf_s: float = 0.0
    _taken: int = 0
    _last: float | None = None

    def judge(self, now: float, waiting: int | None, taken: int, busy: int) -> str | None:
        """The reason to start this worker anew, None where it is not.

        `waiting`: messages in its queues, None where Redis does not tell; `taken`: by this worker, ever; `busy`: of its pool.
        """
        # A look that comes late says nothing of the time before: the process itself was stopped.
        passed = 0.0 if self._last is None else min(now - self._last, 2 * LOOK_S)
        self._last = now
        if not waiting or taken != self._taken:
            self._taken, self.deaf_s = taken, 0.0
            return None
        self.deaf_s += passed
        if busy >= self.size:
            if self.deaf_s < STUCK_S:
                return None
            return f"all {self.size} of its pool are at work since {self.deaf_s:.0f} s without an end"
        if self.deaf_s < (DEAF_S if taken else START_S):
            return None
        return f"{waiting} messages wait, {self.size - busy} of its pool are free, and none was taken for {self.deaf_s:.0f} s"


class Watchdog:
    """The thread that looks, every LOOK_S, and says that this process lives."""

    def __init__(self, redis_url: str, queues: Sequence[str], size: int, heartbeat: Heartbeat) -> None:
        self._client = connect(redis_url, answer_s=ANSWER_S, again=0)
        self._queues = queues
        self._hearing = Hearing(size)
        self._heartbeat = heartbeat
        self._taken = 0
        self._over = threading.Event()

    def start(self) -> None:
        """Watch from now on."""
        task_received.connect(self._count, weak=False)
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """This process ends: watch no longer."""
        self._over.set()
        task_received.disconnect(self._count)
        self._heartbeat.end()

    def _count(self, **_: Any) -> None:
        self._taken += 1

    def _run(self) -> None:
        while not self._over.wait(LOOK_S):
            why = self._hearing.judge(monotonic(), self._waiting(), self._taken, len(active_requests))
            if why is not None and not self._over.is_set():
                self._end(why)
            self._heartbeat.beat()

    def _waiting(self) -> int | None:
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for queue in self._queues:
                    pipe.llen(queue)
                return int(sum(pipe.execute()))
        except redis.RedisError:
            return None  # the consumer tells so, each time that it tries to connect

    def _end(self, why: str) -> None:
        log.critical("this worker is deaf: %s. It ends, to be started again", why)
        self._heartbeat.end()
        for child in active_children():
            child.terminate()
        logging.shutdown()
        os._exit(EXIT)
