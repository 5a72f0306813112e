"""Starts the real simulator processes, and ends those that it started."""

import contextlib
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READY_S = 20


@contextlib.contextmanager
def _running(module, *arguments):
    command = [sys.executable, "-m", f"adapters.simulators.{module}", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            yield process, _url(process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _url(process):
    ready, _, _ = select.select([process.stdout], [], [], READY_S)
    line = process.stdout.readline().decode() if ready else ""
    found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
    assert found, f"the simulator said {line!r}"
    return found.group(1)


@pytest.fixture(scope="session")
def running():
    """`with running("carrier", "--errors", 0.5) as (process, url)`."""
    return _running
