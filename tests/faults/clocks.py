"""One of two hosts whose clock is ten minutes off: timers are due by the database's clock, on every host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import monotonic, sleep

import psycopg

from events.envelope import Envelope
from journal.append import append
from tests.faults.deployment import Deployment, Host
from tests.faults.fault import Aim, Fault

OFF_S = 600
TIMERS, FIRST_S, SPREAD_S = 20, 4.0, 4.0  # planted: the first is due so soon, the last so much later
LATE_S, EARLY_S = 10.0, 0.5  # at most
_LIBRARY = "faketime/libfaketimeMT.so.1"
_PLANT = """
    update timers t set due = clock_timestamp() + make_interval(secs => %(first)s + %(spread)s * n.place / %(all)s)
    from (select o.id, row_number() over (order by o.id) as place from orders o where o.order_number = any(%(numbers)s)) n
    where t.order_id = n.id and t.kind = 'unpaid' returning t.due, (select order_number from orders where id = n.id)
"""
_FIRED = """
    select subject, accepted_at from journal where type = 'OrderExpired' and subject = any(%s)
"""


def library() -> Path | None:
    """libfaketime for processes with threads, where it is installed."""
    return next((found for at in ("/usr/lib", "/usr/local/lib") for found in Path(at).glob(f"**/{_LIBRARY}")), None)


@contextmanager
def fast(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """One host's clock is ten minutes fast."""
    with _off(deployment, random, OFF_S) as aim:
        yield aim


@contextmanager
def slow(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """One host's clock is ten minutes slow."""
    with _off(deployment, random, -OFF_S) as aim:
        yield aim


@contextmanager
def _off(deployment: Deployment, random: Random, seconds: int) -> Iterator[Aim]:
    """Its workers are started anew under another clock; timers are planted once they serve.

    libfaketime fakes the monotonic clock too: told not to, it lets every sleep of Python fail (EINVAL). So the clock of
    a process cannot be stepped, and the fault is over once the workers, started anew under the right one, serve again.
    """
    host = random.choice(deployment.hosts)
    host.stop()
    try:
        host.start(LD_PRELOAD=str(library()), FAKETIME=f"{seconds:+d}s")
        _serves(host)
        sleep(6)  # its beat has sent the timers' chore, and it has been done by this host or the other
        aim = Aim(f"host {host.name} {seconds:+d} s")
        aim.hold = lambda: _timers(deployment, aim)
        yield aim
    finally:
        host.stop()
        host.start()
        _serves(host)


def _serves(host: Host) -> None:
    """Wait until the host's drain process is there."""
    until = monotonic() + 30
    while not host.drains() and monotonic() < until:
        sleep(0.2)


def _timers(deployment: Deployment, aim: Aim) -> None:
    """Plant timers of orders that nobody pays, and wait for them to fire by PostgreSQL's clock."""
    tag = f"T{int(monotonic() * 1000)}"
    numbers = [f"{tag}-{n}" for n in range(TIMERS)]
    made = [Envelope(f"{number}:0", "shop", "OrderCreated", datetime.now(UTC), number, _body()) for number in numbers]
    with deployment.shop.engine.begin() as conn:
        done = append(conn, made, deployment.shop.parts.shop.shards)
    deployment.shop.parts.streams.publish(done.new)
    with psycopg.connect(deployment.gauge.url, autocommit=True) as conn:
        named = {"first": FIRST_S, "spread": SPREAD_S, "all": TIMERS, "numbers": numbers}
        due: dict[str, datetime] = {}
        until = monotonic() + 20
        while len(due) < TIMERS and monotonic() < until:
            if conn.execute(
                "select count(*) from timers t join orders o on o.id = t.order_id where o.order_number = any(%s)",
                [numbers],
            ).fetchone() == (TIMERS,):
                due = {number: at for at, number in conn.execute(_PLANT, named)}
            sleep(0.2)
        if len(due) < TIMERS:
            aim.wrong.append(f"only {len(due)} of {TIMERS} unpaid orders have a timer 20 s after they were made")
            return
        until = monotonic() + FIRST_S + SPREAD_S + LATE_S + 2
        fired: dict[str, datetime] = {}
        while len(fired) < TIMERS and monotonic() < until:
            fired = dict(conn.execute(_FIRED, [numbers]).fetchall())
            sleep(0.2)
    late = sorted((fired[number] - due[number]).total_seconds() for number in fired)
    aim.figures |= {
        "timers fired": float(len(fired)),
        "latest s": late[-1] if late else -1.0,
        "earliest s": late[0] if late else -1.0,
    }
    if len(fired) < TIMERS:
        aim.wrong.append(f"{TIMERS - len(fired)} of {TIMERS} timers have not fired {LATE_S:.0f} s after they were due")
    if late and (late[-1] > LATE_S or late[0] < -EARLY_S):
        aim.wrong.append(f"timers fired {late[0]:+.1f} to {late[-1]:+.1f} s from their time")


def _body() -> dict:
    return {
        "items": [{"item": "L0", "product": "mug", "quantity": 1, "unitPrice": "5000"}],
        "totalAmount": "5000",
        "currency": "KRW",
        "paymentIds": [],
    }


FAULTS = (
    Fault("clock-fast", "one of two hosts ten minutes fast", "clocks", fast, 0, needs=("faketime",)),
    Fault("clock-slow", "one of two hosts ten minutes slow", "clocks", slow, 0, needs=("faketime",)),
)
