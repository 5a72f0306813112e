"""(c) Celery alone: tasks that take an event and do nothing with it.

celery -A bench.noop worker
"""

from __future__ import annotations

from typing import Any

from bench.baseline_app import celery_app

app = celery_app("noop")


@app.task
def apply(event: dict[str, Any]) -> None:
    """A task that does nothing."""
