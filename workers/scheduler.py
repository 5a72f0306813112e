"""The beat: sends each chore at its pace, and never piles them up.

It keeps nothing on disk: killed and started again, or run twice, it sends the same chores, and each of them may run at
any time. Redis is spoken to here and not by Celery, whose publisher waits for a Redis that is away.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any

import redis
from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedule as Pace  # noqa: N812

from journal.streams import connect
from operations.beat import BEAT_KEY, BEAT_S
from settings.environment import Settings, read
from storage.clock import clock
from workers.app import call
from workers.chores import chores, send
from workers.liveness import Heartbeat

ANSWER_S = 2  # a beat does not wait for Redis: what is not sent now is sent with the next
REST_S = 1.0  # after Redis did not answer
log = logging.getLogger(__name__)


def schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """The tasks that the beat sends, and their pace, as Celery's schedulers know it.

    By a clock that goes on evenly: Celery's is this host's, and sends nothing for as long as that was put back.
    """
    return {each.name: {"task": each.task, "schedule": Pace(each.pace, nowfun=clock)} for each in chores(settings)}


class Coalescing(Scheduler):
    """Celery's in-memory scheduler, which sends by `chores.send`."""

    producer = None  # Celery's: made of a connection that is waited for

    def setup_schedule(self) -> None:
        """Read the settings and start from now."""
        settings = read()
        self._client = connect(settings.redis_url or "", answer_s=ANSWER_S, again=0)
        self._chores = {each.name: (each, call(each)) for each in chores(settings)}
        self._rests_until = 0.0
        self._heartbeat = Heartbeat(settings.data, "beat")
        self.merge_inplace(schedule(settings))

    def tick(self, *arguments: Any, **options: Any) -> Any:
        """Send what is due, and say in this process' file and in Redis that this beat goes on."""
        self._heartbeat.beat()
        if monotonic() >= self._rests_until:
            try:
                self._client.set(BEAT_KEY, b"1", ex=BEAT_S)
            except redis.RedisError as error:
                self._rests_until = monotonic() + REST_S
                log.warning("Redis is away (%s); nobody can see there that this beat goes on", error)
        return super().tick(*arguments, **options)

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send the chore unless its last message is on its way, or its round under way."""
        if monotonic() < self._rests_until:
            return
        chore, message = self._chores[entry.name]
        try:
            if send(self._client, chore, message):
                log.debug("%s sent", chore.name)
        except redis.RedisError as error:
            self._rests_until = monotonic() + REST_S
            log.warning("Redis takes nothing (%s); %s comes with a later beat", error, chore.name)

    def close(self) -> None:
        """End, and no longer count as alive."""
        super().close()
        self._heartbeat.end()
