"""Files of lines from outside: read in bounded memory, and a line that is bad is told, not fatal.

Every reader here yields what it could read, and a `BadLine` for each line that it could not.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

MAX_REASON = 300  # characters; a reason may quote the line, and a line may be a mebibyte
SKIP_BYTES = 65_536  # how much of a line that is too long is held at once
BOM = b"\xef\xbb\xbf"

# What a compressed file that is cut off or damaged raises while it is read.
BROKEN = (EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that gave no event: where it stands, and why. `number` counts from 1."""

    file: str
    number: int
    reason: str

    def __post_init__(self) -> None:
        if len(self.reason) > MAX_REASON:
            object.__setattr__(self, "reason", self.reason[: MAX_REASON - 1] + "…")

    def __str__(self) -> str:
        return f"{self.file}, line {self.number}: {self.reason}"


def open_lines(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked where its name ends in .gz."""
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def bounded(stream: BinaryIO, limit: int) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number, without its end; None for one of more than `limit` bytes.

    Memory: at most `limit` bytes, whatever comes; a gigabyte without a line end is skipped in
    pieces. A byte order mark before the first line is taken away.
    """
    number = 0
    while line := stream.readline(limit + 2):  # room for \r\n
        number += 1
        text = line.rstrip(b"\r\n")
        whole = line.endswith(b"\n")
        if len(text) <= limit and (whole or len(line) < limit + 2):
            yield number, text.removeprefix(BOM) if number == 1 else text
            continue
        while not whole and (line := stream.readline(SKIP_BYTES)):
            whole = line.endswith(b"\n")
        yield number, None
