"""The harness itself: its schedule follows from the seed, its catalogue and its report from their rows."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from tests.faults import report
from tests.faults.catalogue import BY_NAME, FAULTS
from tests.faults.load import GROUP, RATES, schedule
from tests.faults.trial import Try, write


def test_the_schedule_follows_from_its_seed_and_keeps_every_pace():
    planned = list(islice(schedule(7, RATES), 2_000))
    assert planned == list(islice(schedule(7, RATES), 2_000))
    assert planned != list(islice(schedule(8, RATES), 2_000))
    assert planned == sorted(planned)
    seconds = planned[-1][0]
    for kind, rate in RATES.items():
        assert sum(1 for _, each in planned if each == kind) == pytest.approx(rate * seconds, abs=2)


def test_the_load_is_what_the_page_says():
    assert 100 <= GROUP * RATES["append"] + RATES["create"] + RATES["webhook"] <= 250


def test_each_fault_has_a_name_of_its_own_and_one_group_stands_together():
    assert len(BY_NAME) == len(FAULTS)
    groups = [fault.group for fault in FAULTS]
    assert len([1 for before, here in zip(["", *groups], groups, strict=False) if before != here]) == len(set(groups))


def test_two_runs_of_one_seed_draw_the_same_moments():
    assert Random("1:order-locked:0").random() == Random("1:order-locked:0").random()


def a_try(number: int, **different) -> Try:
    values = {"baseline": 136.0, "during": 0.1, "recovery_s": 2.0 + number, "acknowledged": 1_000}
    return Try("valkey-flushed", "FLUSHALL", "valkey", "whole", 1, number, 10.0, **values | different)


def test_a_row_tells_median_and_worst_of_the_newest_tries(tmp_path: Path):
    for number in range(7):
        write(tmp_path, a_try(number))
    found = report.load(tmp_path)
    assert [each["number"] for each in found["valkey-flushed"]] == [2, 3, 4, 5, 6]
    titles = {fault.name: fault.title for fault in FAULTS}
    made = report.table(found, titles)
    assert made.splitlines()[-1].startswith("| FLUSHALL | 5 | 10%, worst 10% | 6.0 s, worst 8.0 s | 0 of 5,000 |")


def test_what_never_came_back_and_what_was_lost_stand_in_the_row(tmp_path: Path):
    write(tmp_path, a_try(0))
    write(tmp_path, a_try(1, recovery_s=None, lost=3, wrong=["lost"], others=0.5))
    row = report.row(report.load(tmp_path)["valkey-flushed"])
    assert row[1] == "2, 1 not as it must"
    assert "never: 1" in row[3]
    assert row[4] == "3 of 2,000"


OLD = "| FLUSHALL | 5 | as it was |\n| PostgreSQL restarted | 4 | as it was |"


def test_the_page_holds_the_table_between_its_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = tmp_path / "faults.md"
    page.write_text(f"before\n{report.BEGIN}\n{OLD}\n{report.END}\nafter\n")
    write(tmp_path / "results", a_try(0))
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["report", str(tmp_path / "results"), "--write"])
    assert report.main() == 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| FLUSHALL | 1 |" in text
    assert "| FLUSHALL | 5 |" not in text
    assert "| PostgreSQL restarted | 4 | as it was |" in text, "what was not tried stays"


def test_a_result_is_one_line_of_json(tmp_path: Path):
    write(tmp_path, a_try(0, figures={"calls to Toss": 3.0}))
    (line,) = (tmp_path / "valkey-flushed.jsonl").read_text().splitlines()
    assert json.loads(line)["figures"] == {"calls to Toss": 3.0}
