"""A journal row as it travels to the drain, and its encoding in a stream.

Small bodies travel whole; a large one travels by its number only, and the drain reads it from the
journal, so that Redis stays small whatever a body's size.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

from storage.literals import array

INLINE_BYTES = 640  # a longer body travels by its number
NAMES_BYTES = 320  # and so does an event whose names (id, source, subject …) are longer than this


@dataclass(slots=True)
class Entry:
    """One accepted event: the journal's row, with an operator's correction laid over it."""

    seq: int
    source: str
    event_id: str
    type: str
    version: int
    time: datetime
    subject: str | None
    shard: int
    held: bool
    data: dict[str, Any]
    size: int = 0  # bytes of the body


def shard_of(route: str, shards: int) -> int:
    """The shard of an order's number, or of a correlation key. Never changes: streams and locks rely on it."""
    return zlib.crc32(route.encode()) % shards


def encode(entry: Entry) -> dict[str, bytes | int]:
    """The fields of a stream entry: s its number, n its body's size, and e the event unless it is large."""
    if entry.size <= INLINE_BYTES:
        names = [entry.source, entry.event_id, entry.type, entry.version, entry.time, entry.subject, entry.held]
        event = orjson.dumps([*names, entry.data])
        if len(event) <= INLINE_BYTES + NAMES_BYTES:
            return {"s": entry.seq, "n": entry.size, "e": event}
    return {"s": entry.seq, "n": entry.size}


def number_of(fields: Mapping[bytes, bytes]) -> tuple[int, int]:
    """(seq, size) of a stream entry."""
    return int(fields[b"s"]), int(fields[b"n"])


def decode(fields: Mapping[bytes, bytes], shard: int) -> Entry | None:
    """The entry, or None where it travelled by its number."""
    body = fields.get(b"e")
    if body is None:
        return None
    source, event_id, kind, version, time, subject, held, data = orjson.loads(body)
    seq, size = number_of(fields)
    return Entry(
        seq,
        source,
        event_id,
        kind,
        version,
        datetime.fromisoformat(time),
        subject,
        shard,
        held,
        data,
        size,
    )


_READ = """
    select j.seq, j.source, j.event_id, j.type, j.version, j.time,
           case when c.seq is null then j.subject else c.subject end,
           j.shard, j.held, coalesce(c.data, j.data), octet_length(cast(coalesce(c.data, j.data) as text))
    from journal j left join corrections c using (seq)
"""
_BY_SEQ = text(_READ + " where j.seq = any(cast(:seqs as bigint[])) order by j.seq")


def read(conn: Connection, seqs: Sequence[int]) -> list[Entry]:
    """Entries out of the journal, in its order."""
    return rows_to_entries(conn.execute(_BY_SEQ, {"seqs": array(seqs, "bigint")})) if seqs else []


def rows_to_entries(rows: Iterable[Any]) -> list[Entry]:
    """Rows with the columns of `_READ` as entries."""
    return [Entry(*row) for row in rows]
