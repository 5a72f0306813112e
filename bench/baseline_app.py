"""The Celery app of (a), (b) and (c), set up as for production: JSON, no results, acknowledged once done.

BENCH_REDIS_URL and BENCH_DATABASE_URL say where, in a worker's environment.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from events.envelope import Envelope

RETRY_S = 0.2  # before an event that came too early is tried again
TRIES = 100


class TooEarly(Exception):
    """The order is not yet where this event applies: Celery tries it again."""


def celery_app(name: str) -> Celery:
    """An app whose tasks go to the queue `bench.NAME`."""
    app = Celery(f"bench.{name}", broker=os.environ.get("BENCH_REDIS_URL"))
    app.conf.update(
        broker_connection_retry_on_startup=True,
        task_default_queue=f"bench.{name}",
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,  # a task of a killed worker is delivered again
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
    )
    return app


def database_url() -> str:
    """The database of this worker."""
    return os.environ["BENCH_DATABASE_URL"]


def message(envelope: Envelope) -> dict[str, Any]:
    """The argument of the task."""
    return {
        "source": envelope.source,
        "id": envelope.id,
        "type": envelope.type,
        "time": envelope.time.isoformat(),
        "subject": envelope.subject,
        "data": envelope.data,
    }
