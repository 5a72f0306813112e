"""Each peer that is installed plays lives through its own worker on real servers, and leaves every order where it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import contestants, workload
from bench.peers import PEERS
from bench.servers import Servers
from bench.workload import Play
from embedded import Addresses

PATIENCE_S = 60.0

pytestmark = pytest.mark.slow


@pytest.fixture
def bench_servers(servers: Addresses, tmp_path: Path) -> Iterator[Servers]:
    made = Servers(servers.database_url, servers.redis_url, tmp_path, embedded=servers.owner)
    yield made
    made.close()


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest, bench_servers: Servers) -> Iterator[contestants.PeerAtWork]:
    """At work; its worker moves when it is told to."""
    _require(request.param)
    opened = contestants.open_peer(bench_servers, bench_servers.redis_database(), request.param)
    with opened.worker:
        yield opened


def _require(name: str) -> None:
    for library in PEERS[name].libraries:
        pytest.importorskip(library, reason=f"{name} is measured where {library} is installed: the `bench` extra")


def until_applied(peer: contestants.PeerAtWork, tag: str, events: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while (so_far := contestants.applied(peer.database_url, tag)) < events:
        peer.worker.check()
        assert time.monotonic() < until, f"{so_far} of {events} events; {peer.worker.log.read_text()[-3000:]}"
        time.sleep(0.02)
    assert so_far == events


def differences(peer: contestants.PeerAtWork, tag: str, play: Play) -> list[str]:
    return list(workload.differences(play.states, contestants.rival_states(peer.database_url, tag)))


def test_a_peer_leaves_orders_where_their_lives_end_also_after_standing_still(peer):
    for tag in ("first", "second"):
        play = workload.play(20, tag)
        peer.publish(play.deliveries)
        with peer.worker.moving():
            until_applied(peer, tag, play.events)
        assert differences(peer, tag, play) == []


def test_a_peer_tries_again_what_came_too_early(peer):
    play = workload.play(5, "backwards")
    peer.publish(play.deliveries[::-1])
    with peer.worker.moving():
        until_applied(peer, "backwards", play.events)
    assert differences(peer, "backwards", play) == []


@pytest.mark.parametrize("peer", ["faststream"], indirect=True)
def test_an_event_that_fails_does_not_take_its_batch_along(peer):
    play = workload.play(20, "whole")
    first = play.deliveries[0]
    broken = replace(first, id=f"broken-{first.id}", type="PaymentSucceeded", data={"amount": "much"})
    peer.publish([first, broken, *play.deliveries[1:]])
    with peer.worker.moving():
        until_applied(peer, "whole", play.events)
    assert differences(peer, "whole", play) == []
    assert contestants.applied(peer.database_url, "broken-whole") == 0
