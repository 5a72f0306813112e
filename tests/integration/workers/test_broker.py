"""Facts of kombu and Celery that we rely on: a message is gone when it is taken, and a place is freed without Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from celery.app.utils import Settings as CelerySettings
from kombu import Connection, Consumer, Exchange, Queue
from kombu.transport import virtual

from journal.streams import ANSWER_S, DRAIN, KEEPALIVE, connect
from workers import broker
from workers.app import app, ring


@contextmanager
def consumed(redis_url: str, prefetch: int) -> Iterator[tuple[Connection, list[Any]]]:
    """A connection of the app's whose consumer has taken what waits for it, and acknowledged nothing."""
    taken: list[Any] = []
    with app.connection_for_read(redis_url) as connection:
        channel = connection.default_channel
        channel.basic_qos(0, prefetch, False)
        with Consumer(
            channel, [Queue(DRAIN, Exchange(DRAIN), DRAIN)], callbacks=[lambda _, message: taken.append(message)]
        ):
            for _ in range(prefetch):
                connection.drain_events(timeout=5)
            yield connection, taken


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_celery_speaks_to_redis_in_our_way(scheme: str):
    with app.connection_for_read(f"{scheme}://127.0.0.1:1/0") as connection:
        assert isinstance(connection.transport, broker.Transport)
        assert connection.transport_options["socket_timeout"] == ANSWER_S
        assert connection.transport_options["socket_keepalive_options"] == KEEPALIVE
    assert isinstance(app.conf, CelerySettings)
    assert app.conf.worker_consumer == "workers.broker:Consumer"
    assert app.conf.broker_channel_error_retry


def test_a_message_that_is_taken_leaves_nothing_in_redis(redis_url: str):
    client = connect(redis_url)
    client.lpush(DRAIN, ring(1), ring(2))
    with consumed(redis_url, prefetch=2) as (connection, taken):
        assert len(taken) == 2
        assert type(connection.default_channel.qos) is virtual.QoS
        assert list(client.scan_iter()) == []
    assert client.llen(DRAIN) == 0, "nothing is put back when the channel closes"


def test_a_place_is_freed_while_redis_is_away(redis_url: str, monkeypatch: pytest.MonkeyPatch):
    client = connect(redis_url)
    client.lpush(DRAIN, ring(1), ring(2))
    with consumed(redis_url, prefetch=2) as (connection, taken):
        qos = connection.default_channel.qos
        assert not qos.can_consume()

        def away(*_: Any, **__: Any) -> Any:
            raise redis.ConnectionError("away")

        with monkeypatch.context() as patched:
            patched.setattr(redis.connection.AbstractConnection, "send_packed_command", away)
            for message in taken:
                message.ack()
        assert qos.can_consume()


def test_doorbells_of_one_shard_never_fill_the_places(redis_url: str):
    """Their messages are alike, to their tags."""
    client = connect(redis_url)
    with consumed(redis_url, prefetch=0) as (connection, taken):
        qos = connection.default_channel.qos
        qos.prefetch_count = 2
        for _ in range(5):
            client.lpush(DRAIN, ring(1), ring(1))
            connection.drain_events(timeout=5)
            connection.drain_events(timeout=5)
            for message in taken:
                message.ack()
            taken.clear()
            assert qos.can_consume()


def test_a_server_that_became_a_replica_is_left(own_redis_url: str):
    """The next connection finds the new primary, where the address leads to it meanwhile."""
    client = connect(own_redis_url, again=0)
    client.set("a", "1")
    (connection,) = client.connection_pool._available_connections
    client.replicaof("127.0.0.1", "1")
    with pytest.raises(redis.ConnectionError, match="failed over"):
        client.set("a", "2")
    assert not connection.is_connected
    client.replicaof("NO", "ONE")
    assert client.set("a", "3")
