"""`orders bench api`: what the HTTP doors cost. Whole lives of orders, webhooks beside a rival, a customer's orders.

lives over HTTP   bench/api_workload.py
webhooks          bench/api_webhooks.py, against bench/naive_webhook.py
a query           bench/api_queries.py, in a small shop and in a large one
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from bench import api_queries, api_webhooks, api_workload
from bench.run import Say
from bench.servers import Servers

# Measured with Vendure on two cores: the same lives, from create to return.
VENDURE = {"orders_per_second": 8.5, "statements": 420, "cpu_ms": 100}
TIMES = 20  # as many orders per second as Vendure
SHARE = 1 / 3  # of the rival's CPU per webhook, at most
GROWTH = 1.5  # of the query's p50, from the small shop to the large one, at most


@dataclass(frozen=True, slots=True)
class Plan:
    """The amounts of a run: lives, webhooks, queries."""

    lives: int = 4_000
    webhooks: int = 5_000  # a round, of each
    rounds: int = 5  # of webhooks
    sizes: tuple[int, int] = (10_000, 1_000_000)  # orders
    calls: int = 2_000  # of the query, in each size


QUICK = Plan(lives=600, webhooks=1_500, rounds=2, sizes=(10_000, 200_000), calls=500)


def run(servers: Servers, plan: Plan, machine: dict[str, Any], say: Say) -> dict[str, Any]:
    """All of it, as `--json` answers it. Errors: BenchError where an answer is not what it must be."""
    found: dict[str, Any] = {
        "lives": api_workload.run(servers, plan.lives, say),
        "webhooks": api_webhooks.run(servers, plan.webhooks, plan.rounds, say),
        "query": api_queries.run(servers, plan.sizes, plan.calls, say),
        "vendure": VENDURE,
        "plan": asdict(plan),
        "machine": machine,
    }
    found["targets"] = list(_targets(found))
    return found


def _targets(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    rate, least = found["lives"]["orders_per_second"], VENDURE["orders_per_second"] * TIMES
    yield {"what": f"orders/s over HTTP ≥ {TIMES} × Vendure's", "limit": least, "found": rate, "met": rate >= least}
    hooks = found["webhooks"]
    share = round(hooks["ours"]["server_ms"] / hooks["naive"]["server_ms"], 3)
    yield {
        "what": "CPU per webhook ≤ 1/3 of the rival's",
        "limit": round(SHARE, 3),
        "found": share,
        "met": share <= SHARE,
    }
    ratio = found["query"]["p50_ratio"]
    yield {"what": "the query's p50, large shop over small", "limit": GROWTH, "found": ratio, "met": ratio <= GROWTH}
