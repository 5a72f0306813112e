"""PostgreSQL dies, restarts, hangs; one of its backends freezes; its connections are used up."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from random import Random
from time import sleep

import psutil
import psycopg

from tests.faults.fault import FROZEN_BOUND_S, SHARD, Aim, Fault
from tests.faults.hosts import ends_of
from tests.faults.stage import Stage, family

PAUSE_S, SHORT_S = 10.0, 6.0
MOST = 200  # connections that are tried; the server takes a hundred


def postmaster(stage: Stage) -> psutil.Process:
    """The first process of PostgreSQL."""
    return psutil.Process(int((stage.data / "postgres" / "postmaster.pid").read_text().split()[0]))


@contextmanager
def killed(stage: Stage, random: Random) -> Iterator[Aim]:
    """All of it at once, as when a machine goes dark; started again, it recovers from its log."""
    sleep(random.random() / 2)
    try:
        processes = family(postmaster(stage))
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
        psutil.wait_procs(processes, timeout=10)
        stage.postgres.stop()
    finally:
        stage.postgres.start()
    yield Aim()


@contextmanager
def restarted(stage: Stage, random: Random) -> Iterator[Aim]:
    """A fast shutdown, which ends every connection, and a start."""
    sleep(random.random() / 2)
    try:
        stage.postgres.stop()
    finally:
        stage.postgres.start()
    yield Aim()


@contextmanager
def paused(stage: Stage, random: Random) -> Iterator[Aim]:
    """SIGSTOP of every process of it: connections stand, and nobody is answered."""
    sleep(random.random() / 2)
    processes = family(postmaster(stage))
    _signal(processes, signal.SIGSTOP)
    try:
        yield Aim()
    finally:
        _signal(family(postmaster(stage)), signal.SIGCONT)


@contextmanager
def backend_frozen(stage: Stage, random: Random) -> Iterator[Aim]:
    """The backend that serves one drain process stands still; its client waits."""
    sleep(random.random() / 2)
    drain = random.choice([each for host in stage.hosts for each in host.drains()])
    port = int(stage.postgres.url.rsplit(":", 1)[1].split("/")[0])
    ends = {end[1] for end in ends_of([drain.pid], port)}
    with psycopg.connect(stage.gauge.url, autocommit=True) as conn:
        rows = conn.execute("select pid from pg_stat_activity where client_port = any(%s)", [list(ends)]).fetchall()
    if not rows:
        raise RuntimeError(f"the drain process {drain.pid} has no connection to PostgreSQL")
    pid = random.choice(rows)[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield Aim(f"backend {pid} of drain process {drain.pid}")
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def exhausted(stage: Stage, random: Random) -> Iterator[Aim]:
    """Somebody takes every connection that is left."""
    with ExitStack() as taken:
        sleep(random.random() / 2)
        number = 0
        with suppress(psycopg.OperationalError):
            for number in range(MOST):  # noqa: B007 -- how far it came is told below
                taken.enter_context(psycopg.connect(stage.gauge.url, connect_timeout=5, application_name="taken"))
        yield Aim(f"{number} connections taken")


def _signal(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


FAULTS = (
    Fault("postgres-killed", "PostgreSQL killed, started again", "postgres", killed, 0),
    Fault("postgres-restarted", "PostgreSQL restarted", "postgres", restarted, 0),
    Fault("postgres-paused", "PostgreSQL paused for 10 s (SIGSTOP)", "postgres", paused, PAUSE_S),
    Fault(
        "postgres-backend-frozen", "one backend of PostgreSQL frozen for 8 s", "postgres", backend_frozen, 8.0,
        scope=SHARD, bound_s=FROZEN_BOUND_S,
    ),
    Fault("postgres-exhausted", "PostgreSQL's connections used up for 6 s", "postgres", exhausted, SHORT_S),
)  # fmt: skip
