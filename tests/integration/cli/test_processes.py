"""Processes of `orders up`: started again when they end, ever later where they end at once, with bounded logs."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest

from cli import processes as room
from cli.processes import Processes, start_workers
from embedded.host import bound_log
from tests.integration.cli.test_doctor import checks
from workers.pools import POOLS
from workers.signs_of_life import QUEUES


class Restarts:
    """The restarts that the owner hears of, and waits for."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self._new = threading.Condition()

    def __call__(self, name: str, code: int) -> None:
        with self._new:
            self.seen.append((name, code))
            self._new.notify_all()

    def wait(self, count: int) -> None:
        with self._new:
            assert self._new.wait_for(lambda: len(self.seen) >= count, 30), self.seen


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(room, "RESTART_S", 0.01)
    monkeypatch.setattr(room, "LONGEST_S", 0.04)


def test_a_child_that_ends_at_once_is_started_ever_later_and_never_given_up(tmp_path: Path, quick):
    heard = Restarts()
    with Processes(tmp_path, heard) as children:
        child = children.start("fails", "no_such_module")
        waits = []
        for count in range(1, 5):
            heard.wait(count)
            waits.append(child.wait)
        assert waits == sorted(waits)
        assert (waits[0], waits[-1]) == (0.01, 0.04)
    assert set(heard.seen) == {("fails", 1)}
    assert "No module named no_such_module" in (tmp_path / "fails.log").read_text()


def test_a_child_that_is_killed_is_started_again_at_once(tmp_path: Path, quick):
    heard = Restarts()
    with Processes(tmp_path, heard) as children:
        child = children.start("sleeps", "timeit", "-n", "1", "-r", "1", "import time; time.sleep(60)")
        for count in range(1, 3):
            children.kill("sleeps")
            heard.wait(count)
            assert child.wait == 0
    assert heard.seen[0] == ("sleeps", -signal.SIGKILL)


def test_a_childs_log_stays_bounded(tmp_path: Path, quick, monkeypatch):
    monkeypatch.setattr("cli.processes.bound_log", lambda log: bound_log(log, 2000))
    heard = Restarts()
    with Processes(tmp_path, heard) as children:
        children.start("talks", "timeit", "-n", "1", "-r", "1", "print('a line of some length, again and again ' * 20)")
        heard.wait(6)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == {"talks.log", "talks.log.1"}
    assert max(sizes.values()) < 6000


@pytest.mark.slow
def test_the_doctor_tells_a_dead_beat_from_dead_workers_for_real(shop, orders, tmp_path, monkeypatch):
    monkeypatch.setattr("workers.signs_of_life.TAKEN_S", 1.5)
    monkeypatch.setattr("workers.signs_of_life.STILL_S", 2)
    names = ("beat", "workers", *(f"worker: {queue}" for queue in QUEUES))
    outer = {f"worker: {queue}" for queue in POOLS["outside"]}

    def unwell() -> set[str]:
        found = checks(orders("doctor", "--json"))
        return {name for name in names if name in found and found[name]["level"] != "ok"}

    def until(expected: set[str]) -> None:
        seen = []
        begun = monotonic()
        while monotonic() < begun + 60:  # the heartbeat comes with a chore, every five seconds
            seen.append(unwell())
            if seen[-1] == expected:
                return
            sleep(0.5)  # to look takes as much of the machine as the workers' starts
        raise AssertionError((expected, seen[-3:]))

    with Processes(tmp_path) as children:
        start_workers(children, 1)
        until(set())
        beat = children.children["beat"].process
        assert beat is not None
        beat.send_signal(signal.SIGSTOP)
        until({"beat"})
        beat.send_signal(signal.SIGCONT)
        until(set())
        outside = children.children["outside"].process
        assert outside is not None
        family = [psutil.Process(outside.pid), *psutil.Process(outside.pid).children(recursive=True)]
        for process in family:
            process.suspend()
        until(outer)
        for process in family:
            process.resume()
        until(set())
