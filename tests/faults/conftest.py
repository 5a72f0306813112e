"""Options of `make faults`, and that its tests run only when they are asked for."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--tries", type=int, default=5, help="of each fault")
    group.addoption("--seed", type=int, default=20261129, help="of load and moments")
    group.addoption("--load", type=float, default=1.0, help="share of the usual load, which is 136 events per second")
    group.addoption("--results", default=".faults", help="folder that each try's JSON line is added to")
    group.addoption("--events", type=int, default=300_000, help="that flow past a held transaction")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "faults" in (config.option.markexpr or ""):
        return
    heavy = [item for item in items if item.get_closest_marker("faults")]
    if heavy:
        config.hook.pytest_deselected(items=heavy)
        items[:] = [item for item in items if item not in set(heavy)]
