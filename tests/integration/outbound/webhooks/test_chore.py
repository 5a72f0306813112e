"""The dispatcher as the beat's chore: its pace, its queue, its settings."""

from __future__ import annotations

from datetime import timedelta

from settings.environment import read
from tests.builders import created
from workers import tasks
from workers.chores import WEBHOOKS, Chore, chore_key, chores, round_key
from workers.resources import parts
from workers.scheduler import schedule


def test_it_comes_every_second_to_a_queue_of_its_own():
    assert Chore("orders.webhooks", WEBHOOKS, timedelta(seconds=1)) in chores(read({}))
    assert schedule(read({}))["orders.webhooks"] == {"task": "orders.webhooks", "schedule": timedelta(seconds=1)}


def test_it_sends_what_is_due_as_far_as_the_settings_let_it(shop, receiver, database_url, redis_url, monkeypatch):
    shop.subscribe(receiver.url)
    shop.tell(created())
    here = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    with parts(read(here), lambda shard: None) as opened:
        monkeypatch.setattr(tasks, "_open", [opened])
        opened.streams.client.set(chore_key("orders.webhooks"), b"1")
        tasks.send_webhooks()
        assert not opened.streams.client.exists(chore_key("orders.webhooks"), round_key("orders.webhooks"))
    assert receiver.posts == []
    assert "private network" in shop.rows("select last_error from deliveries")[0][0]
    shop.do("update deliveries set next_at = now()")
    with parts(read({**here, "ORDERS_WEBHOOKS_ALLOW_PRIVATE": "on"}), lambda shard: None) as opened:
        monkeypatch.setattr(tasks, "_open", [opened])
        tasks.send_webhooks()
    assert len(receiver.posts) == 1
