"""Valkey dies, refuses, hangs, fails over, is full, is flushed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from time import sleep

import redis

from embedded.host import free_port
from tests.faults.deployment import Deployment
from tests.faults.fault import Aim, Fault

AWAY_S, PAUSE_S, SHORT_S = 15.0, 10.0, 6.0


def _client(deployment: Deployment) -> redis.Redis:
    return redis.Redis.from_url(deployment.valkey.url, socket_timeout=5, socket_connect_timeout=5)


def _kill(deployment: Deployment) -> None:
    """It dies at once; returns once it is gone."""
    os.kill(deployment.valkey.hang(), signal.SIGKILL)
    deployment.valkey.stop()


@contextmanager
def killed(deployment: Deployment, random: Random, *, empty: bool = False, away_s: float = 0.0) -> Iterator[Aim]:
    """kill -9, and started again on its port, with its file or without."""
    sleep(random.random() / 2)
    try:
        _kill(deployment)
        if empty:
            shutil.rmtree(deployment.data / "valkey" / "appendonlydir", ignore_errors=True)
        sleep(away_s)
    finally:
        deployment.valkey.start()
    yield Aim()


@contextmanager
def killed_empty(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """As a server without a file, or a fail-over to one."""
    with killed(deployment, random, empty=True) as aim:
        yield aim


@contextmanager
def refusing(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """Nobody listens at its port."""
    sleep(random.random() / 2)
    try:
        _kill(deployment)
        yield Aim()
    finally:
        deployment.valkey.start()


@contextmanager
def paused(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """SIGSTOP: it takes connections, and answers nobody."""
    sleep(random.random() / 2)
    pid = deployment.valkey.hang()
    try:
        yield Aim()
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def failed_over(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """It became a replica, which refuses writes, and is made the primary again."""
    sleep(random.random() / 2)
    with _client(deployment) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", free_port(None))
        try:
            yield Aim()
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def full(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """Over its maxmemory: reads and deletions pass, writes are refused."""
    sleep(random.random() / 2)
    with _client(deployment) as client:
        client.config_set("maxmemory", "1mb")
        try:
            yield Aim()
        finally:
            client.config_set("maxmemory", "0")


@contextmanager
def flushed(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """FLUSHALL in the middle of the load."""
    sleep(random.random() / 2)
    with _client(deployment) as client:
        client.flushall()
    yield Aim()


FAULTS = (
    Fault("valkey-killed", "Valkey killed, started again with its data", "valkey", killed, 0),
    Fault("valkey-killed-empty", "Valkey killed, started again empty", "valkey", killed_empty, 0),
    Fault("valkey-refusing", "Valkey away for 15 s: connections refused", "valkey", refusing, AWAY_S),
    Fault("valkey-paused", "Valkey paused for 10 s (SIGSTOP)", "valkey", paused, PAUSE_S),
    Fault("valkey-failover", "Valkey a read-only replica for 6 s, then primary again", "valkey", failed_over, SHORT_S),
    Fault("valkey-full", "Valkey over its maxmemory for 6 s", "valkey", full, SHORT_S),
    Fault("valkey-flushed", "FLUSHALL", "valkey", flushed, 0),
)
