"""All proofs, in the order in which `make proofs` runs them and docs/reference/proofs.md shows them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.harness import a_shop
from tests.money.storm import SHARES, storm
from tests.proofs.arrival_order import in_memory, stored
from tests.proofs.given_up import work_off
from tests.proofs.proof import Finding, Proof, Say

SEED = 20261129
REFUNDS, KILLS = 3_000, 3
LIVES, STORED, ORDERS = 20_000, 300, 12
RECONCILED = 10_000
GIVEN_UP, REPLAYED = 100, 100  # dead letters of each cause; per second
RACES = 1_000
PAUSES = "tests/integration/outbound/test_pauses.py"
RECONCILIATION = "tests/integration/outbound/reconciliation/test_proof.py"


def refund_storm(say: Say) -> Finding:
    """3,000 refunds at three providers, each process killed three times."""
    with tempfile.TemporaryDirectory(prefix="orders-storm-") as data:
        found = storm(Path(data), REFUNDS, kills=KILLS, seed=SEED, hurry=False, shares=SHARES, say=say)
    went = found.ends["made"] + found.ends["open"]
    killed = ", ".join(f"{name} {count}×" for name, count in sorted(found.kills.items()))
    figures = (
        f"{found.refunds:,} refunds of {found.orders:,} payments; killed: {killed}; of {went:,} payments all went back, "
        f"{found.ends['open']} of them open for a while; {found.ends['refused']} refused, "
        f"{found.ends['late_failure']} failed afterwards, each with its reason and next step; {found.seconds:.0f} s"
    )
    short = [f"{name} was killed {count} times, not {KILLS}" for name, count in found.kills.items() if count != KILLS]
    return Finding(figures, found.wrong + short)


def arrival_order(say: Say) -> Finding:
    """20,000 lives × 12 orders of arrival, in memory."""
    return in_memory(LIVES, ORDERS, say)


def arrival_order_stored(say: Say) -> Finding:
    """300 lives × 12 orders of arrival, on PostgreSQL."""
    return stored(STORED, ORDERS, say)


def reconciliation(say: Say) -> Finding:
    """10,000 payments compared through a kill: the suite's own test, at size."""
    with tempfile.TemporaryDirectory(prefix="orders-reconciliation-") as folder:
        kept = Path(folder, "figures.json")
        told = {"RECONCILE_PAYMENTS": str(RECONCILED), "RECONCILE_FIGURES": str(kept)}
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", RECONCILIATION],
            env={**os.environ, **told},
            text=True,
            capture_output=True,
        )
        if run.returncode != 0:
            return Finding(f"{RECONCILED:,} payments", run.stdout.splitlines()[-20:] or ["it did not run"])
        figures = ", ".join(
            f"{name} {value}" for name, value in json.loads(kept.read_text()).items() if name != "seconds"
        )
        return Finding(figures)


def given_up(say: Say) -> Finding:
    """500 dead letters of five causes, worked off on servers of their own."""
    with tempfile.TemporaryDirectory(prefix="orders-given-up-") as folder, a_shop(Path(folder, "data")) as shop:
        settings = shop.parts.settings
        found = work_off(settings.database_url or "", settings.redis_url or "", Path(folder), GIVEN_UP, REPLAYED, say)
    figures = (
        f"{found.letters} dead letters of five causes; stopped by itself after {found.halted_after}, "
        f"{found.again} of them the cause that had come back; killed when {found.ended_when_killed} had their ends; totals exact, "
        f"{GIVEN_UP} refunds made once by the provider's books, a second replay changes nothing; {found.seconds:.0f} s"
    )
    return Finding(figures, found.wrong)


def pauses(say: Say) -> Finding:
    """1,000 races of a pause against a claim, and pauses under load: the suite's own tests, at size."""
    with tempfile.TemporaryDirectory(prefix="orders-pauses-") as folder:
        kept = Path(folder, "figures.json")
        told = {"PAUSE_RACES": str(RACES), "PAUSE_S": "10", "PAUSE_FIGURES": str(kept)}
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", PAUSES, "-k", "began_after or under_load", "--timeout", "600"],
            env={**os.environ, **told},
            text=True,
            capture_output=True,
        )
        if run.returncode != 0:
            return Finding(f"{RACES:,} races", run.stdout.splitlines()[-20:] or ["it did not run"])
        return Finding(", ".join(f"{name} {value:,}" for name, value in json.loads(kept.read_text()).items()))


PROOFS = (
    Proof("refund_storm", "A storm of refunds: the providers' books and ours agree to the cent", refund_storm),
    Proof("arrival_order", "Lives in any order of arrival: one outcome each, and their money within bounds", arrival_order),
    Proof("arrival_order_stored", "The same on PostgreSQL, each order folded anew from the journal", arrival_order_stored),
    Proof("reconciliation", "Dropped webhooks and refunds by hand among 10,000 payments: found, healed, once", reconciliation),
    Proof("given_up", "Dead letters of five causes: found, edited, replayed through a halt and a SIGKILL, once", given_up),
    Proof("pauses", "A pause against claims, and under load: nothing that rests is claimed or called, all else is", pauses),
)  # fmt: skip
