"""Figures of a process and of its children, served as Prometheus reads them; nothing is counted before it is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from telemetry.meters import METERS, Meter

CHILDREN = """
import os, sys
from pathlib import Path
from telemetry import exposure
from telemetry.meters import BATCH, RESULTS
RESULTS.add(5, "applied", "")  # before the start: counts nothing
exposure.start(Path(sys.argv[1]), "drain")
for _ in range(2):
    if os.fork() == 0:
        RESULTS.add(3, "applied", "")
        RESULTS.add(1, "dead", "bug")
        BATCH.observe(0.2)
        os._exit(0)
for _ in range(2):
    os.wait()
RESULTS.add(1, "applied", "")
sys.stdout.write(exposure.text().decode())
"""


def test_the_figures_of_children_that_ended_are_added_up(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-c", CHILDREN, str(tmp_path)], capture_output=True, text=True, check=True)
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(told.stdout)
        for sample in family.samples
    }
    assert values["orders_results_total", "", "applied"] == 7
    assert values["orders_results_total", "bug", "dead"] == 2
    assert values["orders_batch_seconds_count",] == 2
    assert values["orders_batch_seconds_sum",] == pytest.approx(0.4)


def test_folders_of_processes_that_are_gone_go_with_the_next_start(tmp_path: Path) -> None:
    for _ in range(2):
        subprocess.run([sys.executable, "-c", CHILDREN, str(tmp_path)], capture_output=True, check=True)
    assert len(list((tmp_path / "run" / "metrics").iterdir())) == 1


SERVED = """
import sys
from pathlib import Path
from telemetry import exposure
exposure.start(Path(sys.argv[1]), "beat")
print(exposure.serve(("127.0.0.1", 0), "drain"), flush=True)
sys.stdin.read()
"""


def test_they_are_served_on_a_port_of_their_own(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert b"orders_batch_events" in answer.read()
    finally:
        process.communicate("")


def test_a_meter_that_was_not_started_counts_nothing() -> None:
    meter = Meter("x_total", "An x.", ("kind",))
    meter.add(1, "a")
    assert not meter.counts


def test_names_are_as_prometheus_has_them() -> None:
    for name, meter in METERS.items():
        assert name.startswith("orders_")
        assert name.endswith(("_total",) if not meter.buckets else ("_seconds", "_events")), name
        assert meter.says.endswith(".")
