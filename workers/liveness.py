"""The signs that a worker or a beat on this machine goes on: each writes a file of its own every second, and here it is looked at.

    python -m workers.liveness drain     exit 0: every drain worker of this data folder lives; 1: one stands still, or none is here

For supervisors' health checks: it imports nothing but a few modules of Python's library, and asks no server, so that one
fault elsewhere does not have the innocent started again. The names are those of `orders worker --queues`, and `beat`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

STILL_S = 15  # without a heartbeat
DATA = ".orders"  # as ORDERS_DATA is by default


class Heartbeat:
    """One process' file: `<data>/run/<role>-<pid>.alive`, touched by `beat`."""

    def __init__(self, data: Path, role: str) -> None:
        self._file = data / "run" / f"{role}-{os.getpid()}.alive"
        for file, pid in _files(data, role):
            if not _runs(pid):  # killed: nobody took its file away
                file.unlink(missing_ok=True)
        self.beat()

    def beat(self) -> None:
        """Say that this process goes on. Where it cannot write, it goes on all the same, and says so in its log."""
        try:
            try:
                os.utime(self._file)  # which a full disk does not hinder
            except FileNotFoundError:
                self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file.touch(mode=0o600)
        except OSError as error:
            import logging  # a health check needs none of it

            logging.getLogger(__name__).warning("%s cannot be written: health checks will fail: %s", self._file, error)

    def end(self) -> None:
        """This process ends, and nobody is to look for it."""
        self._file.unlink(missing_ok=True)


def running(data: Path, role: str) -> list[tuple[int, float]]:
    """The processes of that role that run here: pid, and the seconds since each last said that it goes on."""
    now = time.time()  # noqa: TID251  against the times of files, which are this host's
    return [(pid, now - file.stat().st_mtime) for file, pid in _files(data, role) if _runs(pid)]


def stands_still(data: Path, role: str) -> str | None:
    """The fault of the processes of that role, None where nothing is."""
    alive = running(data, role)
    if not alive:
        return f"no {role} runs with the data folder {data}"
    for pid, still in alive:
        if still > STILL_S:
            return f"{role}, pid {pid}, has stood still for {still:.0f} s; end it (kill -9 {pid}), its supervisor starts it"
    return None


def _files(data: Path, role: str) -> list[tuple[Path, int]]:
    found = []
    for file in (data / "run").glob(f"{role}-*.alive"):
        pid = file.stem.removeprefix(f"{role}-")
        if pid.isdigit():
            found.append((file, int(pid)))
    return found


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


if __name__ == "__main__":
    wrong = stands_still(Path(os.environ.get("ORDERS_DATA") or DATA), sys.argv[1])
    if wrong:
        print(wrong)
    sys.exit(1 if wrong else 0)
