"""One log: a record is a line whatever stands in it, no personal value is in it, and one that cannot be written fails nothing."""

from __future__ import annotations

import errno
import json
import logging
import sys
from collections.abc import Callable, Iterator

import pytest
import structlog

from events.catalogue import PERSONAL_NAMES
from telemetry.log import configure


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
    configure("json", "info", PERSONAL_NAMES)
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


HOSTILE = "a\nb\r\x1b[2J\u202e\u2028\x00\x85{end}"


class Kept:
    """A stream that keeps what was written."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        return None

    def isatty(self) -> bool:
        return False


@pytest.fixture
def keep(logs: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Kept]:
    """From its call on, what is written to stderr."""

    def begin() -> Kept:
        stream = Kept()
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return begin


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_record_is_one_line_and_obeyed_by_nobody_whatever_its_text(keep: Callable[[], Kept], form: str) -> None:
    kept = keep()
    configure(form, "info", PERSONAL_NAMES)  # type: ignore[arg-type]
    structlog.get_logger("ours").info(HOSTILE, order=HOSTILE, deep={"more": [HOSTILE]})
    logging.getLogger("a library").warning("it said %s", HOSTILE)
    assert len(kept.text.rstrip("\n").split("\n")) == 2
    assert all(character.isprintable() or character == "\n" for character in kept.text)
    assert "{end}" in kept.text


def test_no_value_of_a_personal_field_is_written_however_deep_it_stands(keep: Callable[[], Kept]) -> None:
    kept = keep()
    configure("json", "info", PERSONAL_NAMES)
    structlog.get_logger("ours").info(
        "edited", data={"shippingAddress": {"name": "Lee"}, "notes": "ring", "kind": "x"}, email="l@x"
    )
    assert "Lee" not in kept.text
    line = json.loads(kept.text)
    assert line["data"] == {"shippingAddress": "(hidden)", "notes": "(hidden)", "kind": "x"}
    assert line["email"] == "(hidden)"


def test_ids_that_are_bound_stand_in_the_lines_of_libraries_too_and_a_traceback_is_one_line(
    keep: Callable[[], Kept],
) -> None:
    kept = keep()
    configure("json", "info", PERSONAL_NAMES)
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        try:
            raise ValueError("a\nb")
        except ValueError:
            logging.getLogger("a library").exception("failed")
    (line,) = kept.text.splitlines()
    record = json.loads(line)
    assert (record["request_id"], record["logger"], record["level"]) == ("r1", "a library", "error")
    assert "Traceback" in record["exception"]


def test_a_level_keeps_what_is_below_it_out(keep: Callable[[], Kept]) -> None:
    kept = keep()
    configure("text", "warning", PERSONAL_NAMES)
    structlog.get_logger("ours").info("quiet")
    logging.getLogger("a library").info("quiet")
    logging.getLogger("a library").warning("loud")
    assert "quiet" not in kept.text
    assert "WARNING a library: loud" in kept.text
