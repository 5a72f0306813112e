"""The Celery app. Messages are doorbells and chores: small, JSON, lossy-safe, acknowledged early.

The broker is the streams' Redis. Messages go straight to their queue by its name (the default
exchange), so that a flush of Redis loses messages and never the way they take.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import redis
from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown
from kombu.exceptions import OperationalError as BrokerAway

from storage.settings import read

# Queues. What waits for carriers and providers has one of its own: a carrier that never answers must not
# hold up a drain.
DRAIN, CHORES, OUTSIDE = "orders.drain", "orders.chores", "orders.outside"

app = Celery("orders", include=["workers.tasks"])
app.conf.update(
    broker_url=os.environ.get("REDIS_URL"),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        # A message that a killed worker held is lost, not redelivered: the next ring stands for it.
        "visibility_timeout": 3600,
        "socket_keepalive": True,
        "health_check_interval": 10,
        # A doorbell is not worth waiting for: the relay rings again. (A worker's own connection has other rules.)
        "max_retries": 0,
    },
    task_default_queue=CHORES,
    task_routes={
        "orders.drain": {"queue": DRAIN},
        "orders.effects": {"queue": OUTSIDE},
        "orders.webhooks": {"queue": OUTSIDE},
        "orders.inbox": {"queue": OUTSIDE},
        "orders.tracking": {"queue": OUTSIDE},
    },
    task_serializer="json",
    accept_content=["json"],
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=False,
    task_store_errors_even_if_ignored=False,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,  # no gossip, no mingle: nothing of it survives a flush
    worker_send_task_events=False,
    beat_scheduler="workers.beat:Coalescing",
    beat_max_loop_interval=1,
    enable_utc=True,
    timezone="UTC",
)


def ring(shard: int) -> None:
    """Send the doorbell of a shard: "it has entries"; it carries no event.

    Its message is made once a shard: `send_task` makes it anew each time, which costs more than sending it.
    Errors: redis.ConnectionError where the broker is away.
    """
    message = _doorbell(shard)
    try:
        with app.producer_pool.acquire(block=True) as producer:
            producer.publish(
                message.body, exchange="", routing_key=DRAIN, serializer="json", headers=message.headers,
                retry=False, **message.properties,
            )  # fmt: skip
    except BrokerAway as error:
        raise redis.ConnectionError(str(error)) from error


@cache
def _doorbell(shard: int) -> Any:
    return app.amqp.create_task_message(f"doorbell-{shard}", "orders.drain", args=(shard,), ignore_result=True)


@worker_process_init.connect
def _open(**_: Any) -> None:
    """Each process of the pool opens its own connections, after the fork."""
    import workers.tasks as tasks

    tasks.open_parts(read())


@worker_process_shutdown.connect
def _close(**_: Any) -> None:
    import workers.tasks as tasks

    tasks.close_parts()
