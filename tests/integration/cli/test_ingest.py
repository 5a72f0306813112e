"""`orders ingest` as a user runs it: a process of its own, on real servers, with real workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def orders(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command; its stdout is JSON where --json was given."""
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
    done = orders("ingest", str(file), "--wait", "--json", **urls)
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
    assert orders("ingest", "-", stdin=text, **urls).returncode == 0
    again = json.loads(orders("ingest", "-", "--json", stdin=text, **urls).stdout)
    assert (again["new"], again["duplicates"]) == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["/no/such/file"], "does not exist"),
        (["pyproject.toml", "--format", "olist"], "is a file"),
        (["docs"], "needs all four of Olist's files"),
    ],
)
def test_wrong_use_is_one_sentence(arguments, says, urls):
    done = orders("ingest", *arguments, **urls)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert says in done.stderr


def test_one_url_without_the_other_is_refused(urls):
    done = orders("ingest", "-", DATABASE_URL=urls["DATABASE_URL"])
    assert done.returncode == 2
    assert "both" in done.stderr


def test_a_misspelt_setting_stops_the_start(urls):
    done = orders("migrate", **urls, ORDERS_SHRADS="8")
    assert done.returncode == 2
    assert "ORDERS_SHARDS" in done.stderr
