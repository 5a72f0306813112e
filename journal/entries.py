"""A journal row as it travels to the drain, and its encoding in a stream.

Small bodies travel whole; a large one travels by its number only, and the drain reads it from the
journal, so that Redis stays small whatever a body's size.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from storage.pg_arrays import array
from storage.raw_sql import Statement

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
    effects_suppressed: bool
    data: dict[str, Any]
    size: int = 0  # bytes of the body
    trace: str | None = None  # the span that accepted it, where traces are on; it travels through streams alone


def shard_of(route: str, shards: int) -> int:
    """The shard of an order's number, or of a correlation key. Never changes: streams and locks rely on it."""
    return zlib.crc32(route.encode()) % shards


def encode(entry: Entry) -> bytes:
    """The part of an entry that travels through a stream: number and size, and all the rest unless it is large."""
    if entry.size <= INLINE_BYTES:
        e = entry
        told = [e.seq, e.size, e.source, e.event_id, e.type, e.version, e.time, e.subject, e.effects_suppressed, e.data]
        if e.trace is not None:
            told.append(e.trace)
        event = orjson.dumps(told)
        if len(event) <= INLINE_BYTES + NAMES_BYTES:
            return event
    return orjson.dumps([entry.seq, entry.size])


_UNTRACED = 10  # what travels of an entry without a trace


def decode(event: bytes, shard: int) -> tuple[int, int, Entry | None]:
    """(number, size, the entry, or None where it travelled by its number)."""
    told = orjson.loads(event)
    trace = None
    if len(told) != _UNTRACED:
        if len(told) == 2:
            return told[0], told[1], None
        trace = told.pop()
    seq, size, source, event_id, kind, version, time, subject, held, data = told
    when = datetime.fromisoformat(time)
    return seq, size, Entry(seq, source, event_id, kind, version, when, subject, shard, held, data, size, trace)


_ROWS = """
    select j.seq, j.source, j.event_id, j.type, j.version, j.time,
           case when c.seq is null then j.subject else c.subject end, j.shard, j.held,
           case when octet_length(b.body) <= cast(:most as integer) then b.body end, octet_length(b.body)
    from journal j left join corrections c using (seq)
    cross join lateral (select cast(coalesce(c.data, j.data) as text) as body offset 0) b
"""
_READ = Statement(f"{_ROWS} where j.seq = any(cast(:seqs as bigint[])) order by j.seq")
# Of what the relay has looked at, only what it found open; so what was decided since the oldest is not read again.
_UNDECIDED_AFTER = Statement(f"""
    {_ROWS} where j.seq = any(array(
        select u.seq from relay_marks m cross join lateral (
            select o.seq from unnest(m.open) o(seq)
            where o.seq > greatest(m.seq, cast(:after as bigint)) and o.seq <= m.above
            and not exists (select from results r where r.seq = o.seq)
            union all
            (select n.seq from journal n where n.shard = m.shard and n.seq > greatest(m.above, cast(:after as bigint))
            and not exists (select from results r where r.seq = n.seq)
            order by n.seq limit cast(:count as integer))
        ) u where m.shard = cast(:shard as smallint) order by u.seq limit cast(:count as integer)
    )) order by j.seq
""")
_ANY_SIZE = 2**31 - 1


def read(conn: Connection, seqs: Sequence[int]) -> list[Entry]:
    """Entries out of the journal, in its order."""
    return _entries(_READ.run(conn, {"seqs": array(seqs, "bigint"), "most": _ANY_SIZE})) if seqs else []


def undecided_after(conn: Connection, shard: int, after: int, count: int, most: int) -> list[Entry]:
    """The shard's first `count` entries above the number `after` that have no result, bodies of more than `most` bytes left out."""
    values = {"shard": shard, "after": after, "count": count, "most": most}
    return _entries(_UNDECIDED_AFTER.run(conn, values))


def _entries(rows: Iterable[Sequence[Any]]) -> list[Entry]:
    return [Entry(*(*row, {} if body is None else orjson.loads(body), size)) for *row, body, size in rows]
