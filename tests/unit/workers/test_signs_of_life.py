"""A dead beat has one cure, the cheapest first, and what follows from it is no second fault."""

from __future__ import annotations

import os
from pathlib import Path
from time import time

from operations.health.check import OK, PROBLEM, Check, Place
from settings.environment import read
from workers.examination import _of_the_beat
from workers.liveness import Heartbeat
from workers.signs_of_life import STILL_S, _cure_of_beat


def place(data: Path, *, embedded: bool = True) -> Place:
    return Place(read({"ORDERS_DATA": str(data)}, Path("/nonexistent")), embedded)


def test_a_frozen_beat_is_ended_by_its_pid_before_anything_else_is_restarted(tmp_path: Path):
    assert _cure_of_beat(place(tmp_path)).startswith("restart `orders up`"), "none of it is here"
    Heartbeat(tmp_path, "beat")
    assert f"it runs here as pid {os.getpid()}" in _cure_of_beat(place(tmp_path))
    (file,) = (tmp_path / "run").iterdir()
    before = time() - STILL_S - 5
    os.utime(file, (before, before))
    cure = _cure_of_beat(place(tmp_path))
    assert cure.startswith(f"`kill -9 {os.getpid()}`: it is frozen, and `orders up` starts it again by itself")
    assert "`orders beat`" in _cure_of_beat(place(tmp_path, embedded=False))


def test_workers_without_a_heartbeat_follow_from_a_dead_beat_unless_nobody_takes_chores():
    beat, workers = Check("beat", PROBLEM, "it is dead"), Check("workers", PROBLEM, "no timer fires", "see the lines")
    taken, untaken = Check("worker: chores", OK, "alive"), Check("worker: chores", PROBLEM, "nobody takes")
    told = _of_the_beat([beat, taken, workers])[-1]
    assert told.says == "no timer fires; it follows from the beat"
    assert told.remedy == "mend the beat first; then it goes on by itself"
    for others in ([beat, untaken, workers], [taken, workers]):
        assert _of_the_beat(others) == others
