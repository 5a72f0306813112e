"""The demo's story, told line by line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from demo import final_checks

BEGAN = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


def entry(decided: datetime | None) -> dict[str, object]:
    return {
        "type": "OrderCreated", "deliveries": 1, "stepFrom": None, "stepTo": "pending", "data": {}, "text": "placed",
        "implied": None, "outcome": "applied", "acceptedAt": BEGAN, "decidedAt": decided,
    }  # fmt: skip


def test_no_event_of_the_story_is_decided_before_its_beginning(capsys):
    after = [timedelta(milliseconds=-30), timedelta(seconds=2.54)]  # a worker's clock may be behind PostgreSQL's
    final_checks._tell_story({"order": "4711", "timeline": [*(entry(BEGAN + each) for each in after), entry(None)]})
    told = capsys.readouterr().out
    assert "-0.0" not in told
    rows = [line.split() for line in told.splitlines() if "OrderCreated" in line]
    assert [row[0] for row in rows] == ["0.0", "2.5", "–"]
