"""The benchmark's page names the command that made it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.run import QUICK, Plan


@pytest.mark.parametrize(
    ("plan", "command"),
    [
        (Plan(), "orders bench"),
        (QUICK, "orders bench --quick"),
        (replace(QUICK, rounds=5), "orders bench --quick --rounds 5"),
        (replace(Plan(), orders=100, rival_orders=20, samples=40, batch=16), "orders bench --orders 100 --samples 40 --batch 16"),
    ],
)  # fmt: skip
def test_a_plan_knows_the_command_that_asks_for_it(plan, command):
    assert plan.command == command
