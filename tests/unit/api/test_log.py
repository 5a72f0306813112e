"""A log that cannot be written fails no request."""

from __future__ import annotations

import errno
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from api.main import log


class FullDisk:
    """A stream whose disk is full, until it is not."""

    def __init__(self) -> None:
        self.full = True
        self.text = ""

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.text += text
        return len(text)

    def flush(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def logs() -> Iterator[None]:
    """Logging as it was, afterwards."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def test_lines_that_cannot_be_written_are_lost_and_counted(logs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FullDisk()
    monkeypatch.setattr(sys, "stderr", disk)
    log()
    ours, library = structlog.get_logger("api"), logging.getLogger("a library")
    for number in range(3):
        ours.info("request", number=number)
        library.warning("something")
    disk.full = False
    ours.info("request", number=3)
    lines = [json.loads(line) for line in disk.text.splitlines()]
    assert lines[-1]["number"] == 3
    assert lines[0]["event"] == "log lines were lost"
    assert lines[0]["lines"] >= 6
