"""A Redis that takes nothing: events are decided, and chores done, from the journal alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest

from embedded.host import free_port
from journal import relay
from journal.append import append
from journal.outage import NoStreams
from journal.streams import connect
from settings.environment import read
from tests.builders import created
from workers.chores import CHORES, Chore
from workers.resources import Parts, parts
from workers.standby import Standby

PATIENCE_S = 30


@pytest.fixture
def opened(database_url: str) -> Iterator[Parts]:
    """Parts whose Redis refuses every connection."""
    here = {"DATABASE_URL": database_url, "REDIS_URL": f"redis://127.0.0.1:{free_port(None)}/0"}
    with parts(read(here, Path("/nowhere")), lambda shard: None) as opened:
        yield opened


def accept(opened: Parts, *numbers: str) -> None:
    with opened.engine.begin() as conn:
        events = [replace(created(), id=f"created-{number}", subject=number) for number in numbers]
        done = append(conn, events, opened.shop.shards)
    assert not opened.streams.publish(done.new)


def undecided(opened: Parts) -> int:
    with opened.engine.connect() as conn:
        return relay.undecided(conn)


def test_events_are_decided_and_chores_done_while_redis_is_away(opened: Parts):
    done: list[str] = []
    chore = Chore("orders.tracking", CHORES, timedelta(milliseconds=1), "ups")
    standby = Standby(opened, [chore], lambda here, chore: done.append(chore.name), drains=True)
    accept(opened, *(f"N{n}" for n in range(40)))
    standby.start()
    until = monotonic() + PATIENCE_S
    while (undecided(opened) or not done) and monotonic() < until:
        sleep(0.05)
    standby.stop()
    assert undecided(opened) == 0
    assert set(done) == {"orders.tracking:ups"}


def test_a_full_redis_and_a_replica_take_nothing(opened: Parts, own_redis_url: str):
    client = connect(own_redis_url)
    here = replace(opened, settings=replace(opened.settings, redis_url=own_redis_url))
    standby = Standby(here, [], lambda here, chore: None, drains=True)
    assert standby.refused() is None
    client.config_set("maxmemory", "1")
    assert "maxmemory" in str(standby.refused())
    client.config_set("maxmemory", "0")
    assert standby.refused() is None
    client.replicaof("127.0.0.1", "1")
    assert "failed over" in str(standby.refused())
    client.replicaof("NO", "ONE")
    assert standby.refused() is None


def test_the_relay_moves_its_marks_without_streams(opened: Parts):
    accept(opened, "N1", "N2")
    streams = NoStreams(opened.engine, opened.streams)
    assert sorted(streams.look().behind) == streams.look().waiting()
    relay.relay(opened.engine, streams)
    assert undecided(opened) == 2
