"""`orders bench console`, tiny: every page is timed in a shop that has something to look at, and watching is weighed."""

from __future__ import annotations

import pytest
from rich.console import Console

from bench import api_queries, console, summaries
from tests.bench_servers import on_servers_of_the_run

PLAN = console.Plan(orders=400, calls=2, watch_s=0.1)


@pytest.mark.slow
def test_pages_and_watching_are_measured(servers, capsys):
    with on_servers_of_the_run(servers) as (patch, at):
        patch.setattr(api_queries, "SEED", 200)
        patch.setattr(console, "WARM", 1)
        found = console.run(at, PLAN, {"cpu": "A Processor", "cores": 2}, lambda told: None)
    assert found["orders"] == PLAN.orders
    assert min(found[name] for name in ("events", "flagged", "given_up", "parked", "refunds")) > 0
    assert {"now", "one order", "given up", "refunds", "audit"} <= found["pages"].keys()
    assert all(0 < of["p50"] <= of["p95"] and of["calls"] == PLAN.calls for of in found["pages"].values())
    assert sum(of["cpu_ms"] for of in found["pages"].values()) > 0
    watched = found["watched"]
    assert watched["cpu_s"] >= 0
    assert watched["statements"] > 0
    for target in found["targets"]:
        assert target["met"] == (target["found"] <= target["limit"])
    Console(width=120).print(summaries.console({**found, "seconds": 9.0}))
    assert "one order, as it was known" in capsys.readouterr().out
