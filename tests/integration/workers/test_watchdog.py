"""A worker that does not hear ends, by a code of its own, and no longer counts as alive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from journal.streams import connect
from workers.chores import CHORES
from workers.liveness import stands_still
from workers.watchdog import EXIT

DEAF = """
import logging, sys, threading
from pathlib import Path
from workers import watchdog
from workers.liveness import Heartbeat

logging.basicConfig()
watchdog.START_S, watchdog.LOOK_S = 0.5, 0.1
watchdog.Watchdog(sys.argv[1], [sys.argv[2]], 2, Heartbeat(Path(sys.argv[3]), "chores")).start()
threading.Event().wait(60)
"""


def test_a_deaf_worker_says_why_and_ends(redis_url: str, tmp_path: Path):
    connect(redis_url).lpush(CHORES, b"nobody takes it")
    here = [sys.executable, "-c", DEAF, redis_url, CHORES, str(tmp_path)]
    ended = subprocess.run(here, capture_output=True, text=True, check=False)
    assert ended.returncode == EXIT
    assert "this worker is deaf: 1 messages wait, 2 of its pool are free" in ended.stderr
    assert stands_still(tmp_path, "chores") == f"no chores runs with the data folder {tmp_path}"
