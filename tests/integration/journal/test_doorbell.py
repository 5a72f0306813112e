"""The doorbell's message, put into Celery's queue by the streams themselves: what kombu would have sent."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from celery import Celery

from journal.entries import Entry
from journal.streams import DRAIN, Streams, connect
from workers.app import ring

AT = datetime(2026, 11, 1, tzinfo=UTC)
OF_THE_SENDER = ("origin", "id", "root_id", "argsrepr", "kwargsrepr")


@pytest.fixture
def streams(redis_url: str) -> Streams:
    return Streams(connect(redis_url), 8, ring)


def an_entry(seq: int, shard: int = 3) -> Entry:
    return Entry(seq, "shop", f"e{seq}", "OrderCanceled", 1, AT, "N1", shard, False, {}, 2)


def queued(client: redis.Redis) -> list[Any]:
    found: Any = client.lrange(DRAIN, 0, -1)
    return [json.loads(each) for each in found]


def told(message: Any) -> tuple[Any, ...]:
    """The parts of a message that a worker reads: arguments, headers and properties, but those that name the one message."""
    headers = {name: value for name, value in message["headers"].items() if name not in OF_THE_SENDER}
    named = ("delivery_tag", "correlation_id", "reply_to")
    properties = {name: value for name, value in message["properties"].items() if name not in named}
    body = json.loads(base64.b64decode(message["body"]))
    return body, headers, properties, message["content-type"], message["content-encoding"]


def test_it_is_what_kombu_sends(streams, redis_url):
    streams.publish([an_entry(1)])
    app = Celery("test", broker=redis_url, set_as_current=False)
    app.conf.task_serializer = "json"
    app.send_task("orders.drain", args=(3,), queue=DRAIN, exchange="", routing_key=DRAIN, ignore_result=True)
    theirs, ours = queued(streams.client)  # the last one first
    assert told(ours) == told(theirs)
    assert ours.keys() == theirs.keys()
    assert ours["headers"].keys() == theirs["headers"].keys()
    assert ours["properties"].keys() == theirs["properties"].keys()


def test_the_first_and_every_later_one_is_the_same(streams):
    for seq in range(3):
        streams.publish([an_entry(seq)])
        streams.answer(3, 1)
    first, *later = queued(streams.client)
    assert len(later) == 2
    assert all(told(each) == told(first) for each in later)


def test_no_message_while_the_bell_is_set(streams):
    streams.publish([an_entry(1)])
    streams.publish([an_entry(2)])
    streams.ring(3)
    assert len(queued(streams.client)) == 1
    streams.answer(3, 1)
    streams.ring(3)
    assert len(queued(streams.client)) == 2
