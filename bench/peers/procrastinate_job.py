"""procrastinate: PostgreSQL is the queue, a job per event; two processes, one job at a time each.

    python -m bench.peers.procrastinate_job

A job is (b)'s task: the same SQL in a transaction of its own. procrastinate's tables stand beside the orders, and a
job that succeeded is deleted. A worker hears of new jobs by LISTEN, and asks for those to be tried again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import psycopg
import redis
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision, SyncPsycopgConnector
from procrastinate.jobs import Job

from bench.baseline_app import RETRY_S, TRIES, TooEarly
from bench.psycopg_task import Event, apply_alone

app = App(connector=PsycopgConnector(conninfo=os.environ.get("BENCH_DATABASE_URL", "")))


class Later(BaseRetryStrategy):
    """As (b): soon, and often."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """The time of the next try for an event that came too early, or met a rival."""
        if job.attempts >= TRIES or not isinstance(exception, (TooEarly, psycopg.Error)):
            return None
        return RetryDecision(retry_in={"milliseconds": int(RETRY_S * 1000)})


@app.task(name="apply", retry=Later())
def apply(event: Event) -> None:
    """Apply one event, once."""
    apply_alone(event)


# -- for the bench -------------------------------------------------------------------------------------------


def prepare(database_url: str, redis_url: str) -> None:
    """Make procrastinate's own tables."""
    with app.replace_connector(SyncPsycopgConnector(conninfo=database_url)), app.open():
        app.schema_manager.apply_schema()


def publish(database_url: str, redis_url: str, events: Sequence[Event]) -> None:
    """All in one statement."""
    jobs: list[dict[str, Any]] = [{"event": event} for event in events]
    with app.replace_connector(SyncPsycopgConnector(conninfo=database_url)), app.open():
        apply.batch_defer(*jobs)


def is_waiting(queue: redis.Redis) -> bool:
    """Redis knows nothing of it."""
    return False


async def work() -> None:
    """Until it is told to stop."""
    async with app.open_async():
        await app.run_worker_async(concurrency=1, fetch_job_polling_interval=RETRY_S, delete_jobs="successful")


if __name__ == "__main__":
    asyncio.run(work())
