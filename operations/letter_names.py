"""The names of dead letters: which letters a name may mean, of all the names that a letter has."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from domain.ids import uuid_of
from storage.pg_arrays import columns, unnest

# Sources are few, and found one after another along the key of source and id: so no name costs a look at all letters.
_NAMES, _KINDS = ("ref", "seq", "uuid"), ("text", "bigint", "uuid")
_BY_NAME = text(f"""
    with recursive v as (select * from {unnest(_NAMES, _KINDS)}),
    sources (source) as (
        select min(source) from journal
        union all select (select min(j.source) from journal j where j.source > s.source) from sources s where s.source is not null
    ),
    named as (
        select v.ref, v.seq from v where v.seq is not null
        union select v.ref, (select j.seq from journal j where j.source = s.source and j.event_id = v.ref) from v, sources s
        union select v.ref, (select j.seq from journal j
            where j.source = s.source and j.event_id = substr(v.ref, length(s.source) + 2))
            from v join sources s on starts_with(v.ref, s.source || '/')
    )
    select n.ref, d.id from named n join dead_letters d using (seq)
    union select v.ref, d.id from v join dead_letters d on d.id = v.uuid
    union select v.ref, d.id from v join dead_letters d on d.effect_id = v.uuid
""")


def ids_of(conn: Connection, names: Sequence[str]) -> dict[str, list[str]]:
    """The ids of the letters that each name may mean, by the name: journal number, id, effect's id, source/id or event id."""
    found: dict[str, list[str]] = {}
    for row in conn.execute(
        _BY_NAME, columns(_NAMES, _KINDS, [(name, _seq_of(name), uuid_of(name)) for name in names])
    ):
        found.setdefault(row.ref, []).append(row.id)
    return found


def _seq_of(name: str) -> int | None:
    """The journal number that the name may be."""
    return int(name) if name.isascii() and name.isdigit() and name[0] != "0" and len(name) < 19 else None
