"""The relay finds what the streams have lost, and rings for what waits.

After a flush of Redis, or a lost publication, the journal still has every event and knows which have no result. For
each shard whose stream runs low the relay looks for the oldest undecided event that is not there, and notes the shard
as behind it: from there on the drain reads the journal. Then it rings once per RING_FOR entries that wait, whoever put
them in: who answers a bell looks at every stream.

`relay_marks` holds, a shard, the number up to which everything is decided, so that looking costs what is
open and not what is old. A mark moves only over numbers that no running transaction can still commit
(`relay_horizon`): sequences hand out numbers in another order than commits.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from journal.streams import Streams, bells_for
from storage.literals import array, columns, unnest

SETTLING_S = 1.5  # an event younger than this is on its way through its publisher
LOW_WATER = 4  # a stream with 1/LOW_WATER of its cap has enough to do: what it may lack is looked for later
log = logging.getLogger(__name__)

# Every number up to next_seq was drawn by a transaction that began before next_at; once none of those
# runs any more, all that will ever be visible up to there is visible.
_HORIZON = text("""
    with oldest as (
        select coalesce(min(xact_start), 'infinity') as began from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
    )
    update relay_horizon h set
        safe_seq = case when oldest.began > h.next_at then h.next_seq else h.safe_seq end,
        next_seq = case when oldest.began > h.next_at then (select last_value from journal_seq) else h.next_seq end,
        next_at = case when oldest.began > h.next_at then clock_timestamp() else h.next_at end
    from oldest returning h.safe_seq
""")
# Of each shard one more than its stream holds: so if any is missing there, one of them is.
_UNDECIDED = text(f"""
    select m.shard, m.seq as mark, u.seqs, u.young from {unnest(("shard", "most"), ("smallint", "integer"))}
    join relay_marks m using (shard) cross join lateral (
        select array_agg(o.seq order by o.seq) as seqs, array_agg(o.seq) filter (where o.is_young) as young from (
            select j.seq, j.accepted_at >= clock_timestamp() - make_interval(secs => :settling) as is_young
            from journal j where j.shard = m.shard and j.seq > m.seq
            and not exists (select from results r where r.seq = j.seq)
            order by j.seq limit v.most) o
    ) u
""")
# A replay may have put a mark back meanwhile (`was` differs): then it stays there.
_MOVE_MARKS = text(
    f"update relay_marks m set seq = v.seq from {unnest(('shard', 'was', 'seq'), ('smallint', 'bigint', 'bigint'))} "
    "where m.shard = v.shard and m.seq = v.was"
)


@dataclass(slots=True)
class Relayed:
    """What one round of the relay did."""

    behind: int = 0  # shards whose streams had lost something
    rung: int = 0


def relay(engine: Engine, streams: Streams) -> Relayed:
    """One round over all shards: find what is missing, ring what waits."""
    done = Relayed()
    # In this order: what is neither behind nor in its stream, and has no result after that, is missing.
    look = streams.look()
    low = [shard for shard, length in enumerate(look.lengths) if length < streams.cap // LOW_WATER]
    held = streams.numbers([shard for shard in low if look.lengths[shard]])
    with engine.begin() as conn:
        horizon = conn.execute(_HORIZON).scalar_one()
        most = [len(held.get(shard, ())) + 1 for shard in low]
        values = {"shard": array(low, "smallint"), "most": array(most, "integer"), "settling": SETTLING_S}
        found = conn.execute(_UNDECIDED, values).all()
        _move_marks(conn, [(shard, mark, seqs) for shard, mark, seqs, _ in found], horizon)
    for shard, _, seqs, young in found:
        there = held.get(shard, set()) | set(young or ())  # young: its publisher is about to add it
        missing = next((seq for seq in seqs or () if seq not in there), None)
        if missing is not None and missing <= look.behind.get(shard, missing):
            streams.fall_behind(shard, missing - 1)
            log.info("relay: shard %d is behind from event %d on", shard, missing)
            done.behind += 1
    look = streams.look()
    for shard in look.waiting()[: bells_for(sum(look.lengths) + streams.cap * len(look.behind))]:
        streams.ring(shard)
        done.rung += 1
    return done


def _move_marks(conn: Connection, found: list[tuple[int, int, list[int] | None]], horizon: int) -> None:
    moved = []
    for shard, mark, seqs in found:
        decided = min(horizon, seqs[0] - 1) if seqs else horizon
        if decided > mark:
            moved.append((shard, mark, decided))
    if moved:
        names, kinds = ("shard", "was", "seq"), ("smallint", "bigint", "bigint")
        conn.execute(_MOVE_MARKS, columns(names, kinds, moved))


_OPEN = text("""
    select count(*) from relay_marks m join journal j on j.shard = m.shard and j.seq > m.seq
    where not exists (select from results r where r.seq = j.seq)
""")


def undecided(conn: Connection) -> int:
    """How many accepted events have no result yet (parked is a result). Costs what is open, not what is old."""
    return int(conn.execute(_OPEN).scalar_one())
