"""Our events from a file, one CloudEvent a line (NDJSON).

A line that is no event is told and skipped; it never stops the ones behind it. Memory stays flat
whatever the file holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import orjson

from cli.ingest.line_reader import BROKEN, BadLine, bounded, open_lines
from events.envelope import MAX_BODY_BYTES, Envelope, EnvelopeError

# An event's body, and as much as its names, times and blanks can take.
MAX_LINE_BYTES = MAX_BODY_BYTES + 65_536


def read(path: Path) -> Iterator[Envelope | BadLine]:
    """The events of a file, unpacked where its name ends in .gz. OSError if it cannot be opened."""
    with open_lines(path) as stream:
        yield from read_stream(stream, str(path))


def read_stream(stream: BinaryIO, name: str = "stdin") -> Iterator[Envelope | BadLine]:
    """The events of an open stream of bytes; `name` is what its bad lines are reported under."""
    number = 0
    try:
        for number, line in bounded(stream, MAX_LINE_BYTES):
            try:
                if (event := _event(line)) is not None:
                    yield event
            except EnvelopeError as error:
                yield BadLine(name, number, str(error))
    except BROKEN as error:
        reason = f"the compressed file is broken from here on ({error}); fetch it again"
        yield BadLine(name, number + 1, reason)


def _event(line: bytes | None) -> Envelope | None:
    """One line's event, None for a blank one; EnvelopeError tells what is wrong."""
    if line is None:
        raise EnvelopeError("line", f"is longer than {MAX_LINE_BYTES} bytes; split the event")
    if not line.strip():
        return None
    try:
        line.decode()
        return Envelope.parse(orjson.loads(line))
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} is no UTF-8; save the file as UTF-8"
        raise EnvelopeError("line", message) from None
    except orjson.JSONDecodeError as error:
        raise EnvelopeError("line", f"is no JSON ({error}); write one event per line") from None
