"""The relay puts undecided events back into the streams: repair and top-up in one component.

After a flush of Redis, a lost publication, or a backlog larger than the streams, the journal still has
every event and knows which have no result. For each shard whose stream runs low the relay adds its oldest
undecided events, in journal order. Then it rings once per RING_FOR entries that wait, whoever put them in: who
answers a bell looks at every stream.

`relay_marks` holds, a shard, the number up to which everything is decided, so that looking costs what is
open and not what is old. A mark moves only over numbers that no running transaction can still commit
(`relay_horizon`): sequences hand out numbers in another order than commits.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from journal.entries import INLINE_BYTES, read
from journal.streams import Streams, bells_for
from storage.literals import array, columns, unnest

SETTLING_S = 1.5  # an event younger than this is on its way through its publisher
LOW_WATER = 4  # top up below 1/LOW_WATER of a stream's cap
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
_UNDECIDED = text("""
    select m.shard, m.seq as mark, u.seqs, u.young from relay_marks m cross join lateral (
        select array_agg(o.seq order by o.seq) as seqs, array_agg(o.seq) filter (where o.is_young) as young from (
            select j.seq, j.accepted_at >= clock_timestamp() - make_interval(secs => :settling) as is_young
            from journal j where j.shard = m.shard and j.seq > m.seq
            and not exists (select from results r where r.seq = j.seq)
            order by j.seq limit :most) o
    ) u where m.shard = any(cast(:shards as smallint[]))
""")
# A replay may have put a mark back meanwhile (`was` differs): then it stays there.
_MOVE_MARKS = text(
    f"update relay_marks m set seq = v.seq from {unnest(('shard', 'was', 'seq'), ('smallint', 'bigint', 'bigint'))} "
    "where m.shard = v.shard and m.seq = v.was"
)


@dataclass(slots=True)
class Relayed:
    """What one round of the relay did."""

    added: int = 0
    rung: int = 0
    undecided: int = 0  # at most the streams' caps are looked at


def relay(engine: Engine, streams: Streams) -> Relayed:
    """One round over all shards: repair what is missing, top up what runs low, ring what waits."""
    done = Relayed()
    lengths = streams.lengths()
    low = [shard for shard, length in enumerate(lengths) if length < streams.cap // LOW_WATER]
    with engine.begin() as conn:
        horizon = conn.execute(_HORIZON).scalar_one()
        values = {"shards": array(low, "smallint"), "most": streams.cap, "settling": SETTLING_S}
        found = conn.execute(_UNDECIDED, values).all()
        _move_marks(conn, [(shard, mark, seqs) for shard, mark, seqs, _ in found], horizon)
    for shard, _, seqs, young in found:
        held = streams.numbers(shard) if lengths[shard] else set()
        missing = [seq for seq in seqs or () if seq not in held]
        done.undecided += len(missing)
        settling = set(young or ())  # their publisher is about to
        take = [seq for seq in missing if seq not in settling][: max(0, streams.cap - len(held))]
        if take:
            _top_up(engine, streams, shard, take)
            done.added += len(take)
        if len(seqs or ()) < streams.cap and streams.is_behind(shard):
            streams.caught_up(shard)
    lengths = streams.lengths()
    waiting = [shard for shard, length in enumerate(lengths) if length]
    for shard in waiting[: bells_for(sum(lengths))]:
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


def _top_up(engine: Engine, streams: Streams, shard: int, seqs: list[int]) -> None:
    """Add these events to a shard's stream."""
    with engine.connect() as conn:
        for start in range(0, len(seqs), 500):
            streams.add(shard, read(conn, seqs[start : start + 500], INLINE_BYTES), topping_up=True)
    log.info("relay: %d events back into shard %d", len(seqs), shard)


_OPEN = text("""
    select count(*) from relay_marks m join journal j on j.shard = m.shard and j.seq > m.seq
    where not exists (select from results r where r.seq = j.seq)
""")


def undecided(conn: Connection) -> int:
    """How many accepted events have no result yet (parked is a result). Costs what is open, not what is old."""
    return int(conn.execute(_OPEN).scalar_one())
