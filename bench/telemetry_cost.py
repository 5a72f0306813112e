"""The cost of telemetry for the drain, in paired runs: `python -m bench.telemetry_cost`.

Two drains in this process, on one database and the same lives of orders: one counts, one does not, and they take turns, in an
order by chance. What is compared is this process's CPU per event, since wall time on a shared machine tells of its neighbours. The
median of the ratios of the pairs is the answer. The pauses' look costs both the same: it is a part of a statement.
"""

from __future__ import annotations

import gc
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path
from time import process_time

from bench.workload import play
from domain.policy import Policy
from embedded import servers
from journal.append import append
from journal.batch import Shop
from journal.drain import Drain
from journal.policy_store import policy_id
from journal.streams import Streams, connect
from storage import engine as engines
from storage.migrate import upgrade
from telemetry import exposure
from telemetry.meters import METERS

PAIRS, ORDERS, SHARDS = 24, 600, 64
LIMIT = 1.03  # the dearest that counting may make an event


def main(pairs: int = PAIRS) -> int:
    """Print the figures as JSON; 1 where the limit is passed."""
    with tempfile.TemporaryDirectory(prefix="orders-telemetry-") as data, servers(Path(data)) as at:
        upgrade(at.database_url, SHARDS)
        engine = engines.connect(at.database_url, pinned=True)
        streams = Streams(connect(at.redis_url), SHARDS, lambda _shard: None)
        with engine.begin() as conn:
            shop = Shop(policy_id(conn, Policy()), SHARDS)
        drain = Drain(engine, streams, Policy(), shop)
        exposure.start(Path(data), "drain")
        counting = {name: meter._of for name, meter in METERS.items()}
        gc.freeze()

        def run(number: int, counts: bool) -> float:
            for name, meter in METERS.items():
                meter._of = counting[name] if counts else None
            deliveries = play(ORDERS, f"T{number}", seed=7).deliveries
            with engine.begin() as conn:
                new = append(conn, deliveries, SHARDS).new
            streams.publish(new)
            gc.collect()
            before = process_time()
            while waiting := streams.look().waiting():
                drain.answer(waiting[0])
            return (process_time() - before) / len(new) * 1e6

        run(0, True)
        ratios, costs = [], {True: [], False: []}  # type: ignore[var-annotated]
        for pair in range(1, pairs + 1):
            found = {}
            for counts in random.sample((True, False), 2):
                found[counts] = run(2 * pair + counts, counts)
                costs[counts].append(found[counts])
            ratios.append(found[True] / found[False])
        engine.dispose()
    ratio = statistics.median(ratios)
    figures = {
        "pairs": pairs,
        "cpu_us_per_event_without": round(statistics.median(costs[False]), 1),
        "cpu_us_per_event_with": round(statistics.median(costs[True]), 1),
        "ratio": round(ratio, 4),
        "middle_half_of_ratios": [round(each, 3) for each in statistics.quantiles(ratios, n=4)[::2]],
        "limit": LIMIT,
        "met": ratio <= LIMIT,
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0 if figures["met"] else 1


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
