"""Workers that are started once and stand still (SIGSTOP) until it is their turn.

So nobody's idle workers take time from whoever is measured, a queue can be filled before its workers
move, and what is measured is warm.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

import bench
from bench.servers import BenchError

ROOT = Path(bench.__file__).parents[1]  # where the rooms are, installed or not
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING")
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Worker:
    """Processes that take turns with others: a Celery worker, and a beat where it has one."""

    name: str
    processes: list[subprocess.Popen[bytes]]
    log: Path

    def tree(self) -> list[psutil.Process]:
        """The processes that were started; their children hang on them."""
        return [psutil.Process(process.pid) for process in self.processes if process.returncode is None]

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Let it work until the block ends."""
        self._signal(signal.SIGCONT)
        try:
            yield
        finally:
            self._signal(signal.SIGSTOP)

    def check(self) -> None:
        """Errors: BenchError where a process has ended."""
        for process in self.processes:
            if process.poll() is not None:
                tail = self.log.read_text(errors="replace")[-2000:]
                raise BenchError(f"the workers of {self.name} ended with {process.returncode}:\n{tail}")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._signal(signal.SIGKILL)  # nothing of theirs is needed any more
        for process in self.processes:
            process.wait()

    def _signal(self, number: signal.Signals) -> None:
        for process in self.tree():
            with suppress(psutil.Error):
                for each in (process, *process.children(recursive=True)):
                    with suppress(psutil.NoSuchProcess):
                        each.send_signal(number)


def celery(
    name: str, app: str, folder: Path, environment: Mapping[str, str], *arguments: str, beat: bool = False
) -> Worker:
    """Start a Celery worker of two processes for `app`, and a beat if its chores need one."""
    command = [sys.executable, "-m", "celery", "-A", app]
    worker = [*command, "worker", "-n", f"{name}@bench", "-c", "2", *QUIET, *arguments]
    log = folder / f"{name}.log"
    started = [start(worker, log, folder, environment)]
    if beat:
        started.append(start([*command, "beat", "-l", "WARNING", "--pidfile="], log, folder, environment))
    return Worker(name, started, log)


def command(name: str, words: Sequence[str], folder: Path, environment: Mapping[str, str], *, processes: int) -> Worker:
    """Start a worker of another kind: so many processes of the same command."""
    log = folder / f"{name}.log"
    return Worker(name, [start([*words], log, folder, environment) for _ in range(processes)], log)


def start(
    command: list[str], log: Path, folder: Path, environment: Mapping[str, str], *, talks: bool = False
) -> subprocess.Popen[bytes]:
    """A process of ours with nothing of this one's settings; `talks`: through its stdin and stdout."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORDERS_", "DATABASE_URL", "REDIS_URL"))}
    path = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH"))))
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            cwd=folder,  # no .env there
            env={**kept, **environment, "PYTHONPATH": path},
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talks else file,
            stderr=file,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """In the child, before exec: one that stands still would not hear a milder signal."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
