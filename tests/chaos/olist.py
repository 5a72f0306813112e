"""The full proof on real orders: `python -m tests.chaos.olist [--data DIR] [--rounds 3] [--seed 1]`.

1. baseline: Olist's history ingested as it happened, each event once
2. disorder: shuffled, every fifth event delivered twice; the same statuses, but where a cancel and a
   shipment contradict each other: there the first to commit decides
3. chaos: the deliveries of 2 with four drain processes, killed and flushed by a seeded schedule

After each: the account is exact, nothing waits, and the journal folds to what is stored; after 2 also
when the settings have changed since. Exit 1 on any deviation. Takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import orjson

from cli.ingest import delivery_disorder, olist
from cli.options import stop_at_sigterm
from domain.outcome import REASONS
from events.envelope import Envelope
from settings.environment import read
from tests.chaos.fault_schedule import FLUSHES, Run, disturb
from tests.chaos.harness import (
    OUTCOMES,
    Shop,
    State,
    a_shop,
    account,
    account_faults,
    by_number,
    orphans,
    otherwise,
    rows_of,
    settings,
    states,
    verify_faults,
    workers,
)
from tests.scenario_generator import a_life

DISORDER, DUPLICATE = 7, 0.2
DRAINS = 4
WITHIN_S = 30  # from the last kill to the last result
INGEST_S = 300  # for `orders ingest … --wait`
LIVES = 100  # that come under the other settings
OTHER_SETTINGS = {"ORDERS_RETURNS": "staff", "ORDERS_CURRENCY": "BRL", "ORDERS_RETURN_WINDOW": "1d"}

# Reasons that an event of a cancel and a shipment is settled with, or waits for.
CONTRADICTIONS = ("already_delivered", "order_canceled", "parcel_out", "shipped_after_cancel")
_SETTLED = """
    select o.order_number, j.type, r.outcome, r.reason from journal j join results r using (seq)
    join orders o on o.id = r.order_id where o.order_number = any(cast(:numbers as text[])) order by j.seq
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """One run's end: the orders' states, and how the contradictions were settled."""

    states: dict[str, State]
    settled: dict[str, list[tuple[str, str, str]]]  # order number → type, outcome, reason

    def status(self, number: str) -> str:
        return str(self.states[number]["status"]) if number in self.states else "unknown"


def main() -> int:
    """0 where everything is as promised."""
    options = _options()
    stop_at_sigterm()
    deviations: list[str] = []
    say(f"Olist's orders in {options.data.name}/, seed {options.seed}")
    with shop_of_its_own() as shop:
        before = ingest(shop, deviations, options.data, "--format", "olist")
        baseline = ended(shop)
        say(f"\nbaseline: {told(before)}; {statuses(baseline)}")
        deviations += sound("baseline", shop)
        anomalies(before)

    with shop_of_its_own() as shop:
        mixed = ("--disorder", str(DISORDER), "--duplicate", str(DUPLICATE))
        document = ingest(shop, deviations, options.data, "--format", "olist", *mixed)
        found = ended(shop)
        say(f"\ndisorder {DISORDER}, duplicate {DUPLICATE}: {told(document)}; {statuses(found)}")
        deviations += compared("disorder", baseline, found)
        deviations += sound("disorder", shop)
        anomalies(document)
        deviations += under_other_settings(shop)

    events = [each for each in olist.read(options.data) if isinstance(each, Envelope)]
    rows = []
    for seed in range(options.seed, options.seed + options.rounds):
        with shop_of_its_own() as shop:
            rows.append(a_round(shop, events, baseline, seed, deviations))
    if rows:
        say("\nround  seed  SIGKILLs  FLUSHALLs (waiting then)       last kill → last result  orders of another status")
        for number, row in enumerate(rows, 1):
            say(f"{number:>5}  {row}")
    say("")
    for deviation in deviations:
        say(f"DEVIATION {deviation}")
    say(f"{len(deviations)} deviations" if deviations else "everything is as promised")
    return 1 if deviations else 0


def a_round(shop: Shop, events: list[Envelope], baseline: Ended, seed: int, deviations: list[str]) -> str:
    """The disorder once more, disturbed. A line of the table."""
    with workers(shop, DRAINS) as running:
        run = disturb(shop, running, _waves(events), seed, held=True)
        shop.drained(within_s=4 * WITHIN_S)
        seconds = monotonic() - run.last_at
    found = ended(shop)
    say(f"\nchaos: {run.table()}")
    say(f"started again: {', '.join(running.died)}; {shop.deliveries:,} deliveries, {shop.events:,} events")
    name = f"seed {seed}"
    if seconds > WITHIN_S:
        deviations.append(f"{name}: {seconds:.1f} s from the last kill to the last result")
    if len(run.flushes) < FLUSHES or run.kills < 5:
        deviations.append(f"{name}: only {len(run.flushes)} FLUSHALLs and {run.kills} kills")
    deviations += compared(name, baseline, found)
    deviations += sound(name, shop)
    deviations += [f"{name}: still runs: {orphan}" for orphan in orphans(shop)]
    return _line(run, seconds, baseline, found)


def _line(run: Run, seconds: float, baseline: Ended, found: Ended) -> str:
    flushes = " and ".join(f"{flush.waiting:,}" for flush in run.flushes)
    others = [number for number in found.states if baseline.status(_first_name(number)) != found.status(number)]
    counts = f"{len(run.flushes)} ({flushes})"
    return f"{run.seed:>4}  {run.kills:>8}  {counts:<32} {seconds:>20.2f} s  {len(others):>22}"


# -- runs --------------------------------------------------------------------------------------------------


@contextmanager
def shop_of_its_own() -> Iterator[Shop]:
    """Servers in a new folder."""
    with tempfile.TemporaryDirectory(prefix="orders-chaos-") as data, a_shop(Path(data)) as shop:
        yield shop


def ingest(shop: Shop, deviations: list[str], *arguments: object, **environment: str) -> dict[str, Any]:
    """`orders ingest … --wait`, as one calls it; its JSON document."""
    command = [sys.executable, "-m", "cli", "ingest", *map(str, arguments)]
    command += ["--wait", "--workers", str(DRAINS), "--json"]
    told_all = {**os.environ, **environment}
    try:
        done = subprocess.run(command, env=told_all, stdout=subprocess.PIPE, check=False, timeout=INGEST_S)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"DEVIATION {' '.join(command[2:])} did not end within {INGEST_S} s") from None
    if done.returncode:
        deviations.append(f"orders ingest {' '.join(map(str, arguments[1:]))}: exit {done.returncode}")
    document: dict[str, Any] = orjson.loads(done.stdout)
    shop.deliveries += document["accepted"]
    shop.events += document["new"]
    return document


def under_other_settings(shop: Shop) -> list[str]:
    """More events under other settings; what was decided before folds as it did, and so does what came since."""
    random = Random(DISORDER)
    lives = {life.order: life for life in (a_life(random) for _ in range(LIVES))}
    events = delivery_disorder.disorder([event for life in lives.values() for event in life.events], DISORDER)
    file = shop.data / "lives.ndjson"
    file.write_bytes(b"\n".join(orjson.dumps(event.as_document()) for event in events))
    deviations: list[str] = []
    ingest(shop, deviations, file, **OTHER_SETTINGS)
    policies = rows_of("policies", shop.engine)
    told_settings = " ".join(f"{name}={value}" for name, value in OTHER_SETTINGS.items())
    say(f"\n{len(events)} more events under {told_settings}: {policies} policies")
    if policies != 2:
        deviations.append(f"other settings: {policies} policies, must be 2")
    at = shop.parts.settings
    with settings(DATABASE_URL=at.database_url or "", REDIS_URL=at.redis_url or "", **OTHER_SETTINGS):
        return deviations + sound(f"other settings ({read().policy.returns} returns)", shop)


def _waves(events: list[Envelope]) -> Iterator[list[Envelope]]:
    """The deliveries of the disorder; asked for more, the same orders under new names."""
    for turn in count():
        named = events if turn == 0 else [_renamed(event, turn) for event in events]
        yield delivery_disorder.disorder(delivery_disorder.duplicate(named, DUPLICATE, DISORDER), DISORDER)


def _renamed(event: Envelope, turn: int) -> Envelope:
    """All names in an Olist event begin with its order's."""
    order = event.subject or ""
    data = orjson.loads(orjson.dumps(event.data).replace(order.encode(), f"{order}~{turn}".encode()))
    return replace(event, id=event.id.replace(order, f"{order}~{turn}"), subject=f"{order}~{turn}", data=data)


def _first_name(number: str) -> str:
    return number.partition("~")[0]


# -- what must hold ----------------------------------------------------------------------------------------


def ended(shop: Shop) -> Ended:
    """The final states of a shop's orders."""
    found = states(shop.engine)
    settled: dict[str, list[tuple[str, str, str]]] = {}
    for number, kind, outcome, reason in by_number(shop.engine, _SETTLED, sorted(found)):
        if reason in CONTRADICTIONS:
            settled.setdefault(number, []).append((kind, outcome, reason))
    return Ended(found, settled)


def compared(name: str, baseline: Ended, found: Ended) -> list[str]:
    """Every status is the baseline's, unless a cancel met a shipment; those are told."""
    deviations, excused = [], set()
    numbers = {*found.states, *(n for n in baseline.states if n not in found.states)}
    for number in sorted(numbers):
        first = _first_name(number)
        now, then = found.status(number), baseline.status(first)
        if now == then:
            continue
        here, there = found.settled.get(number, []), baseline.settled.get(first, [])
        if not here and not there:
            deviations.append(f"{name}: order {number} is {now}, at the baseline {then}")
            continue
        excused.add(number)
        say(f"  {name}: order {number} is {now}, at the baseline {then}:")
        for when, rows in (("here", here), ("baseline", there)):
            for kind, outcome, reason in rows:
                say(f"      {when}: {kind} {outcome}: {REASONS[reason]}")
    same = {n: s for n, s in found.states.items() if n not in excused}
    wholes = otherwise({n: baseline.states[_first_name(n)] for n in same if _first_name(n) in baseline.states}, same)
    orders = sorted({line.split(":")[0] for line in wholes})
    say(f"{name}: {len(same):,} of {len(numbers):,} orders have the baseline's status, {len(excused)} are excused")
    if orders:
        deviations.append(f"{name}: {len(orders)} orders of the baseline's status differ elsewhere, as {wholes[0]}")
    return deviations


def sound(name: str, shop: Shop) -> list[str]:
    """The account is exact, nothing waits, and the journal folds to what is stored."""
    faults = account_faults(shop, account(shop.engine)) + verify_faults(shop.engine)
    say(f"{name}: account and fold {'are exact' if not faults else 'DEVIATE'}")
    return [f"{name}: {fault}" for fault in faults[:20]]


def anomalies(document: dict[str, Any]) -> None:
    """The events that were ignored, parked or dead, by reason, in words."""
    for row in document["account"]["by_reason"]:
        say(f"  {row['count']:>6,} {row['outcome']}: {row['text']} ({row['reason']})")


def told(document: dict[str, Any]) -> str:
    """The counts of an ingest in a line."""
    rate = document["accepted"] / document["seconds"]
    counts = " ".join(f"{document['account'][name]:,} {name}" for name in OUTCOMES)
    return f"{document['accepted']:,} deliveries in {document['seconds']:.1f} s ({rate:,.0f}/s): {counts}"


def statuses(found: Ended) -> str:
    """The number of orders per status."""
    counts: dict[str, int] = {}
    for number in found.states:
        counts[found.status(number)] = counts.get(found.status(number), 0) + 1
    return ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items(), key=lambda c: -c[1]))


def say(line: str) -> None:
    print(line, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.olist", description=(__doc__ or "").split("\n")[0])
    shared = Path(os.environ.get("ORDERS_SHARED_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=shared / "olist", help="the folder of Olist's CSVs")
    parser.add_argument("--rounds", type=int, default=3, help="of chaos")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each other one's is one more")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"{options.data} is no folder; name Olist's by --data or ORDERS_SHARED_DATA")
    options.data = options.data.resolve()
    return options


if __name__ == "__main__":
    sys.exit(main())
