"""Of a chore one round at a time: its message and its round hold keys in Redis."""

from __future__ import annotations

from datetime import timedelta

import pytest
import redis

from journal.streams import connect
from workers import chores
from workers.app import call
from workers.chores import CHORES, MESSAGES, Chore, alone, chore_key, round_key, send

RELAY = Chore("orders.relay", CHORES, timedelta(seconds=1))
UPS = Chore("orders.tracking", "orders.tracking", timedelta(seconds=1), "ups")


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return connect(redis_url)


def test_nothing_is_sent_while_its_last_message_waits_or_its_round_lasts(client: redis.Redis):
    assert send(client, RELAY, call(RELAY))
    assert not send(client, RELAY, call(RELAY))
    with alone(client, RELAY.name) as ours:
        assert ours
        assert not client.exists(chore_key(RELAY.name)), "the message is taken"
        assert not send(client, RELAY, call(RELAY)), "the round is under way"
        assert send(client, UPS, call(UPS)), "another chore's is none of its business"
    assert send(client, RELAY, call(RELAY))
    assert client.llen(CHORES) == 2


def test_a_second_round_ends_at_once(client: redis.Redis):
    with alone(client, RELAY.name) as first, alone(client, RELAY.name) as second, alone(client, UPS.name) as other:
        assert (first, second, other) == (True, False, True)
    assert not client.exists(round_key(RELAY.name), round_key(UPS.name))


def test_its_lease_is_prolonged_to_its_end_and_set_anew_after_a_flush(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(chores, "PROLONG_S", 0.01)
    with alone(client, RELAY.name):
        client.flushdb()
        while not client.exists(round_key(RELAY.name)):
            pass
        client.pexpire(round_key(RELAY.name), 500)
        while client.pttl(round_key(RELAY.name)) <= 500:
            pass
    assert not client.exists(round_key(RELAY.name))


def test_who_lost_its_lease_takes_nobody_elses_away(client: redis.Redis):
    with alone(client, RELAY.name):
        client.set(round_key(RELAY.name), b"another's")
    assert client.get(round_key(RELAY.name)) == b"another's"


def test_a_killed_workers_round_may_begin_again_within_seconds(client: redis.Redis):
    round_ = alone(client, RELAY.name)
    assert round_.__enter__()
    assert 0 < client.ttl(round_key(RELAY.name)) <= chores.LEASE_S
    round_.__exit__(None, None, None)


def test_messages_do_not_pile_up_where_nobody_takes_them(client: redis.Redis):
    for _ in range(MESSAGES + 5):
        client.delete(chore_key(RELAY.name))
        send(client, RELAY, call(RELAY))
    assert client.llen(CHORES) == MESSAGES
