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

from journal.entries import read
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
    select m.shard, m.seq as mark, (
        select array_agg(u.seq order by u.seq) from (
            select j.seq from journal j where j.shard = m.shard and j.seq > m.seq
            and not exists (select from results r where r.seq = j.seq)
            order by j.seq limit :most) u
    ) from relay_marks m where m.shard = any(cast(:shards as smallint[]))
""")
_OLD_ENOUGH = text(
    "select seq from journal where seq = any(cast(:seqs as bigint[])) "
    "and accepted_at < clock_timestamp() - make_interval(secs => :settling)"
)
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
        found = conn.execute(_UNDECIDED, {"shards": array(low, "smallint"), "most": streams.cap}).all()
        _move_marks(conn, [(shard, mark, seqs) for shard, mark, seqs in found], horizon)
    for shard, _, seqs in found:
        missing = sorted(set(seqs or ()) - (streams.numbers(shard) if lengths[shard] else set()))
        if missing:
            done.undecided += len(missing)
            done.added += _top_up(engine, streams, shard, missing)
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


def _top_up(engine: Engine, streams: Streams, shard: int, missing: list[int]) -> int:
    """Add a shard's missing events, oldest first, while there is room. Those still settling are left out."""
    room = max(0, streams.cap - len(streams.numbers(shard)))
    added = 0
    with engine.connect() as conn:
        old = conn.execute(_OLD_ENOUGH, {"seqs": array(missing, "bigint"), "settling": SETTLING_S}).scalars()
        take = sorted(old)[:room]
        for start in range(0, len(take), 500):
            entries = read(conn, take[start : start + 500])
            streams.add(shard, entries, topping_up=True)
            added += len(entries)
    if added:
        log.info("relay: %d events back into shard %d", added, shard)
    return added


_OPEN = text("""
    select count(*) from relay_marks m join journal j on j.shard = m.shard and j.seq > m.seq
    where not exists (select from results r where r.seq = j.seq)
""")


def undecided(conn: Connection) -> int:
    """How many accepted events have no result yet (parked is a result). Costs what is open, not what is old."""
    return int(conn.execute(_OPEN).scalar_one())
