"""The way that Celery's consumer meets Redis: messages are taken, never lent, and a connection that fails is made anew at once.

Doorbells and chores may be lost (the relay and the beat send them again), so nothing of a message is kept in Redis once
it is taken: no `unacked` hash to acknowledge in, and nothing to put back. A place among the prefetched ones is freed
in this process's memory. kombu's own way asks Redis first, and where Redis is away then the place is never freed: with
all places gone nobody listens, nor notices that the connection is dead.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import redis
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis

from journal.streams import ANSWER_S, CONNECT_S, KEEPALIVE, of_the_primary

RETRY_S = 1  # between two tries to connect, however long Redis is away
BRPOP_CHECK_S = 3  # an answer to BRPOP that is overdue by this means a dead connection; looked at as often

ANSWERS = "reply.celery.pidbox"  # the exchange of workers' answers to `celery inspect` and `celery control`

OPTIONS = {
    "socket_timeout": ANSWER_S,  # of BRPOP, too, which is answered within a second, or by nothing
    "socket_connect_timeout": CONNECT_S,
    "socket_keepalive": True,
    "socket_keepalive_options": KEEPALIVE,
    "health_check_interval": BRPOP_CHECK_S,
    "max_retries": 0,  # whoever sends a message does not wait for Redis: what it stands for is sent again
}


class Channel(kombu_redis.Channel):
    """A channel whose messages are gone from Redis when they are delivered, and which writes nothing to listen.

    So a consumer can connect to a Redis that is full. Only who asks workers something (`celery inspect`) writes: where
    the answers are to go.
    """

    ack_emulation = False
    do_restore = False  # what a closed channel had not handed to the pool is lost, and sent again by whoever sent it
    connection_class = of_the_primary(redis.Connection)
    connection_class_ssl = of_the_primary(redis.SSLConnection)

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Nothing for our queues: whoever sends names the queue itself, and no exchange that would have to know it."""
        kind = self.typeof(exchange).type  # type: ignore[no-untyped-call]
        if kind == "fanout":  # of Celery's remote control and events: a subscription, kept in this process
            self._fanout_queues[queue] = (exchange, routing_key.replace("#", "*"))
        elif exchange == ANSWERS:
            super()._queue_bind(exchange, routing_key, pattern, queue)  # type: ignore[no-untyped-call]


class Transport(kombu_redis.Transport):
    """kombu's for Redis, with our channel."""

    Channel = Channel


class Consumer(CeleryConsumer):
    """Celery's, which tries to connect every RETRY_S: its own waits grow to half a minute."""

    def ensure_connected(self, conn: Any) -> Any:
        """`conn`, kombu's, connected; returns once Redis answers."""
        patient = conn.ensure_connection
        conn.ensure_connection = partial(patient, interval_start=RETRY_S, interval_step=0, interval_max=RETRY_S)
        return super().ensure_connected(conn)


def use(settings: Any) -> None:
    """Have Celery speak to Redis in this way: `settings` are an app's."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))
    settings.update(
        broker_transport_options=OPTIONS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # a refusal (UNBLOCKED, READONLY) is a reason to connect anew, not to end
        worker_consumer=f"{__name__}:Consumer",
        worker_cancel_long_running_tasks_on_connection_loss=True,  # of none, since all are acknowledged early; unset, it warns
        worker_enable_prefetch_count_reduction=False,  # nothing is delivered twice, so nothing is to be held back
        worker_prefetch_multiplier=1,
    )
