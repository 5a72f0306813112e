"""FastStream on a Redis stream: two processes in one consumer group, a transaction a batch.

    python -m bench.peers.faststream_batches

A batch's orders are locked by one statement, sorted, those that do not exist yet included: so no two batches wait
for each other in a circle, and none meets another's half-written order. Its events then run in (b)'s SQL one after the
other. One that comes too early has written nothing and is set aside; should one fail, the batch rolls back and each
event runs in a transaction of its own (savepoints would cost every event two round trips). What was set aside goes to
the end of the stream again, and only then is the batch acknowledged. What a killed process left is claimed
by the other.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import Any

import psycopg
import redis
from faststream import AckPolicy, FastStream
from faststream.redis import RedisBroker, StreamSub
from faststream.redis.annotations import RedisBatchStreamMessage
from redis.asyncio import Redis

from bench.baseline_app import RETRY_S, TRIES, TooEarly
from bench.peers import make_group
from bench.psycopg_task import Cursor, Event, apply_event, connection

STREAM, GROUP = "bench.faststream", "workers"
BATCH = 64  # 2,500 events/s with two processes; with 256, 1,770: neighbours share more orders, and wait for each other
POLL_MS = 100
CLAIM_MS = 60_000  # without an answer: the process that read it is taken for dead
CLAIM_POLL_MS = 10_000

log = logging.getLogger(__name__)
log.setLevel(logging.WARNING)  # FastStream tells of every batch below that
# A process that stood still between its turns would take the wait for a dead Redis, and be away for five seconds.
STILL_S = 3600
broker = RedisBroker(os.environ.get("BENCH_REDIS_URL", "redis://localhost"), logger=log, socket_timeout=STILL_S)
app = FastStream(broker, logger=log)
_turn = asyncio.Lock()  # the two subscribers share one connection
_consumer = f"worker-{os.getpid()}"


@broker.subscriber(
    stream=StreamSub(STREAM, group=GROUP, consumer=_consumer, batch=True, max_records=BATCH, polling_interval=POLL_MS),
    ack_policy=AckPolicy.MANUAL,
)
@broker.subscriber(
    stream=StreamSub(
        STREAM,
        group=GROUP,
        consumer=_consumer,
        batch=True,
        min_idle_time=CLAIM_MS,
        polling_interval=CLAIM_POLL_MS,
    ),
    ack_policy=AckPolicy.MANUAL,
)
async def take(events: list[dict[str, Any]], message: RedisBatchStreamMessage) -> None:
    """Apply a batch; what is not applied is tried again later."""
    async with _turn:
        left = await asyncio.to_thread(apply_batch, events)
    if left:
        if len(left) == len(events):
            await asyncio.sleep(RETRY_S)  # nothing else is there: what they wait for is still to come
        await _send_again(left)
    await message.ack()
    await message.delete()


async def _send_again(events: Sequence[Event]) -> None:
    for event in events:
        tries = event.get("tries", 0) + 1
        if tries > TRIES:
            log.error("given up after %d tries: %s %s", TRIES, event["source"], event["id"])
            continue
        await broker.publish({**event, "tries": tries}, stream=STREAM)


# -- a batch -------------------------------------------------------------------------------------------------

LOCK_ORDERS = """
    select pg_advisory_xact_lock(hashtextextended(number, 0))
    from (select distinct number from unnest(%s::text[]) number order by number) sorted
"""


def apply_batch(events: Sequence[Event]) -> list[Event]:
    """Apply events in one transaction, or, if one fails, each in its own; what came too early or failed.

    Errors: any of psycopg's where the connection is lost; nothing is acknowledged then.
    """
    conn = connection()
    try:
        with conn.transaction(), conn.cursor() as cur:
            cur.execute(LOCK_ORDERS, ([event["subject"] for event in events],))
            return [event for event in events if not _in_time(cur, event)]
    except Exception as error:
        if conn.closed:
            connection.cache_clear()
            raise
        log.warning("a batch of %d, event by event: %s", len(events), error)
        return [event for event in events if not _applied_alone(conn, event)]


def _in_time(cur: Cursor, event: Event) -> bool:
    try:
        apply_event(cur, event)
    except TooEarly:
        return False
    return True


def _applied_alone(conn: psycopg.Connection[tuple[Any, ...]], event: Event) -> bool:
    try:
        with conn.transaction(), conn.cursor() as cur:
            cur.execute(LOCK_ORDERS, ([event["subject"]],))
            return _in_time(cur, event)
    except Exception as error:
        if conn.closed:
            connection.cache_clear()
            raise
        log.warning("%s %s failed: %s", event.get("source"), event.get("id"), error)
        return False


# -- for the bench -------------------------------------------------------------------------------------------


def prepare(database_url: str, redis_url: str) -> None:
    """Make the consumer group of the stream."""
    make_group(redis_url, STREAM, GROUP)


def publish(database_url: str, redis_url: str, events: Sequence[Event]) -> None:
    """All in one pipeline."""
    asyncio.run(_publish(redis_url, events))


def is_waiting(queue: redis.Redis) -> bool:
    """True while the stream has anything: what is acknowledged is deleted."""
    return bool(queue.xlen(STREAM))


async def _publish(redis_url: str, events: Sequence[Event]) -> None:
    async with RedisBroker(redis_url, logger=log) as sender, Redis.from_url(redis_url) as client:
        pipe = client.pipeline(transaction=False)
        for event in events:
            await sender.publish(event, stream=STREAM, pipeline=pipe)
        await pipe.execute()


if __name__ == "__main__":
    asyncio.run(app.run())
