"""`orders bench api`, tiny: lives end where they should, the rival takes the same webhooks, and sums are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from bench import api, api_queries, api_webhooks, api_workload, summaries
from tests.bench_servers import on_servers_of_the_run

if TYPE_CHECKING:
    from embedded import Addresses

PLAN = api.Plan(lives=16, webhooks=60, rounds=1, sizes=(200, 400), calls=50)


@pytest.fixture(scope="module")
def found(servers: Addresses) -> dict[str, Any]:
    """The answer of a tiny run."""
    with on_servers_of_the_run(servers) as (patch, at):
        patch.setattr(api_queries, "SEED", min(PLAN.sizes))
        for module in (api_queries, api_webhooks, api_workload):
            patch.setattr(module, "WARM", 5)
        return api.run(at, PLAN, {}, lambda told: None)


@pytest.mark.slow
def test_every_life_made_its_six_calls_and_ended_returned(found):
    lives = found["lives"]
    assert lives["orders"] == PLAN.lives
    assert {name: of["calls"] for name, of in lives["calls_ms"].items() if name != "all"} == dict.fromkeys(
        ("create", "payment", "fulfill", "ship", "deliver", "return"), PLAN.lives
    )
    assert all(0 < of["p50"] <= of["p99"] for of in lives["calls_ms"].values())
    assert lives["per_order"]["cpu_ms"]["api"] > 0
    assert lives["per_order"]["statements"] > 0


@pytest.mark.slow
def test_the_rival_and_ours_took_the_same_webhooks(found):
    for name in ("ours", "naive"):
        assert found["webhooks"][name]["per_second"] > 0
        assert found["webhooks"][name]["server_ms"] > 0


@pytest.mark.slow
def test_the_query_and_the_targets_are_told(found):
    assert {size: of["calls"] for size, of in found["query"]["orders"].items()} == {"200": 50, "400": 50}
    rate, share, growth = found["targets"]
    assert rate["found"] == found["lives"]["orders_per_second"]
    assert rate["met"] == (rate["found"] >= rate["limit"])
    assert share["found"] == pytest.approx(
        found["webhooks"]["ours"]["server_ms"] / found["webhooks"]["naive"]["server_ms"], abs=0.001
    )
    assert growth["found"] == found["query"]["p50_ratio"]
    for target in (share, growth):
        assert target["met"] == (target["found"] <= target["limit"])


@pytest.mark.slow
def test_a_terminal_shows_it(found, capsys):
    told = {**found, "machine": {"cpu": "A Processor", "cores": 2}, "seconds": 9.0}
    Console(width=120).print(summaries.api(told))
    shown = capsys.readouterr().out
    assert all(target["what"] in shown for target in found["targets"])
    assert f"{PLAN.lives} lives" in shown
