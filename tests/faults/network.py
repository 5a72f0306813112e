"""Connections that die without a word, and a worker host that is cut off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from time import sleep
from urllib.parse import urlsplit

from tests.faults.deployment import Deployment
from tests.faults.fault import FROZEN_BOUND_S, SHARD, Aim, Fault
from tests.faults.locks import caught, shards_of

DEAD_S = 25.0  # the filters stay for as long; whoever connects anew passes
CUT_S = 60.0


@contextmanager
def postgres_dead(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """As after a fail-over behind one address: what was open swallows everything, what is new passes."""
    with _dead(deployment, random, urlsplit(deployment.postgres.url).port or 0) as aim:
        yield aim


@contextmanager
def valkey_dead(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """The same to Valkey."""
    with _dead(deployment, random, urlsplit(deployment.valkey.url).port or 0) as aim:
        yield aim


@contextmanager
def _dead(deployment: Deployment, random: Random, port: int) -> Iterator[Aim]:
    assert deployment.network is not None
    sleep(random.random() / 2)
    pids = [process.pid for host in deployment.hosts for process in host.all()]
    pids += [process.pid for process in deployment.api_processes()]
    pids.append(os.getpid())  # the appends are ours
    killed = deployment.network.kill_connections(port, pids, spare=[deployment.gauge.port])
    try:
        yield Aim(f"{killed} connections", figures={"connections": float(killed)})
    finally:
        deployment.network.revive()


@contextmanager
def host_cut_off(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """A host's cable is out, in the middle of a transaction of its drain: its shards must go on elsewhere."""
    assert deployment.network is not None
    host = random.choice(deployment.hosts)
    process = host.drains()[0]
    backends = caught(deployment, process)
    held = shards_of(deployment, backends)
    with deployment.network.cut_off(host.name):
        process.resume()
        deployment.gauge.aim(shards=held)
        yield Aim(f"host {host.name} with shards {held}", share=len(held) / deployment.shop.parts.shop.shards)


FAULTS = (
    Fault(
        "postgres-connections-dead", "every open connection to PostgreSQL swallows its packets", "network",
        postgres_dead, DEAD_S, bound_s=FROZEN_BOUND_S, from_begin=True, until_back=True, needs=("hosts",),
    ),
    Fault(
        "valkey-connections-dead", "every open connection to Valkey swallows its packets", "network", valkey_dead,
        DEAD_S, bound_s=FROZEN_BOUND_S, from_begin=True, until_back=True, needs=("hosts",),
    ),
    Fault(
        "host-cut-off", "a worker host off the network for 60 s, in a transaction", "network", host_cut_off, CUT_S,
        scope=SHARD, bound_s=FROZEN_BOUND_S, from_begin=True, needs=("hosts",),
    ),
)  # fmt: skip
