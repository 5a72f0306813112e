"""Processes of our own: started, watched, restarted when they die, stopped together.

Each writes to a log of its own, which stays bounded. One that ends by itself soon after its start, again and again, is
started after a growing wait. A child gets SIGTERM when this process ends in whatever way (on Linux), so that a killed `orders up`
leaves no worker behind.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO

from embedded.host import bound_log

RESTART_S = 0.5  # between a death and the next start
LONGEST_S = 5.0  # … of one that ends by itself each time
SOUND_S = 20.0  # a child that ran so long is started at once again
STOP_S = 10.0  # then a child that does not stop is killed
_PR_SET_PDEATHSIG = 1
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Child:
    """One process that should run until it is stopped."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    wait: float = 0.0  # before the next start
    again_at: float | None = None  # it has ended, and is started then


@dataclass(slots=True)
class Processes:
    """A set of children; a watching thread restarts those that die."""

    logs: Path | None  # None: they write where we do
    on_restart: Callable[[str, int], None] = lambda name, code: None
    children: dict[str, Child] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None
    _files: list[IO[bytes]] = field(default_factory=list)

    def __enter__(self) -> Processes:
        if self.logs is not None:
            self.logs.mkdir(0o700, parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, module: str, *arguments: str, **environment: str) -> Child:
        """Run `python -m module arguments` under `name`; its output goes to NAME.log."""
        child = Child(name, [sys.executable, "-m", module, *arguments], {**os.environ, **environment})
        with self._lock:
            self.children[name] = child
            self._spawn(child)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, daemon=True)
                self._watcher.start()
        return child

    def log(self, name: str) -> Path:
        """The file that a child writes to, if it has one."""
        if self.logs is None:
            raise ValueError("these processes write where their parent does")
        return self.logs / f"{name}.log"

    def kill(self, name: str) -> int | None:
        """SIGKILL, as the out-of-memory killer would: the watcher starts it again. Its pid, if it ran."""
        with self._lock:
            process = self.children[name].process
        if process is None or process.poll() is not None:
            return None
        process.kill()
        return process.pid

    def stop(self) -> None:
        """Ask every child to stop; after STOP_S kill those that did not."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        running = [c.process for c in self.children.values() if c.process and c.process.poll() is None]
        for process in running:
            process.terminate()
        until = monotonic() + STOP_S
        for process in running:
            try:
                process.wait(max(0.1, until - monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with the processes of its pool
                process.wait()
        for file in self._files:
            file.close()
        self._files.clear()

    def _spawn(self, child: Child) -> None:
        file = None
        if self.logs is not None:
            file = self.log(child.name).open("ab")  # appended to, so that `bound_log` can empty it
            self._files.append(file)
        child.began = monotonic()
        child.process = subprocess.Popen(
            child.command,
            env=dict(child.environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=None if file is None else subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours; children are stopped in order
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )

    def _watch(self) -> None:
        while not self._stopping.wait(RESTART_S):
            with self._lock:
                for child in self.children.values():
                    bound_log(self.log(child.name))
                    code = child.process.poll() if child.process else None
                    if code is not None and not self._stopping.is_set():
                        self._again(child, code)

    def _again(self, child: Child, code: int) -> None:
        """Start what has ended: at once what was killed or ran for long, else later each time."""
        now = monotonic()
        if child.again_at is None:
            calm = code < 0 or now - child.began >= SOUND_S
            child.wait = 0.0 if calm else min(max(RESTART_S, 2 * child.wait), LONGEST_S)
            child.again_at = now + child.wait
            self.on_restart(child.name, code)
        if now < child.again_at:
            return
        try:
            self._spawn(child)
        except OSError as error:  # no room for its log, or too many processes
            child.again_at = now + LONGEST_S
            log.warning("%s cannot be started, and is tried again in %.0f s: %s", child.name, LONGEST_S, error)
        else:
            child.again_at = None


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """In the child, before exec: SIGTERM when the parent's thread ends."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def start_workers(processes: Processes, count: int, **environment: str) -> None:
    """A Celery worker with `count` drain processes, one for chores, one for what waits for the outside, and the beat.

    `environment` goes to all of them.
    """
    processes.start("worker", "cli", "worker", "--concurrency", str(count), "--queues", "drain", **environment)
    processes.start("chores", "cli", "worker", "--queues", "chores", **environment)
    processes.start("outside", "cli", "worker", "--queues", "outside", **environment)
    processes.start("beat", "cli", "beat", **environment)
