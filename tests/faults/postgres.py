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

from tests.faults.deployment import Deployment, family
from tests.faults.fault import FROZEN_BOUND_S, SHARD, Aim, Fault
from tests.faults.hosts import ends_of

PAUSE_S, SHORT_S = 10.0, 6.0
MOST = 200  # connections that are tried; the server takes a hundred


def postmaster(deployment: Deployment) -> psutil.Process:
    """The first process of PostgreSQL."""
    return psutil.Process(int((deployment.data / "postgres" / "postmaster.pid").read_text().split()[0]))


@contextmanager
def killed(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """All of it at once, as when a machine goes dark; started again, it recovers from its log."""
    sleep(random.random() / 2)
    try:
        processes = family(postmaster(deployment))
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
        psutil.wait_procs(processes, timeout=10)
        deployment.postgres.stop()
    finally:
        deployment.postgres.start()
    yield Aim()


@contextmanager
def restarted(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """A fast shutdown, which ends every connection, and a start."""
    sleep(random.random() / 2)
    try:
        deployment.postgres.stop()
    finally:
        deployment.postgres.start()
    yield Aim()


@contextmanager
def paused(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """SIGSTOP of every process of it: connections stand, and nobody is answered."""
    sleep(random.random() / 2)
    processes = family(postmaster(deployment))
    _signal(processes, signal.SIGSTOP)
    try:
        yield Aim()
    finally:
        _signal(family(postmaster(deployment)), signal.SIGCONT)


@contextmanager
def backend_frozen(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """The backend that serves one drain process stands still; its client waits."""
    sleep(random.random() / 2)
    drain = random.choice([each for host in deployment.hosts for each in host.drains()])
    port = int(deployment.postgres.url.rsplit(":", 1)[1].split("/")[0])
    ends = {end[1] for end in ends_of([drain.pid], port)}
    with psycopg.connect(deployment.gauge.url, autocommit=True) as conn:
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
def exhausted(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """Somebody takes every connection that is left."""
    with ExitStack() as taken:
        sleep(random.random() / 2)
        number = 0
        with suppress(psycopg.OperationalError):
            for number in range(MOST):  # noqa: B007 -- how far it came is told below
                taken.enter_context(psycopg.connect(deployment.gauge.url, connect_timeout=5, application_name="taken"))
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
