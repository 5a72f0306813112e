"""taskiq: a Redis stream and its consumer group, a task per event; two processes, one task at a time each.

    taskiq worker --workers 2 --max-async-tasks 1 --ack-type when_executed bench.peers.taskiq_task:broker

A task is (b)'s: the same SQL in a transaction of its own, acknowledged after it. taskiq tries again at once; so an
event that came too early waits here, in its worker, before it goes to the end of the stream.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import psycopg
import redis
from taskiq import SimpleRetryMiddleware
from taskiq.kicker import AsyncKicker
from taskiq_redis import RedisStreamBroker

from bench.baseline_app import RETRY_S, TRIES, TooEarly
from bench.peers import make_group
from bench.psycopg_task import Event, apply_alone

STREAM, GROUP = "bench.taskiq", "workers"
PREFETCH = 4  # entries, as Celery's default; with taskiq's 100 the two processes' events overtake each other


def make_broker(redis_url: str) -> RedisStreamBroker:
    """The workers', or a sender's."""
    return RedisStreamBroker(
        redis_url, queue_name=STREAM, consumer_group_name=GROUP, consumer_id="0", xread_count=PREFETCH
    )


broker = make_broker(os.environ.get("BENCH_REDIS_URL", "redis://localhost"))
broker.add_middlewares(SimpleRetryMiddleware(default_retry_count=TRIES, default_retry_label=True))


@broker.task(task_name="apply")
async def apply(event: Event) -> None:
    """Apply one event, once."""
    try:
        await asyncio.to_thread(apply_alone, event)
    except (TooEarly, psycopg.Error):
        await asyncio.sleep(RETRY_S)
        raise


# -- for the bench -------------------------------------------------------------------------------------------


def prepare(database_url: str, redis_url: str) -> None:
    """Make the consumer group of the stream."""
    make_group(redis_url, STREAM, GROUP)


def publish(database_url: str, redis_url: str, events: Sequence[Event]) -> None:
    """One after the other."""
    asyncio.run(_publish(redis_url, events))


def is_waiting(queue: redis.Redis) -> bool:
    """True while the group has not read, or not acknowledged, some entry."""
    groups: Any = queue.xinfo_groups(STREAM)
    return any(group["lag"] != 0 or group["pending"] for group in groups)


async def _publish(redis_url: str, events: Sequence[Event]) -> None:
    sender = make_broker(redis_url)
    for event in events:
        await AsyncKicker[[Event], None]("apply", sender, {}).kiq(event)
    await sender.shutdown()
