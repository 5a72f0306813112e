"""`orders ingest` as a user runs it: a process of its own, on real servers; what is refused, in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; its stdout is JSON where --json was given."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ORDERS_")}
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**clean, **environment},
        timeout=100,
    )


@pytest.fixture
def urls(database_url, redis_url) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "REDIS_URL": redis_url}


def an_event(number: int, kind: str, **data: object) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"{kind}-{number}",
        "source": "shop",
        "type": kind,
        "time": "2026-11-01T09:30:00+09:00",
        "subject": f"N{number}",
        "data": data,
    }


def a_paid_order(number: int) -> list[dict[str, object]]:
    item = {"item": "a", "product": "tea", "quantity": 2, "unitPrice": "6000"}
    return [
        an_event(number, "OrderCreated", items=[item], totalAmount="12000", paymentIds=[f"pi_{number}"]),
        an_event(number, "PaymentSucceeded", paymentId=f"pi_{number}", amount="12000"),
    ]


def test_a_file_with_bad_lines_goes_in_without_them(tmp_path, urls):
    lines = [json.dumps(event) for number in range(20) for event in a_paid_order(number)]
    lines[7:7] = ["not json", '{"id": "x"}', ""]
    lines.append(lines[0])
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join(lines))
    done = run("ingest", str(file), "--wait", "--json", **urls)
    assert done.returncode == 1, done.stderr  # bad lines are a problem, and the rest is in
    answer = json.loads(done.stdout)
    assert (answer["accepted"], answer["new"], answer["duplicates"]) == (41, 40, 1)
    assert [bad["line"] for bad in answer["bad_lines"]] == [8, 9]
    account = answer["account"]
    assert account["applied"] == 40
    assert account["waiting"] == 0
    assert ":8:" in done.stderr


def test_stdin_and_a_second_delivery(urls):
    text = "\n".join(json.dumps(event) for event in a_paid_order(1))
    assert run("ingest", "-", stdin=text, **urls).returncode == 0
    again = json.loads(run("ingest", "-", "--json", stdin=text, **urls).stdout)
    assert (again["new"], again["duplicates"]) == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["/no/such/file"], "does not exist"),
        ([str(ROOT / "pyproject.toml"), "--format", "olist"], "is a file"),
        ([str(ROOT / "docs")], "needs all four of Olist's files"),
    ],
)
def test_wrong_use_is_one_sentence(arguments, says, on_servers, orders):
    done = orders("ingest", *arguments)
    assert done.code in (1, 2)
    assert says in " ".join(done.err.split())


def test_one_url_without_the_other_is_refused(on_servers, orders, monkeypatch):
    monkeypatch.delenv("REDIS_URL")
    done = orders("ingest", "-")
    assert done.code == 2
    assert "both" in done.err


def test_a_misspelt_setting_stops_the_start(on_servers, orders, monkeypatch):
    monkeypatch.setenv("ORDERS_SHRADS", "8")
    done = orders("migrate")
    assert done.code == 2
    assert "ORDERS_SHARDS" in done.err
