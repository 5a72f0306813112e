"""Accept envelopes: each is journaled once, and a repeated delivery is counted at this door and only here.

Runs in the caller's transaction, together with whatever caused the event; publish after its commit.
Names, addresses and notes are taken out of the body into a row of `personal` that the body refers to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson
from sqlalchemy import Connection

from domain.ids import fresh
from events.catalogue import NAMES_PERSONAL, PERSONAL_FIELDS, route_of
from events.envelope import Envelope
from journal.entries import Entry, shard_of
from journal.pauses import ANY_EVENTS
from storage.clock import clock
from storage.pg_arrays import cast, columns, unnest
from storage.raw_sql import Statement
from telemetry import traces
from telemetry.meters import ACCEPTED

# The journal's columns but its number, and their types.
NAMES = ("source", "event_id", "type", "version", "time", "subject", "shard", "held", "data", "digest")
KINDS = ("text", "text", "text", "integer", "timestamptz", "text", "smallint", "boolean", "jsonb", "bytea")
_NEW = (
    f"insert into journal ({', '.join(NAMES)}) "
    f"select {', '.join(cast(n, k) for n, k in zip(NAMES, KINDS, strict=True))} "
    f"from {unnest(NAMES, KINDS)} order by v.ordinal "
    "on conflict (source, event_id) do nothing returning seq, source, event_id, {rest} as some_rest"
)
# The same, with the personal fields of those that are new.
_PERSONAL = (("owner", "owned", "id", "fields"), ("text", "text", "uuid", "jsonb"))
_WITH_PERSONAL = (
    f"with fresh as ({_NEW}), kept as (insert into personal (id, fields) select v.id, cast(v.fields as jsonb) "
    f"from {unnest(*_PERSONAL)} join fresh on fresh.source = v.owner and fresh.event_id = v.owned) select * from fresh"
)
# By (with personal fields, with a look for pauses). Doors do without the look: they accept before an upgrade's migrations, too.
_INSERT = {
    (of_persons, looks): Statement(statement.replace("{rest}", ANY_EVENTS if looks else "false"))
    for of_persons, statement in ((False, _NEW), (True, _WITH_PERSONAL))
    for looks in (False, True)
}
_KNOWN = Statement(
    "select j.seq, j.source, j.event_id, j.digest from journal j join "
    f"{unnest(('source', 'event_id'), ('text', 'text'))} using (source, event_id)"
)
_COUNT_DUPLICATES = Statement(
    "insert into duplicates (seq, body_differs) select v.seq, v.body_differs "
    f"from {unnest(('seq', 'body_differs'), ('bigint', 'boolean'))}"
)


@dataclass(slots=True)
class Appended:
    """The outcome of a delivery of envelopes: the new entries in journal order, and the repeated ones."""

    new: list[Entry] = field(default_factory=list)
    duplicates: list[Envelope] = field(default_factory=list)
    body_differs: list[Envelope] = field(default_factory=list)  # those of `duplicates` with another body
    some_rest: bool = False  # a pause of events stood when the new ones were journaled, where that was looked for


def append(
    conn: Connection,
    envelopes: Sequence[Envelope],
    shards: int,
    *,
    effects_suppressed: bool = False,
    looks_for_pauses: bool = False,
) -> Appended:
    """Journal `envelopes`, in their order, in at most three statements for any number.

    `effects_suppressed` is for history (`held` in the tables): its orders' timers do not run and no effect of theirs goes out.
    `looks_for_pauses` is for who settles the events at once, and learns from the same statement whether any rest.
    Errors: OperationalError when PostgreSQL is away: nothing was accepted, tell the sender so.
    """
    if traces.tracer is None or not envelopes:
        return _append(conn, envelopes, shards, effects_suppressed, looks_for_pauses)
    with traces.span("journal append", events=len(envelopes)) as span:
        appended = _append(conn, envelopes, shards, effects_suppressed, looks_for_pauses)
        span.note(new=len(appended.new), duplicates=len(appended.duplicates))
        trace = traces.here()
        for entry in appended.new:
            entry.trace = trace
        return appended


def _append(
    conn: Connection, envelopes: Sequence[Envelope], shards: int, effects_suppressed: bool, looks_for_pauses: bool
) -> Appended:
    first: dict[tuple[str, str], Envelope] = {}
    again: list[Envelope] = []
    for envelope in envelopes:
        key = (envelope.source, envelope.id)
        if key in first:
            again.append(envelope)
        else:
            first[key] = envelope
    now = clock()
    rows, entries, personal = [], {}, []
    for key, envelope in first.items():
        data, fields = _without_personal(envelope.data)
        if fields:
            data["personal"] = fresh(now)
            if envelope.type in NAMES_PERSONAL:
                data["personalFields"] = sorted(fields)
            personal.append((*key, data["personal"], orjson.dumps(fields).decode()))
        body = orjson.dumps(data).decode()
        shard = shard_of(route_of(envelope.id, envelope.type, envelope.subject, data), shards)
        e = envelope
        rows.append((e.source, e.id, e.type, e.version, e.time, e.subject, shard, effects_suppressed, body, e.digest()))
        size = len(body.encode())
        entries[key] = Entry(
            0, e.source, e.id, e.type, e.version, e.time, e.subject, shard, effects_suppressed, data, size
        )
    appended = Appended()
    if rows:
        values = columns(NAMES, KINDS, rows)
        if personal:
            values |= columns(*_PERSONAL, personal)
        for seq, source, event_id, some_rest in _INSERT[bool(personal), looks_for_pauses].run(conn, values):
            entry = entries.pop((source, event_id))
            entry.seq, appended.some_rest = seq, some_rest
            appended.new.append(entry)
    appended.new.sort(key=lambda entry: entry.seq)
    if appended.new:
        ACCEPTED.add(len(appended.new), "no")
    again += [first[key] for key in entries]
    if again:
        _count(conn, again, appended)
    return appended


def _count(conn: Connection, again: list[Envelope], appended: Appended) -> None:
    keys = sorted({(e.source, e.id) for e in again})
    found = _KNOWN.run(conn, columns(("source", "event_id"), ("text", "text"), keys))
    known = {(source, event_id): (seq, bytes(digest)) for seq, source, event_id, digest in found}
    rows = []
    for envelope in again:
        seq, digest = known[envelope.source, envelope.id]
        differs = digest != envelope.digest()
        rows.append((seq, differs))
        appended.duplicates.append(envelope)
        if differs:
            appended.body_differs.append(envelope)
    ACCEPTED.add(len(again), "yes")
    _COUNT_DUPLICATES.run(conn, columns(("seq", "body_differs"), ("bigint", "boolean"), rows))


def _without_personal(data: dict[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """(the body without personal fields and without what only the journal says of them, the personal fields)."""
    if data.keys().isdisjoint(_TAKEN_OUT):
        return data, {}
    fields = {name: data[name] for name in PERSONAL_FIELDS if data.get(name) is not None}
    return {k: v for k, v in data.items() if k not in _TAKEN_OUT}, fields


_TAKEN_OUT = frozenset((*PERSONAL_FIELDS, "personal", "personalFields"))
