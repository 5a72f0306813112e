"""The beat's paces, whatever happens to its host's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from celery.beat import ScheduleEntry

from settings.environment import read
from workers.app import app
from workers.scheduler import schedule


def test_a_clock_that_is_put_back_holds_up_no_chore(monkeypatch):
    entries = [ScheduleEntry(name, app=app, **each) for name, each in schedule(read({})).items()]
    assert {"orders.relay", "orders.timers"} <= {entry.name for entry in entries}
    monkeypatch.setattr(app, "now", lambda: datetime.now(UTC) - timedelta(minutes=10))
    for entry in entries:
        assert entry.is_due().next <= entry.schedule.run_every.total_seconds()
