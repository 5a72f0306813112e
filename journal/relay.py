"""The relay finds what the streams have lost, and rings for what waits.

After a flush of Redis, or a lost publication, the journal still has every event and knows which have no result. For
each shard whose stream runs low the relay looks for the oldest undecided event that is not there, and notes the shard
as behind it: from there on the drain reads the journal. Then it rings once per RING_FOR entries that wait, whoever put
them in: who answers a bell looks at every stream.

`relay_marks` holds, per shard, how far it was looked at and what was found open until there, so that looking costs
what is open and what came since, not what is old. A mark moves only over numbers that no running transaction can
still commit (`relay_horizon`): sequences hand out numbers in another order than commits. Whoever appends holds a lock
from before its first number until after its commit (decision 0018); no other transaction, however long, matters.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from journal.streams import Streams, bells_for
from storage.pg_arrays import array, columns, unnest
from storage.tables import APPENDERS

SETTLING_S = 1.5  # an event younger than this is on its way through its publisher
LOW_WATER = 4  # a stream with 1/LOW_WATER of its cap has enough to do: what it may lack is looked for later
OPEN = 64  # undecided numbers that a mark may pass, per shard
ROUND = 77_003  # first key of the advisory lock of a round, the second is 0
log = logging.getLogger(__name__)

# The last number drawn, for the one round that runs; no row where another round does.
_DRAWN = text(
    f"select case when is_called then last_value else 0 end from journal_seq where pg_try_advisory_xact_lock({ROUND}, 0)"
)
# To be run after that: who has drawn such a number, and runs still, is among those that append now. Once none of them
# does any more, all that will ever be visible up to `drawn` is visible to the next statement.
_HORIZON = text(f"""
    with running as (
        select coalesce(array_agg(virtualtransaction), '{{}}') as ids from pg_locks
        where locktype = 'advisory' and (classid, objid, objsubid) = ({APPENDERS}, 0, 2)
          and database = (select oid from pg_database where datname = current_database())
    )
    update relay_horizon h set
        safe_seq = case when h.appenders && r.ids then h.safe_seq else greatest(h.safe_seq, h.drawn) end,
        drawn = case when h.appenders && r.ids then h.drawn else :drawn end,
        appenders = case when h.appenders && r.ids then h.appenders else r.ids end
    from running r returning h.safe_seq
""")
# What is open still of what was looked at, and `most` of the rest. Of each shard one more than its stream holds: so if
# any is missing there, one of them is.
_UNDECIDED = text(f"""
    select m.shard, m.seq as mark, m.above, m.open, v.most, u.seqs, u.young
    from {unnest(("shard", "most"), ("smallint", "integer"))} join relay_marks m using (shard) cross join lateral (
        select array_agg(o.seq order by o.seq) as seqs, array_agg(o.seq) filter (where o.is_young) as young from (
            select j.seq, j.accepted_at >= clock_timestamp() - make_interval(secs => :settling) as is_young from journal j
            where j.seq = any(m.open) and j.seq > m.seq and j.seq <= m.above
            and not exists (select from results r where r.seq = j.seq)
            union all
            (select j.seq, j.accepted_at >= clock_timestamp() - make_interval(secs => :settling)
            from journal j where j.shard = m.shard and j.seq > m.above
            and not exists (select from results r where r.seq = j.seq)
            order by j.seq limit v.most)
        ) o
    ) u
""")
# A replay may have put a mark back meanwhile (`was` differs): then it stays there. One that holds its mark is not
# waited for.
_MOVED = (("shard", "was", "seq", "looked", "open"), ("smallint", "bigint", "bigint", "bigint", "text[]"))
_MOVE_MARKS = text(f"""
    with free as (
        select v.* from {unnest(*_MOVED)} join relay_marks m on m.shard = v.shard and m.seq = v.was
        for update of m skip locked
    )
    update relay_marks m set seq = f.seq, looked = f.looked, open = cast(f.open as bigint[])
    from free f where m.shard = f.shard
""")


@dataclass(slots=True)
class Relayed:
    """The counts of one round of the relay."""

    behind: int = 0  # shards whose streams had lost something
    rung: int = 0


def relay(engine: Engine, streams: Streams) -> Relayed:
    """One round over all shards: find what is missing, ring what waits. Where another round looks, it only rings."""
    done = Relayed()
    # In this order: what is neither behind nor in its stream, and has no result after that, is missing.
    look = streams.look()
    low = [shard for shard, length in enumerate(look.lengths) if length < streams.cap // LOW_WATER]
    held = streams.numbers([shard for shard in low if look.lengths[shard]])
    most = {shard: len(held.get(shard, ())) + 1 for shard in range(len(look.lengths))}
    with engine.begin() as conn:
        found = _look(conn, most)
    for shard, seqs, young in found:
        if shard not in low:
            continue
        there = held.get(shard, set()) | young  # young: its publisher is about to add it
        missing = next((seq for seq in seqs if seq not in there), None)
        if missing is not None and missing <= look.behind.get(shard, missing):
            streams.fall_behind(shard, missing - 1)
            log.info("relay: shard %d is behind from event %d on", shard, missing)
            done.behind += 1
    look = streams.look()
    for shard in look.waiting()[: bells_for(sum(look.lengths) + streams.cap * len(look.behind))]:
        streams.ring(shard)
        done.rung += 1
    return done


def _look(conn: Connection, most: Mapping[int, int]) -> list[tuple[int, list[int], set[int]]]:
    """Each shard's oldest undecided numbers, and which of them are young; marks are moved over what is decided.

    Nothing where another round looks at the same time.
    """
    drawn = conn.execute(_DRAWN).scalar()
    if drawn is None:
        return []
    horizon = conn.execute(_HORIZON, {"drawn": drawn}).scalar_one()
    values = {"shard": array(list(most), "smallint"), "most": array(list(most.values()), "integer")}
    rows = conn.execute(_UNDECIDED, {**values, "settling": SETTLING_S}).all()
    _move_marks(conn, [row[:-1] for row in rows], horizon)
    return [(shard, seqs or [], set(young or ())) for shard, *_, seqs, young in rows]


Looked = tuple[int, int, int, list[int], int, list[int] | None]  # shard, mark, above, open, most, undecided numbers


def _move_marks(conn: Connection, found: Iterable[Looked], horizon: int) -> None:
    moved = []
    for shard, mark, above, before, most, undecided in found:
        seqs = undecided or []
        looked = horizon
        if seqs and sum(seq > above for seq in seqs) == most:  # there may be more behind the last of them
            looked = min(looked, seqs[-1])
        if len(seqs) > OPEN:
            looked = min(looked, seqs[OPEN] - 1)
        if looked < above:
            continue
        still = [seq for seq in seqs if seq <= looked]
        decided = still[0] - 1 if still else looked
        if (decided, looked, still) != (mark, above, before):
            moved.append((shard, mark, decided, looked, still))
    if moved:
        conn.execute(_MOVE_MARKS, columns(*_MOVED, moved))


_COUNT = text("select count(*) from undecided")


def undecided(conn: Connection) -> int:
    """The number of accepted events that have no result yet (parked is a result). Costs what is open, not what is old."""
    return int(conn.execute(_COUNT).scalar_one())
