"""Stands in for the beat and the workers: sets the one's key and takes messages, as long as a test wants it to."""

from __future__ import annotations

import threading

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from operations.beat import BEAT_KEY, BEAT_S
from workers.signs_of_life import QUEUES


class Hands:
    """`beats` and `takes` say what it does; `doing` waits until a change of them holds."""

    def __init__(self, redis_url: str) -> None:
        self.beats, self.takes = True, set(QUEUES)
        self._client = redis.Redis.from_url(redis_url, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._round = threading.Condition()
        self._rounds = 0

    def __enter__(self) -> Hands:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    def doing(self) -> None:
        """Wait for two whole rounds: what was set before holds in the second."""
        with self._round:
            wanted = self._rounds + 2
            assert self._round.wait_for(lambda: self._rounds >= wanted, 30)

    def _run(self) -> None:
        while not self._over.wait(0.005):
            try:
                if self.beats:
                    self._client.set(BEAT_KEY, b"1", ex=BEAT_S)
                for name in self.takes.copy():
                    self._client.rpop(QUEUES[name][0])
            except redis.RedisError:
                pass  # a test stopped it: as workers do, try on
            with self._round:
                self._rounds += 1
                self._round.notify_all()
