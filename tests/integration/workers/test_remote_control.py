"""Celery's own tools beside a real worker: `celery inspect` and the events that Flower lives on."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from journal.streams import connect
from workers.app import app

UP_S = 60.0
REQUEST = ("inspect", "ping", "--json", "--timeout", "1")


@contextmanager
def worker(database_url: str, redis_url: str, log: Path, **environment: str) -> Iterator[None]:
    """A worker of the chores, which needs no process of a pool; it is ready."""
    env = {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ORDERS_DATA": str(log.parent),
        **environment,
    }
    with log.open("wb") as out:
        run = [sys.executable, "-m", "cli", "worker", "--queues", "chores"]
        process = subprocess.Popen(run, env=env, stdout=out, stderr=out)
        try:
            until = monotonic() + UP_S
            while "ready" not in log.read_text():
                assert monotonic() < until, log.read_text()
                sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(30)


def celery(redis_url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command as a person types it; with our app, or with nothing but the broker's address, as Flower may be started."""
    return subprocess.run(
        [sys.executable, "-m", "celery", *words],
        env={**os.environ, "REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def answers(redis_url: str, *of: str) -> dict[str, Any]:
    """The workers that answer `celery inspect ping`; asked again until one does: "ready" is said before it listens."""
    until = monotonic() + UP_S
    while (said := celery(redis_url, *of, *REQUEST)).returncode != 0:
        assert monotonic() < until, said.stdout + said.stderr
    return dict(json.loads(said.stdout))


def test_a_worker_answers_celerys_tools_and_is_seen_by_flower(database_url: str, redis_url: str, tmp_path: Path):
    with worker(database_url, redis_url, tmp_path / "log", ORDERS_CELERY_REMOTE_CONTROL="on"):
        with_our_app = answers(redis_url, "-A", "workers.app")
        (name,) = with_our_app
        assert re.fullmatch(rf"chores-\d+@{re.escape(socket.gethostname())}", name)
        assert list(with_our_app.values()) == [{"ok": "pong"}]
        assert answers(redis_url, "-b", redis_url) == with_our_app
        assert set(heard(redis_url)) >= {"worker-heartbeat"}


def heard(redis_url: str) -> list[str]:
    """The kinds of events that reach a receiver such as Flower's, until the first heartbeat."""
    kinds: list[str] = []
    with app.connection_for_read(redis_url) as connection:
        receiver = app.events.Receiver(connection)

        def note(event: dict[str, Any]) -> None:
            kinds.append(event["type"])
            receiver.should_stop = event["type"] == "worker-heartbeat"

        receiver.handlers["*"] = note
        receiver.capture(limit=None, timeout=10, wakeup=False)
    return kinds


def test_a_worker_listens_to_no_tools_unless_told_to(database_url: str, redis_url: str, tmp_path: Path):
    with worker(database_url, redis_url, tmp_path / "log"):
        assert celery(redis_url, "-A", "workers.app", *REQUEST).returncode != 0
        with connect(redis_url) as client:
            assert client.pubsub_channels() == []


def test_a_consumer_of_ours_writes_no_binding(redis_url: str):
    with app.connection_for_read(redis_url) as connection, connect(redis_url) as client:
        app.amqp.queues["orders.chores"].bind(connection.default_channel).declare()
        assert list(client.scan_iter()) == []
