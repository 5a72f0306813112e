"""The whole promise at size: payments of which 1 % of the webhooks were dropped, and refunds made in the dashboard.

A dry run lists exactly those and changes no row; the run, killed with SIGKILL in the middle, heals them when it goes on; a
second finds nothing. RECONCILE_PAYMENTS sets the size (300; `make proofs`: 10,000), RECONCILE_FIGURES a file for the figures.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from journal.relay import relay
from providers.payments import stripe
from providers.simulators.books import Books
from providers.simulators.start import KEYS, SECRETS
from providers.simulators.stripe import Stripe
from tests.integration.outbound.reconciliation.conftest import Here, There, contents, provider
from tests.simulators import ROOT, AShop

FEW = 300
PAYMENTS = int(os.environ.get("RECONCILE_PAYMENTS") or FEW)
DROPPED = max(1, PAYMENTS // 100)
BY_HAND = 20
SEED = 14
AT_ONCE = 500
LONGEST_S = 600


@dataclass
class Figures:
    """The measurements, for the page of proofs."""

    seconds: dict[str, float] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)

    def write(self) -> None:
        target = os.environ.get("RECONCILE_FIGURES")
        if target:
            Path(target).write_text(json.dumps({**self.kept, "seconds": self.seconds}, indent=2) + "\n")


def webhook(dialect: Stripe, books: Books, payment: str) -> Any:
    """The envelope of a payment's webhook: signed by the simulator, verified and translated by us."""
    ((own_id, document),) = dialect.webhooks(books, books.known(payment), None, "paid")
    body = orjson.dumps(document)
    headers = {name.lower(): value for name, value in dialect.signed(own_id, body).items()}
    return stripe.receive(body, headers, (SECRETS["stripe"],), datetime.now(UTC)).envelope


def fill(there: There, shop: AShop) -> tuple[set[str], set[str]]:
    """Both sides; (payments whose webhook was dropped, refunds made in the dashboard)."""
    here, chance = Here(shop, "stripe", there.when), Random(SEED)
    dropped = set(chance.sample(range(PAYMENTS), DROPPED))
    dialect = Stripe(KEYS["stripe"], SECRETS["stripe"])
    with there.books.together():
        for n in range(PAYMENTS):
            there.pays(f"pi_{n:05d}", at=float(int(there.then) + n % 1000))
    for first in range(0, PAYMENTS, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, PAYMENTS))
        told = [webhook(dialect, there.books, f"pi_{n:05d}") for n in numbers if n not in dropped]
        shop.tell(*[here.order(f"N{n:05d}", f"pi_{n:05d}") for n in numbers], *told)
    with there.books.together():
        refunds = {there.refunds(f"pi_{n:05d}") for n in chance.sample(range(PAYMENTS), BY_HAND)}
    return {f"pi_{n:05d}" for n in dropped}, refunds


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli", "reconcile", "--provider", "stripe", *arguments]


def run(environment: dict[str, str], *arguments: str) -> tuple[int, Any, str]:
    done = subprocess.run(
        command(*arguments, "--json"), cwd=ROOT, env=environment, capture_output=True, timeout=LONGEST_S, check=False
    )
    assert done.returncode in (0, 1), done.stderr.decode()
    return done.returncode, json.loads(done.stdout), done.stderr.decode()


def progress(shop: AShop) -> int:
    rows = shop.rows("select coalesce((counts ->> 'payments')::int, 0) from reconciliations where state = 'running'")
    return int(rows[0][0]) if rows else 0


def killed_in_the_middle(shop: AShop, environment: dict[str, str], *arguments: str) -> int:
    """Kill a run once it has compared a third of the payments; how many it had."""
    with subprocess.Popen(
        command(*arguments), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        until = time.monotonic() + LONGEST_S
        while progress(shop) < PAYMENTS // 3:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    return progress(shop)


def applied(shop: AShop) -> None:
    """Apply all that was told: what was committed and not published, when it was killed, the relay finds."""
    until = time.monotonic() + 60
    while shop.rows("select count(*) from undecided")[0][0]:
        assert time.monotonic() < until
        relay(shop.engine, shop.streams)
        shop.work()


@pytest.mark.slow
@pytest.mark.timeout(3 * LONGEST_S)
def test_dropped_webhooks_and_dashboard_refunds_are_found_and_heal_through_a_kill(
    shop: AShop, database_url: str, redis_url: str, tmp_path: Path
):
    figures = Figures()
    with provider("stripe", tmp_path, "--mishap", "rate_limit=0.05", "--mishap", "unavailable=0.05") as there:
        began = time.monotonic()

        def lap(name: str) -> None:
            nonlocal began
            figures.seconds[name] = round(time.monotonic() - began, 1)
            began = time.monotonic()

        dropped, refunds = fill(there, shop)
        lap("fill both sides")
        window = ("--since", there.when.isoformat(), "--until", (there.when + timedelta(minutes=30)).isoformat())
        environment = {
            **os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url,
            "ORDERS_STRIPE_API_KEY": KEYS["stripe"], "ORDERS_STRIPE_API_URL": there.url,
        }  # fmt: skip
        expected = {("payment_there", each) for each in dropped} | {("refund_there", each) for each in refunds}

        before = contents(shop)
        code, dry, _ = run(environment, "--dry-run", *window)
        lap("dry run")
        assert {(each["kind"], each["subject"]) for each in dry["findings"]} == expected
        assert len(dry["findings"]) == len(expected), "each once"
        assert code == 1
        assert contents(shop) == before, "a dry run changes no row of any table"
        began = time.monotonic()

        at_kill = killed_in_the_middle(shop, environment, *window)
        if (
            PAYMENTS == FEW
        ):  # at size, the next run waits for the dead one's lease; here its half a minute is over at once
            shop.do("update leases set until = clock_timestamp()")
        assert PAYMENTS // 3 <= at_kill < PAYMENTS
        code, resumed, said = run(environment, *window)
        lap("run, with a SIGKILL in the middle")
        assert "which was broken off" in said
        (told,) = resumed["runs"]
        assert (code, told["payments"], told["healed"], told["waiting"]) == (0, PAYMENTS, len(expected), 0)
        applied(shop)
        healed = shop.rows("select kind, subject from findings where state = 'healed'")
        assert {tuple(each) for each in healed} == expected
        assert shop.rows("select count(*) from journal where source = 'reconciliation'")[0][0] == len(expected)

        code, again, _ = run(environment, *window)
        lap("second run")
        assert (code, again["findings"]) == (0, [])
        assert again["runs"][0]["payments"] == PAYMENTS

    there_back = sum(4 for _ in refunds)
    totals = shop.rows(
        "select count(*) filter (where paid_at is not null), sum(amount), sum(refunded_amount) from transactions"
    )
    assert [int(each) for each in totals[0]] == [PAYMENTS, 10 * PAYMENTS, there_back], "both books say the same"
    checked = subprocess.run(
        [sys.executable, "-m", "cli", "verify", "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        timeout=LONGEST_S,
    )
    assert checked.returncode == 0, checked.stdout.decode()
    figures.kept = {
        "payments": PAYMENTS, "dropped webhooks": len(dropped), "dashboard refunds": len(refunds),
        "compared when it was killed": at_kill, "found by the dry run": len(expected), "healed": len(healed),
        "found by the second run": 0,
    }  # fmt: skip
    figures.write()
