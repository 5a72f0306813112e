"""Strangers: who sends what no client sends, while other callers are measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import monotonic

import httpx
from sqlalchemy import text

from events.envelope import Envelope
from journal.append import append
from tests.faults.deployment import Deployment
from tests.faults.fault import CALLER, Aim, Fault
from tests.faults.hosts import STRANGER, namespace

HOLD_S = 8.0
GRACE_S = 20.0  # for the stranger's own end
MEMORY_MB = 150.0  # that the API may grow by
CUSTOMER, ORDERS, LINES = "a large customer", 200, 20
TOSS_PER_S = 5.0  # calls that 3,001 forged posts may cause: a few per second, bounded per address and in all
PATIENCE_S = 20.0  # for a deployment to come to rest
NICE = "10"  # on its own machine a stranger would take none of our processors' time
_LETTERS = text("select (select count(*) from dead_letters) + (select count(*) from inbox where state = 'dead')")


def _attack(kind: str):
    @contextmanager
    def strike(deployment: Deployment, random: Random) -> Iterator[Aim]:
        """A stranger in a process of its own."""
        with _stranger(deployment, kind) as aim:
            yield aim

    return strike


@contextmanager
def _stranger(deployment: Deployment, kind: str, *given: str) -> Iterator[Aim]:
    module = ["tests.faults.stranger", kind, deployment.api_url, str(HOLD_S), *given]
    if deployment.network is not None:  # from an address of its own
        module = ["tests.faults.entry", namespace(STRANGER), *module]
    command = ["nice", "-n", NICE, sys.executable, "-m", *module]
    deployment.gauge.aim()
    aim = Aim()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        with suppress(OSError):  # where the kernel shares time by sessions, `nice` counts only within one
            Path(f"/proc/{process.pid}/autogroup").write_text(NICE)
        try:
            yield aim
            told, _ = process.communicate(timeout=GRACE_S)
            document = json.loads(told)
            aim.note = ", ".join(f"{what}: {times}" for what, times in sorted(document["answers"].items()))[:400]
            aim.figures["MB sent"] = round(document["sent"] / 1e6, 1)
        except subprocess.TimeoutExpired:
            aim.note = "the stranger had to be killed"
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def costly_queries(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """Ten at once by one customer's token, over that customer's 4,000 lines."""
    _large_customer(deployment)
    with httpx.Client(base_url=deployment.api_url, timeout=10, trust_env=False) as client:
        headers = {"Authorization": f"Bearer {deployment.key}"}
        answer = client.post(f"/api/customers/{CUSTOMER}/token", json={}, headers=headers)
        answer.raise_for_status()
        token = answer.json()["token"]
    with _stranger(deployment, "costly-queries", deployment.publishable, token) as aim:
        yield aim


def _large_customer(deployment: Deployment) -> None:
    """Once per deployment, as history."""
    shop, now = deployment.shop, datetime.now(UTC)
    made = [
        Envelope(
            f"large-{n}", "shop", "OrderCreated", now, f"L{n:06}",
            {
                "items": [
                    {"item": f"L{line}", "product": "mug", "quantity": 1, "unitPrice": "1000"} for line in range(LINES)
                ],
                "totalAmount": str(1000 * LINES), "currency": "KRW", "customer": CUSTOMER, "paymentIds": [],
                "customerSnapshot": {"name": f"Kim {n}", "email": "kim@example.com"},
            },
        )
        for n in range(ORDERS)
    ]  # fmt: skip
    with shop.engine.begin() as conn:
        if conn.execute(text("select count(*) from journal where subject = 'L000000'")).scalar_one():
            return
        done = append(conn, made, shop.parts.shop.shards, effects_suppressed=True)
    shop.parts.streams.publish(done.new)
    deployment.calm(PATIENCE_S)


@contextmanager
def forged_toss(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """3,001 posts by anybody; what is asked of Toss, and what lies among the dead letters, is counted."""
    calls, letters = deployment.counts().get("toss", 0), _letters(deployment)
    began = monotonic()
    with _stranger(deployment, "forged-toss", f"forged{int(began * 1000)}x") as aim:
        yield aim
    deployment.calm(PATIENCE_S)
    most = TOSS_PER_S * (monotonic() - began)
    made, dead = deployment.counts().get("toss", 0) - calls, _letters(deployment) - letters
    aim.figures |= {"calls to Toss": float(made), "dead letters": float(dead)}
    if made > most:
        aim.wrong.append(f"{made} calls to Toss, must be {most:.0f} at most, {TOSS_PER_S:.0f} per second")
    if dead:
        aim.wrong.append(f"{dead} dead letters, must be none")


def _letters(deployment: Deployment) -> int:
    with deployment.shop.engine.connect() as conn:
        return int(conn.execute(_LETTERS).scalar_one())


def _row(name: str, title: str, strike) -> Fault:
    return Fault(name, title, "strangers", strike, HOLD_S, scope=CALLER, callers=True, memory_mb=MEMORY_MB)


FAULTS = (
    _row("endless-header", "a header that never ends, over four connections", _attack("endless-header")),
    _row("many-headers", "requests of 100,000 headers", _attack("many-headers")),
    _row("large-header", "headers of 20 MB", _attack("large-header")),
    _row("half-sent", "600 half-sent requests", _attack("half-sent")),
    _row("slow-bodies", "200 bodies sent byte by byte", _attack("slow-bodies")),
    _row("costly-queries", "ten queries of a hundred `contains` at once, by one token", costly_queries),
    _row("forged-toss", "3,001 forged posts to Toss's unsigned door", forged_toss),
)
