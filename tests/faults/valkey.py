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
from tests.faults.fault import Aim, Fault
from tests.faults.stage import Stage

AWAY_S, PAUSE_S, SHORT_S = 15.0, 10.0, 6.0


def _client(stage: Stage) -> redis.Redis:
    return redis.Redis.from_url(stage.valkey.url, socket_timeout=5, socket_connect_timeout=5)


def _kill(stage: Stage) -> None:
    """It dies at once; returns once it is gone."""
    os.kill(stage.valkey.hang(), signal.SIGKILL)
    stage.valkey.stop()


@contextmanager
def killed(stage: Stage, random: Random, *, empty: bool = False, away_s: float = 0.0) -> Iterator[Aim]:
    """kill -9, and started again on its port, with its file or without."""
    sleep(random.random() / 2)
    try:
        _kill(stage)
        if empty:
            shutil.rmtree(stage.data / "valkey" / "appendonlydir", ignore_errors=True)
        sleep(away_s)
    finally:
        stage.valkey.start()
    yield Aim()


@contextmanager
def killed_empty(stage: Stage, random: Random) -> Iterator[Aim]:
    """As a server without a file, or a fail-over to one."""
    with killed(stage, random, empty=True) as aim:
        yield aim


@contextmanager
def refusing(stage: Stage, random: Random) -> Iterator[Aim]:
    """Nobody listens at its port."""
    sleep(random.random() / 2)
    try:
        _kill(stage)
        yield Aim()
    finally:
        stage.valkey.start()


@contextmanager
def paused(stage: Stage, random: Random) -> Iterator[Aim]:
    """SIGSTOP: it takes connections, and answers nobody."""
    sleep(random.random() / 2)
    pid = stage.valkey.hang()
    try:
        yield Aim()
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def failed_over(stage: Stage, random: Random) -> Iterator[Aim]:
    """It became a replica, which refuses writes, and is made the primary again."""
    sleep(random.random() / 2)
    with _client(stage) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", free_port(None))
        try:
            yield Aim()
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def full(stage: Stage, random: Random) -> Iterator[Aim]:
    """Over its maxmemory: reads and deletions pass, writes are refused."""
    sleep(random.random() / 2)
    with _client(stage) as client:
        client.config_set("maxmemory", "1mb")
        try:
            yield Aim()
        finally:
            client.config_set("maxmemory", "0")


@contextmanager
def flushed(stage: Stage, random: Random) -> Iterator[Aim]:
    """FLUSHALL in the middle of the load."""
    sleep(random.random() / 2)
    with _client(stage) as client:
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
