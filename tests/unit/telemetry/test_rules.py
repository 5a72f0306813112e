"""Alert rules and dashboard: what they name exists, Prometheus accepts them, and the doctor names no rule that is none."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from operations.gauges import FIGURES
from operations.health.check import ALERTS
from telemetry.meters import METERS

OPS = Path(__file__).parents[3] / "ops"
RULES = OPS / "prometheus" / "alerts.yml"
DASHBOARD = OPS / "grafana" / "orders.json"
PROMTOOL = Path("/usr/bin/promtool")
PAGE = Path(__file__).parents[3] / "docs" / "howto" / "watch.md"


def known() -> set[str]:
    """Every name that a scrape answers."""
    names = {figure.name for figure in FIGURES}
    for name, meter in METERS.items():
        names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if meter.buckets else {name}
    return names


def named(text: str) -> set[str]:
    return set(re.findall(r"\borders_[a-z_]+\b", text))


def alerts() -> list[str]:
    return re.findall(r"- alert: (\w+)", RULES.read_text())


def test_every_figure_that_a_rule_or_the_dashboard_names_exists():
    dashboard = " ".join(
        target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]
    )
    asked = named(dashboard) | named(" ".join(re.findall(r"(?s)expr: (.*?)\n        for:", RULES.read_text())))
    assert len(asked) > 20
    assert asked - known() == set()


def test_every_figure_stands_in_the_dashboard_or_in_a_rule():
    told = named(DASHBOARD.read_text()) | named(RULES.read_text())
    bases = {re.sub("_(bucket|sum|count)$", "", name) if name not in METERS else name for name in told}
    assert ({figure.name for figure in FIGURES} | set(METERS)) - bases - told == set()


def test_each_rule_has_a_cure_and_stands_in_the_guide():
    rules = RULES.read_text()
    assert rules.count("cure:") == rules.count("summary:") == len(alerts())
    page = PAGE.read_text()
    assert [name for name in alerts() if name not in page] == []


def test_the_doctor_names_rules_that_exist():
    assert set(ALERTS.values()) <= set(alerts())


@pytest.mark.skipif(not PROMTOOL.exists(), reason="promtool is not here: apt install prometheus")
def test_prometheus_accepts_the_rules():
    found = subprocess.run([PROMTOOL, "check", "rules", RULES], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{len(alerts())} rules found" in found.stdout + found.stderr


GIVEN_UP = """
rule_files: [{rules}]
tests:
  - interval: 1m
    input_series: [{{series: '{series}', values: '1x30'}}]
    alert_rule_test:
      - {{eval_time: 20m, alertname: OrdersDeadLetters, exp_alerts: [{alerts}]}}
"""
FIRES = "{{exp_labels: {{severity: warning}}, exp_annotations: {{{annotations}}}}}"


@pytest.mark.skipif(not PROMTOOL.exists(), reason="promtool is not here: apt install prometheus")
@pytest.mark.parametrize(
    ("series", "fires"),
    [
        ('orders_dead_letters{reason="bug"}', True),
        ('orders_lookups{state="dead"}', True),
        ('orders_deliveries{state="dead"}', True),
        ('orders_lookups{state="due"}', False),
        ('orders_deliveries{state="due"}', False),
    ],
)
def test_whatever_was_given_up_is_told(series: str, fires: bool, tmp_path: Path):
    rule = RULES.read_text().split("- alert: OrdersDeadLetters")[1].split("- alert:")[0]
    annotations = ", ".join(
        f"{key}: {json.dumps(value)}" for key, value in re.findall('(summary|cure|runbook): "?(.*?)"?\\n', rule)
    )
    told = GIVEN_UP.format(rules=RULES, series=series, alerts=FIRES.format(annotations=annotations) if fires else "")
    (tmp_path / "test.yml").write_text(told)
    found = subprocess.run([PROMTOOL, "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
