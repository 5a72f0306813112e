"""Promise 3 at size: lives in many orders of arrival, each with one outcome, and with bounds on its money at every step.

In memory each life is folded in its own order and in others, with duplicates. After every event that is taken: what is due
back is never below 0, nor above what was captured and not lost in disputes; and what is aimed at the payments is no more than
what is due and has not gone back. On PostgreSQL two workers answer the doorbells; then `verify` folds every order anew.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from domain.balance import balance
from domain.fold import Fold
from domain.order import Order
from embedded import servers
from events.envelope import Envelope
from journal.verify import verify
from storage.migrate import upgrade
from tests.conftest import SHARDS
from tests.databases import Databases, make, with_database
from tests.fold_helpers import fold_steps, state_of, told_of
from tests.integration.conftest import Rig
from tests.integration.journal.test_arrival_order_stored import deliver, mixed, unlike_the_fold
from tests.integration.journal.test_arrival_order_stored import faults as stored_faults
from tests.proofs.proof import Finding, Say
from tests.scenario_generator import (
    UNSTATED,
    Life,
    RandomChoices,
    a_life,
    arrivals,
    contradicted,
    describe,
    differences,
    given_back,
)

POLICIES = ("auto", "staff")
CONTRADICT = 10  # of a hundred lives
STEP = 100  # lives that a process takes at once
SAID_S = 10.0
NOTHING = Decimal(0)


@dataclass(slots=True)
class Seen:
    """The lives that were looked at, and what was not as it must be."""

    lives: int = 0
    events: int = 0
    folds: int = 0
    contradictory: Counter[str] = field(default_factory=Counter)
    of_several_ends: Counter[str] = field(default_factory=Counter)  # of the contradictory ones
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        """Take in what another process saw."""
        self.lives, self.events, self.folds = (
            self.lives + other.lives,
            self.events + other.events,
            self.folds + other.folds,
        )
        self.contradictory += other.contradictory
        self.of_several_ends += other.of_several_ends
        self.wrong += other.wrong


def a_seeds_life(seed: int) -> Life:
    """The life of a seed; one in ten contradicts itself, and says so."""
    random = Random(seed)
    life = a_life(random, POLICIES[seed % 2])
    return contradicted(life, RandomChoices(random)) if random.randrange(100) < CONTRADICT else life


def in_memory(lives: int, orders: int, say: Say) -> Finding:
    """So many lives in so many orders of arrival each, on all cores."""
    begun = said = time.monotonic()
    seen = Seen()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(look, start, min(start + STEP, lives), orders) for start in range(0, lives, STEP)]
        for job in as_completed(jobs):
            seen.add(job.result())
            if time.monotonic() - said > SAID_S:
                said = time.monotonic()
                say(f"{seen.lives:,} of {lives:,} lives, {len(seen.wrong)} deviations, {said - begun:.0f} s")
    several, contradictory = sum(seen.of_several_ends.values()), sum(seen.contradictory.values())
    figures = (
        f"{seen.lives:,} lives of {seen.events:,} events × {orders} orders of arrival: {seen.folds:,} folds in "
        f"{time.monotonic() - begun:.0f} s on {cores} cores; one outcome each of {seen.lives - contradictory:,}; "
        f"{contradictory:,} contradict themselves and say so, of which {several} have several ends"
    )
    return Finding(figures, seen.wrong)


def look(first: int, last: int, orders: int) -> Seen:
    """The lives of these seeds, each in so many orders of arrival."""
    seen = Seen()
    for seed in range(first, last):
        life = a_seeds_life(seed)
        seen.lives += 1
        seen.events += len(life.events)
        seen.contradictory.update(life.contradictions)
        own, wrong = _folded(life, life.events)
        ends = {repr(_comparable(life, own))}
        for turn in range(orders):
            coming = arrivals(life, RandomChoices(Random(seed * orders + turn)))
            found, bounds = _folded(life, coming)
            seen.folds += 1
            wrong += bounds
            if life.contradictions:
                ends.add(repr(_comparable(life, found)))
            else:
                wrong += [*_faults(life, found), *differences(_comparable(life, own), _comparable(life, found))]
            if wrong:
                told = f"seed {seed}, order of arrival {turn}: " + "; ".join(wrong[:5])
                seen.wrong.append(f"{told}\n{describe(life, coming)}")
                break
        if len(ends) > 1:
            seen.of_several_ends.update(life.contradictions)
    return seen


def _folded(life: Life, coming: Sequence[Envelope]) -> tuple[dict[str, Any], list[str]]:
    """The state after these deliveries, and where its money was out of bounds on the way."""
    wrong: list[str] = []
    made: Fold | None = None
    for made in fold_steps(coming, life.policy):
        if not wrong:
            wrong += out_of_bounds(made.order)
    assert made is not None
    return told_of(made), wrong


def out_of_bounds(order: Order) -> list[str]:
    """Sums that are due, or aimed at the payments, beyond what there is."""
    if not order.transactions:
        return []
    found = balance(order)
    there = found.captured - found.lost
    lines = [] if NOTHING <= found.due <= there else [f"due is {found.due} of {there} that are there"]
    aimed = sum((max(t.refund_target - t.refunded_amount, NOTHING) for t in order.transactions), NOTHING)
    return lines if aimed <= found.owed else [*lines, f"{aimed} are aimed at the payments, {found.owed} are owed"]


def _faults(life: Life, found: dict[str, Any]) -> Iterator[str]:
    yield from differences(life.expected, found)
    yield from given_back(life, found)
    yield from (f"{event_id} is still parked" for event_id in found["waiting"])
    for event in life.events:
        outcome, reason = found["outcomes"].get(event.id, ("nothing", None))
        if outcome != "applied" and not (outcome == "ignored" and reason):
            yield f"{event.type} {event.id} ended as {outcome} ({reason})"


def _comparable(life: Life, found: dict[str, Any]) -> dict[str, Any]:
    """A state without what the design leaves to the order of arrival: which payment, and which return, gives back."""
    returns = {
        ref: {**one, "refundAmount": UNSTATED}
        if life.expected["returns"].get(ref, {}).get("refundAmount", UNSTATED) is UNSTATED
        else one
        for ref, one in found["returns"].items()
    }
    given = sum((one["refundAmount"] or NOTHING for one in found["returns"].values()), NOTHING)
    return {
        **{name: value for name, value in found.items() if name not in ("outcomes", "waiting")},
        "flags": dict.fromkeys(sorted(found["flags"]), True),
        "transactions": {
            name: {**one, "refundTarget": UNSTATED} for name, one in sorted(found["transactions"].items())
        },
        "fulfillments": dict(sorted(found["fulfillments"].items())),
        "returns": dict(sorted(returns.items())),
        "Σ refundAmount": given,
    }


# -- on PostgreSQL -------------------------------------------------------------------------------------------


def stored(lives: int, orders: int, say: Say) -> Finding:
    """So many lives in so many orders of arrival, each time in a database as new; `verify` after each."""
    begun, wrong, count = time.monotonic(), [], 0
    with tempfile.TemporaryDirectory(prefix="orders-proof-") as data, servers(Path(data)) as at:
        template = make(at.database_url, "template1")
        upgrade(with_database(at.database_url, template), SHARDS)
        databases = Databases(at.database_url, template)
        for turn in range(orders):
            with databases.one() as url:
                told, deviations = _stored(url, at.redis_url, lives, turn)
            count += told
            wrong += deviations
            say(f"order of arrival {turn + 1} of {orders}: {told:,} deliveries, {len(deviations)} deviations")
        databases.close()
    took = time.monotonic() - begun
    figures = f"{lives} lives × {orders} orders of arrival, {count:,} deliveries, two workers, `verify` after each; {took:.0f} s"
    return Finding(figures, wrong)


def _stored(database_url: str, redis_url: str, count: int, turn: int) -> tuple[int, list[str]]:
    """The deliveries of one order of arrival, and the deviations of what is stored then."""
    rig = Rig(database_url, redis_url)
    try:
        rig.client.flushdb()
        rig.decide(returns=POLICIES[turn % 2])
        lives = _distinct(count, POLICIES[turn % 2])
        coming = {life.order: arrivals(life, RandomChoices(Random(n * 100 + turn))) for n, life in enumerate(lives)}
        deliveries = mixed(list(coming.values()), Random(turn))
        deliver(rig, deliveries, Random(turn))
        rows = rig.do("select event_id, outcome, reason from journal join results using (seq)")
        outcomes = {name: (outcome, reason) for name, outcome, reason in rows}
        orders = rig.orders(coming)
        wrong = [str(difference) for difference in verify(rig.engine).differences]
        for life in lives:
            order = orders[life.order]
            found = state_of(order)
            wrong += [
                f"turn {turn}, order {life.order}: {line}"
                for line in (
                    *stored_faults(life, found, outcomes),
                    *unlike_the_fold(life, found),
                    *out_of_bounds(order),
                )
            ]
        return len(deliveries), wrong
    finally:
        rig.close()


def _distinct(count: int, policy: str) -> list[Life]:
    found: dict[str, Life] = {}
    seed = 0
    while len(found) < count:
        life = a_life(Random(f"stored {policy} {seed}"), policy)
        found.setdefault(life.order, life)
        seed += 1
    return list(found.values())
