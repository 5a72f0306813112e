"""The beat: sends each chore at its pace, and never piles them up.

A chore's key is set while its message is on its way (like a doorbell's), so that a beat whose workers
are away adds one message a chore and KEY_S. It keeps nothing on disk: killed and started again, or
run twice, it sends the same chores, and each of them may run at any time.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import redis
from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedule as Pace  # noqa: N812

from journal.streams import connect
from storage.clock import clock
from storage.settings import Settings, read

BEAT_KEY, BEAT_S = "orders:beat", 60  # set anew at every beat, for so long: what is left of it tells how old it is
KEY_S = 5  # a message that nobody took, or that died with its worker, may be followed by another after this
log = logging.getLogger(__name__)


def chore_key(name: str) -> str:
    """The Redis key that says a chore's message is on its way."""
    return f"orders:chore:{name}"


def schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the beat sends, and how often."""
    paces = {"orders.relay": timedelta(seconds=1), "orders.timers": timedelta(seconds=5)}
    paces["orders.webhooks"] = timedelta(seconds=1)  # a subscription may come at any time
    paces["orders.tidy"] = timedelta(hours=1)
    if settings.sweep is not None:
        paces["orders.sweep"] = settings.sweep
    if settings.refund_url is not None:
        paces["orders.effects"] = timedelta(seconds=1)
    if settings.webhook_secrets["portone"] or settings.toss_api_key is not None:
        paces["orders.inbox"] = timedelta(seconds=1)
    if settings.carriers:
        paces["orders.tracking"] = min(timedelta(seconds=5), settings.tracking_pace)
    # By a clock that goes on evenly: Celery's is this host's, and sends nothing for as long as that was put back.
    return {name: {"task": name, "schedule": Pace(pace, nowfun=clock)} for name, pace in paces.items()}


class Coalescing(Scheduler):
    """Celery's in-memory scheduler, with a key a chore."""

    def setup_schedule(self) -> None:
        """Read the settings and start from now."""
        settings = read()
        self._client = connect(settings.redis_url or "")
        self.merge_inplace(schedule(settings))

    def tick(self, *arguments: Any, **options: Any) -> Any:
        """Send what is due, and say in Redis that this beat goes on."""
        try:
            self._client.set(BEAT_KEY, b"1", ex=BEAT_S)
        except redis.RedisError as error:
            log.warning("Redis is away (%s); nobody can see that this beat goes on", error)
        return super().tick(*arguments, **options)

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send the chore unless its last message is still on its way."""
        try:
            if self._client.set(chore_key(entry.task), b"1", nx=True, ex=KEY_S):
                super().apply_entry(entry, producer=producer)
        except redis.RedisError as error:
            log.warning("Redis is away (%s); %s comes with the next beat", error, entry.task)
