"""Each line of the doctor and each alert has its page of docs/symptoms, and no page tells of what is not there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.health.check import ALERTS, OK, PAGES, Check
from settings.environment import known
from tests.docs.test_commands import COMMANDS
from workers.signs_of_life import SIGNS

ROOT = Path(__file__).parents[2]
RULES = (ROOT / "ops" / "prometheus" / "alerts.yml").read_text()
RUNBOOKS = dict(re.findall(r"- alert: (\w+)\n(?:(?!- alert)[\s\S])*?runbook: (\S+)", RULES))
FOUND = sorted(path for path in (ROOT / PAGES).glob("*.md") if path.name != "README.md")
PARTS = ("**You see**: ", "**It means**: ", "| cause | cure |", "**It is cured when** ")


def named() -> Iterator[str]:
    """The names of all checks, as the code makes them."""
    yield from SIGNS
    for file in (
        *(ROOT / "operations" / "health").glob("*.py"),
        *(ROOT / "workers").glob("*.py"),
        ROOT / "cli" / "doctor.py",
    ):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Check" and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    yield str(first.value)


CHECKS = {check.id: check for check in (Check(name, OK, "") for name in set(named()))}


def test_the_checks_of_the_doctor_are_all_found():
    assert len(CHECKS) > 35
    assert set(ALERTS) <= set(CHECKS)


@pytest.mark.parametrize("id", sorted(CHECKS))
def test_each_check_has_its_page(id):
    assert (ROOT / CHECKS[id].page).exists()


@pytest.mark.parametrize("alert", re.findall(r"- alert: (\w+)", RULES))
def test_each_alert_has_its_page_and_that_names_it(alert):
    assert f"`{alert}`" in (ROOT / RUNBOOKS[alert]).read_text()


@pytest.mark.parametrize(("id", "alert"), ALERTS.items())
def test_a_check_and_the_alert_of_it_lead_to_pages_that_lead_on(id, alert):
    own, told = ROOT / CHECKS[id].page, ROOT / RUNBOOKS[alert]
    assert (
        own == told
        or f"({own.name})" in told.read_text()
        or f"({told.name})" in own.read_text()
        or alert in own.read_text()
    )


@pytest.mark.parametrize("page", FOUND, ids=lambda page: page.stem)
def test_a_page_is_short_whole_and_about_what_is_there(page):
    text = page.read_text()
    assert [part for part in PARTS if text.count(part) != 1] == []
    assert 9 <= len(text.splitlines()) <= 30
    assert str(page.relative_to(ROOT)) in {*RUNBOOKS.values(), *(check.page for check in CHECKS.values())}
    assert f"({page.name})" in (page.parent / "README.md").read_text()


@pytest.mark.parametrize("page", FOUND, ids=lambda page: page.stem)
def test_a_page_names_settings_commands_and_figures_that_exist(page):
    from operations.gauges import FIGURES
    from telemetry.meters import METERS

    text = page.read_text()
    assert set(re.findall(r"\bORDERS_[A-Z_]+\b", text)) <= {each.name for each in known()}
    figures = {figure.name for figure in FIGURES} | set(METERS)
    assert set(re.findall(r"\borders_[a-z_]+\b", text)) <= figures
    for words in re.findall(r"`orders ((?:[a-z-]+ ?)+)", text):
        name, *more = words.split()
        known_so_far = name if name in COMMANDS else None
        for word in more:
            longer = f"{known_so_far} {word}"
            known_so_far = longer if longer in COMMANDS else known_so_far
            if longer not in COMMANDS:
                assert not getattr(COMMANDS[known_so_far or name], "commands", None), f"orders {words}"
        assert known_so_far is not None, f"orders {words}"
