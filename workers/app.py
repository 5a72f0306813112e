"""The Celery app. Messages are doorbells and chores: small, JSON, lossy-safe, gone from Redis when they are taken.

The broker is the streams' Redis. Messages go straight to their queue by its name, so that a flush of Redis loses
messages and never the way they take.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from typing import Any

import orjson
from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown
from kombu.serialization import dumps

from journal.streams import DRAIN
from settings.environment import read
from telemetry import traces
from workers import broker
from workers.chores import CHORES, LOOKUPS, REFUNDS, TRACKING, WEBHOOKS, Chore

QUEUES = (DRAIN, CHORES, REFUNDS, LOOKUPS, TRACKING, WEBHOOKS)

app = Celery("orders", include=["workers.tasks"])
app.conf.update(
    broker_url=os.environ.get("REDIS_URL"),
    task_default_queue=CHORES,
    task_serializer="json",
    accept_content=["json"],
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=False,
    task_store_errors_even_if_ignored=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,  # our log writes to stderr, and would be led back into itself: no line would come out
    worker_enable_remote_control=False,  # unless ORDERS_CELERY_REMOTE_CONTROL says so (workers/pools.py)
    worker_send_task_events=False,
    beat_scheduler="workers.scheduler:Coalescing",
    beat_max_loop_interval=1,
    enable_utc=True,
    timezone="UTC",
)
broker.use(app.conf)


def ring(shard: int) -> bytes:
    """The doorbell of a shard, "it has entries", as Celery's broker keeps a message; it carries no event.

    So the streams put it into the queue in the round trip that adds the entries (decision 0014).
    """
    return message(f"doorbell-{shard}", "orders.drain", (shard,), DRAIN)


def call(chore: Chore) -> bytes:
    """The message of a chore, as Celery's broker keeps it."""
    return message(chore.name, chore.task, () if chore.whom is None else (chore.whom,), chore.queue)


def message(name: str, task: str, arguments: Sequence[object], queue: str) -> bytes:
    """A call of a task in the form that kombu's consumers read from Redis: message protocol 2, its body in Base64."""
    made = app.amqp.create_task_message(name, task, args=arguments, ignore_result=True)
    content_type, encoding, body = dumps(made.body, serializer="json")
    return orjson.dumps(
        {
            "body": base64.b64encode(body.encode()).decode(),
            "content-type": content_type,
            "content-encoding": encoding,
            "headers": made.headers,
            "properties": {
                **made.properties,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "delivery_tag": name,
                "priority": 0,
                "body_encoding": "base64",
            },
        }
    )


@worker_process_init.connect
def _open(**_: Any) -> None:
    """Each process of the pool opens its own connections, after the fork, and stands by for Redis."""
    import workers.tasks as tasks

    traces.start("drain")
    tasks.stand_by(tasks.open_parts(read()), [DRAIN])


@worker_process_shutdown.connect
def _close(**_: Any) -> None:
    import workers.tasks as tasks

    tasks.close_parts()
