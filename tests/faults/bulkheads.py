"""Bulkheads: a carrier that never answers, and writes that wait for one order, hold up nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from random import Random
from time import monotonic, sleep

import httpx
import psycopg
from sqlalchemy import text

from api.resources import LOCK_S
from domain.ids import format_id, fresh
from tests.faults.deployment import Deployment
from tests.faults.fault import CALLER, PROVIDER, Aim, Fault
from tests.faults.load import Load
from tests.faults.locks import subscribed
from tests.faults.rates import percentile

PARCELS, WRITES = 600, 18
HOLD_S = 12.0
WRITE_EVERY_S = LOCK_S + 0.3  # a write that waits for a row is answered by then
LAG_TIMES, LAG_FLOOR_S = 2.0, 3.0
READY_S, EVERY_S = 1.0, 0.1  # readiness answers within; how often it is asked
_PARCELS = text("""
    insert into trackers (id, key, carrier, tracking_number, next_at)
    values (cast(:id as uuid), :key, 'silent', :number, now())
""")
_OLDEST_REFUND = """
    select coalesce(extract(epoch from clock_timestamp() - min(next_at)), 0) from effects where state = 'due'
"""


@contextmanager
def silent_carrier(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """600 parcels of a carrier that never answers are due; webhooks and refunds go out as before."""
    with subscribed(deployment) as told:
        told.settled()
        quiet = told.series.longest_lag(monotonic() - 5, monotonic())
        tag, now = f"S{int(monotonic() * 1000)}", datetime.now(UTC)
        rows = [
            {
                "id": fresh(now + timedelta(milliseconds=n)),
                "key": f"tracking:silent:{tag}{n}",
                "number": f"{tag}{n}",
            }
            for n in range(PARCELS)
        ]
        with deployment.shop.engine.begin() as shop:
            shop.execute(_PARCELS, rows)
        aim = Aim(f"{PARCELS} parcels")
        refunds: list[float] = []
        began = monotonic()

        def hold() -> None:
            with psycopg.connect(deployment.gauge.url, autocommit=True) as conn:
                while monotonic() < began + HOLD_S:
                    row = conn.execute(_OLDEST_REFUND).fetchone()
                    refunds.append(float(row[0]) if row else 0.0)
                    sleep(0.3)
            lag = told.series.longest_lag(began + 1, monotonic())
            aim.figures |= {"webhook lag s": round(lag, 2), "quiet webhook lag s": round(quiet, 2)}
            aim.figures |= {"refund lag s": round(max(refunds), 2)}
            bound = max(LAG_TIMES * quiet, LAG_FLOOR_S)
            if lag > bound:
                aim.wrong.append(f"webhooks waited {lag:.1f} s, must be within {bound:.1f} s")
            if max(refunds) > LAG_FLOOR_S:
                aim.wrong.append(f"refunds waited {max(refunds):.1f} s, must be within {LAG_FLOOR_S:.0f} s")

        aim.hold = hold
        deployment.gauge.aim()
        try:
            yield aim
        finally:
            with deployment.shop.engine.begin() as shop:
                shop.execute(text("delete from trackers where carrier = 'silent'"))


@contextmanager
def blocked_writes(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """18 writes of one order wait for its row, which somebody holds; readiness and others' writes do not.

    18 writes that come at once cost others something by themselves. So the same writes come at the same moments for as long
    before anybody holds the row, and others are compared with that.
    """
    with psycopg.connect(deployment.gauge.url, application_name="an operator") as conn:
        row = conn.execute(
            "select id, order_number from orders where order_number like 'W%%' order by id desc limit 1"
        ).fetchone()
        if row is None:
            raise RuntimeError("no order yet that the API made")
        conn.commit()
        deployment.gauge.aim([row[1]])
        path = f"/api/orders/{format_id('orders', str(row[0]))}"
        aim = Aim(f"order {row[1]}")
        with _writers(deployment.load, path):
            begun = monotonic()
            sleep(HOLD_S)
            aim.quiet = deployment.load.latencies(begun, monotonic() - 0.5)
        conn.execute("select from orders where id = %s for update", [row[0]])
        aim.hold = lambda: _readiness(deployment, aim)
        with _writers(deployment.load, path):
            try:
                yield aim
            finally:
                conn.rollback()


def _readiness(deployment: Deployment, aim: Aim) -> None:
    """Ask for it again and again, for HOLD_S."""
    ready: list[float] = []
    until = monotonic() + HOLD_S
    with httpx.Client(base_url=deployment.api_url, timeout=30, trust_env=False) as client:
        while monotonic() < until:
            began = monotonic()
            with suppress(httpx.TransportError):
                client.get("/health/ready")
            ready.append(monotonic() - began)
            sleep(EVERY_S)
    slowest = max(ready)
    aim.figures |= {
        "ready ms p99": round(1000 * percentile(ready, 0.99)),
        "ready ms at most": round(1000 * slowest),
    }
    if slowest > READY_S:
        aim.wrong.append(f"/health/ready took {slowest:.1f} s, must answer within {READY_S:.0f} s")


@contextmanager
def _writers(load: Load, path: str) -> Iterator[None]:
    """18 callers that write to one order, all at once, as often as a write that waits for a row is answered."""
    ended = threading.Event()
    with ThreadPoolExecutor(WRITES, "writer") as pool:
        asks = [pool.submit(_write, load, path, ended) for _ in range(WRITES)]
        try:
            yield
        finally:
            ended.set()
            for ask in asks:
                ask.result(timeout=40)


def _write(load: Load, path: str, ended: threading.Event) -> None:
    """One write after another to the same order, until told to end; whatever is answered."""
    with httpx.Client(base_url=load.url, timeout=30, trust_env=False) as client:
        due = monotonic()
        while not ended.wait(due - monotonic()):
            with suppress(httpx.TransportError):
                client.patch(path, json={"status": "confirmed"}, headers={"Authorization": f"Bearer {load.key}"})
            due += WRITE_EVERY_S


FAULTS = (
    Fault(
        "carrier-silent", "a carrier that never answers, 600 parcels due", "bulkheads", silent_carrier, 0,
        scope=PROVIDER,
    ),
    Fault(
        "writes-blocked", "18 writes that wait for one order's row, for 12 s", "bulkheads", blocked_writes, 0,
        scope=CALLER, callers=True,
    ),
)  # fmt: skip
