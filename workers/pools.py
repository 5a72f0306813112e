"""The pools of workers, each for its kind of waiting, and how one of them runs.

    drain    applies events: CPU, so a process each
    chores   what PostgreSQL alone is asked for: relay, timers, sweep, tidy
    outside  what waits for others: refunds, look-ups of payments, tracking, webhooks

Of a chore one round runs at a time, and a chore that asks others is one for each of them (`workers.chores`). So the last two
have a thread for every chore, and none of them can wait for another: a carrier that never answers holds up the one
thread of that carrier. They wait for servers nearly all the time, for which a process each would cost 100 MB.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import cast

from celery.utils.nodenames import gethostname

from journal.streams import DRAIN
from outbound.refunds import AT_ONCE as REFUNDS_AT_ONCE
from settings.environment import Settings
from telemetry import exposure, traces
from workers import tasks
from workers.app import app
from workers.chores import CHORES, LOOKUPS, REFUNDS, TRACKING, WEBHOOKS, chores
from workers.liveness import Heartbeat
from workers.watchdog import Watchdog

# Pool → its queues, by their names on the command line; `outside` may be cut in as many workers.
QUEUES = {
    "drain": DRAIN,
    "chores": CHORES,
    "refunds": REFUNDS,
    "lookups": LOOKUPS,
    "tracking": TRACKING,
    "webhooks": WEBHOOKS,
}
POOLS = {"drain": ("drain",), "chores": ("chores",), "outside": ("refunds", "lookups", "tracking", "webhooks")}


def serve(settings: Settings, pool: str, names: Sequence[str], processes: int, loglevel: str) -> None:
    """Run one worker for these queues of `pool` until it is stopped; `processes`: of drains.

    Ends by SystemExit; with `watchdog.EXIT` where it is deaf.
    """
    redis_url = cast(str, settings.redis_url)
    app.conf.broker_url = redis_url
    app.conf.worker_enable_remote_control = settings.celery_remote_control
    queues = [QUEUES[name] for name in names]
    drains = pool == "drain"
    size = processes if drains else max(1, sum(each.queue in queues for each in chores(settings)))
    role = pool if tuple(names) == POOLS[pool] else "-".join(names)
    worker = app.Worker(
        concurrency=size,
        queues=queues,
        hostname=f"{role}-{os.getpid()}@{gethostname()}",
        loglevel=loglevel,
        pool="prefork" if drains else "threads",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=not settings.celery_remote_control,
        optimization="fair",
    )
    exposure.start(settings.data, role)  # before the children are made
    if settings.metrics is not None:
        exposure.serve(settings.metrics, role)
    if not drains:  # each thread holds one connection at a time, and each refund one for a moment
        traces.start(role)
        tasks.stand_by(tasks.open_parts(settings, pool=size + REFUNDS_AT_ONCE), queues)
    watchdog = Watchdog(redis_url, queues, size, Heartbeat(settings.data, role))
    watchdog.start()
    try:
        worker.start()
    finally:
        watchdog.stop()
        tasks.close_parts()
