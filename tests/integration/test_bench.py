"""`orders bench`, tiny: everyone plays, everyone's states are checked, and the document has its shape."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import report

ROOT = Path(__file__).parents[2]
SYSTEMS = {"naive", "psycopg", "noop", "drain", "full", "ceiling"}
ORDERS = 60


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answer of a tiny run; its profile stands beside it."""
    folder = tmp_path_factory.mktemp("bench")
    own = ("DATABASE_URL", "REDIS_URL", "ORDERS_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(own)} | {"PYTHONPATH": str(ROOT)}
    profile = folder / "profile.txt"
    few = ("--rounds", "1", "--orders", str(ORDERS), "--samples", "40", "--profile", str(profile))
    done = subprocess.run(
        [sys.executable, "-m", "cli", "bench", "--quick", "--json", *few],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "profile": profile.read_text(), "progress": done.stderr}


@pytest.mark.slow
def test_every_system_has_a_rate_its_rounds_and_its_costs(found):
    assert set(found["events_per_second"]) == SYSTEMS
    assert all(rate > 0 for rate in found["events_per_second"].values())
    assert {name: len(rounds) for name, rounds in found["rounds"].items()} == dict.fromkeys(SYSTEMS, 1)
    for name in SYSTEMS:
        cost = found["per_event"][name]
        assert cost["wal_bytes"] > 0 or name == "noop"
        assert set(cost["cpu_us"]) == {"server", "workers"}
    assert found["per_event"]["naive"]["statements"] > found["per_event"]["drain"]["statements"]


@pytest.mark.slow
def test_every_order_was_compared_with_the_state_its_life_ends_in(found):
    rivals = found["orders"]["rivals"]
    assert found["orders"]["ours"] == ORDERS
    for name in ("drain", "full", "ceiling"):
        assert found["orders_checked"][name] >= ORDERS
    for name in ("naive", "psycopg"):
        assert found["orders_checked"][name] >= rivals
    assert "noop" not in found["orders_checked"]


@pytest.mark.slow
def test_latencies_are_told_or_the_system_is_saturated(found):
    assert set(found["latency_ms"]) == {"50", "500"}
    for systems in found["latency_ms"].values():
        assert set(systems) == {"naive", "ours"}
        for one in systems.values():
            if one.get("saturated"):
                assert one["p50"] is None
                assert one["p99"] is None
            else:
                assert 0 < one["p50"] <= one["p99"]


@pytest.mark.slow
def test_targets_are_met_where_the_figures_say_so(found):
    told = {target["what"]: (target["found"], target["met"]) for target in found["targets"]}
    expected = {}
    for one, other, times in report.RATIOS:
        ratio = found["ratios"][f"{one}/{other}"]
        expected[f"{one} ≥ {times:g} × {other}"] = (ratio, ratio >= times)
    most = max(batch["statements"]["max"] for batch in found["batches"].values())
    expected["statements per batch ≤ 20"] = (most, most <= 20)
    slow, fast = found["latency_ms"]["50"], found["latency_ms"]["500"]
    for p, times, what in (("p50", 1, "p50 at 50 events/s ≤ (a)'s"), ("p99", 1.5, "p99 at 50 events/s ≤ 1.5 × (a)'s")):
        ours, naive = slow["ours"][p], slow["naive"][p]
        expected[what] = ([ours, naive], None not in (ours, naive) and ours <= times * naive)
    p99 = fast["ours"]["p99"]
    expected["p99 at 500 events/s ≤ 100 ms"] = (p99, p99 is not None and p99 <= 100)
    assert told == expected
    assert found["command"] == f"orders bench --quick --rounds 1 --orders {ORDERS} --samples 40"


@pytest.mark.slow
def test_ratios_batches_and_the_profile_are_told(found):
    assert found["ratios"]["drain/naive"] == pytest.approx(
        found["events_per_second"]["drain"] / found["events_per_second"]["naive"], rel=0.01
    )
    assert found["batches"]["256"]["statements"]["max"] > 0
    assert "fold" in found["profile"]
    assert "round 1/1" in found["progress"]
