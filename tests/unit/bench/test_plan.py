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
        (replace(Plan(), orders=100, samples=40, batch=16), "orders bench --orders 100 --samples 40 --batch 16"),
    ],
)  # fmt: skip
def test_a_plan_knows_the_command_that_asks_for_it(plan, command):
    assert plan.command == command


@pytest.mark.parametrize(("orders", "rivals"), [(4000, 200), (1000, 50), (100, 20)])
def test_rivals_play_a_twentieth_and_never_fewer_than_twenty_lives(orders, rivals):
    assert Plan(orders=orders).rival_orders == rivals
