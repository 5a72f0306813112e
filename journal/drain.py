"""The answer to a doorbell: batches of whatever shards have entries, each shard under its lock, until the slice ends.

1. delete the doorbell's key: a ring from here on rings again; read the shard, and where it has more than a few
   entries, or none, look how many each shard has
2. lock the shards of a batch (PostgreSQL's advisory locks: they die with the connection); leave those we do not get
3. read their oldest entries, unless 1 brought them: they stay in the stream until their results are committed. A shard
   that is behind, and whose stream is done, is read in the journal
4. settle the batch in one transaction; delete its entries, and note how far the journal was read. Entries that wait
   for a row which somebody else holds are left to the relay (journal/lock_waits.py)
5. after letting go, look again, at all shards: go on until nothing waits or the slice ends, and then ring

So one ring is enough for any number of shards, and who finds a shard taken may leave it: its holder looks
again after letting go. The locks only keep a shard's events in order and workers out of each other's way; row
locks and the results' key are what promise 2 rests on. A batch takes what is waiting, so it grows with the
backlog and shrinks when idle; it is filled from several shards, since one seldom has a full batch waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from time import monotonic

import redis
from sqlalchemy import Connection, Engine

from domain.policy import Context, Policy
from domain.weight import is_large
from journal import batch_meters, pauses
from journal.batch import (
    BatchReport,
    Deferral,
    Shop,
    clock,
    is_of_the_moment,
    settle,
    settle_carefully,
    waited_too_long,
)
from journal.entries import Entry, decode, read, undecided_after
from journal.lock_waits import PATIENCE_MS, LockWaits
from journal.pauses import ANY_EVENTS, NOTHING
from journal.streams import Look, Streams, Waiting
from storage.pg_arrays import array
from storage.raw_sql import Statement

SLICE_S = 0.5  # then the other shards' doorbells, and the chores, have their turn
BATCH = 512  # entries of one commit at most
PER_SHARD = 16  # a batch is spread over BATCH / PER_SHARD shards at most
FEW = 4  # entries that are settled at once, as they were rung for; more are worth a look at the other shards first
BATCH_BYTES = 512_000  # of bodies: what lists many items is as much work as hundreds of usual events
WORK = 10_000  # lines of orders that the events of one batch are about, before heavy ones are left for the next
SLOW_S = 0.25  # a batch that takes longer, and holds a large order, was slow because of it
TRIES = 5  # of one batch, against deadlocks and rivals, before it is left to the next ring
LOCK_SPACE = 77_001  # first key of the shards' advisory locks

log = logging.getLogger(__name__)
# What a drain commits follows from the journal, so it need not wait for the disk (decision 0012): a crash of
# PostgreSQL costs the last fractions of a second of it, which the relay brings back.
_LOCKS = Statement(
    f"select s, {ANY_EVENTS}, set_config('synchronous_commit', 'off', true), "
    f"set_config('lock_timeout', '{PATIENCE_MS}ms', true) from unnest(cast(:shards as integer[])) s "
    f"where pg_try_advisory_xact_lock({LOCK_SPACE}, s)"
)


@dataclass(slots=True)
class _Batch:
    """What was read, by number, and where: what the streams learn once it is committed."""

    entries: list[Entry] = field(default_factory=list)
    large: list[int] = field(default_factory=list)  # numbers of those whose bodies are read last
    room: int = BATCH_BYTES
    # shard → entries of its stream, and their numbers
    names: dict[int, list[tuple[bytes, int]]] = field(default_factory=dict)
    passed: dict[int, tuple[int, int]] = field(default_factory=dict)  # shard → read in the journal: above, up to
    paused: bool = False  # some events rest


@dataclass(slots=True)
class Drain:
    """One worker's way to answer doorbells."""

    engine: Engine
    streams: Streams
    policy: Policy
    shop: Shop
    batch: int = BATCH
    waits: LockWaits = field(default_factory=LockWaits)
    _slow: set[int] = field(default_factory=set)  # shards with a large order, which are drained each by itself
    _owed_s: float = 0.0  # how long the other shards have their turn before the next slow one

    def answer(self, shard: int, slice_s: float = SLICE_S) -> BatchReport:
        """Drain `shard`, and others that ring beside it, until it is empty or the slice ends.

        May be lost, doubled or killed at any line: entries leave the stream only after their results commit.
        """
        until = monotonic() + slice_s
        total = BatchReport()
        taken: set[int] = set()  # by other workers, which look again after letting go
        few = min(FEW, self.batch)
        ahead = self.streams.answer(shard, few + 1)
        window = {each: len(found) for each, found in ahead.items() if len(found) <= few}
        look = Look([], {})  # what was rung for is here: no need to
        if not window:
            ahead = {}
            look = self.streams.look()
            window = self._window(shard, look, taken)
        while window:
            report, look = self._batch(window, look.behind, taken, ahead)
            total.add_counts(report)
            shard = (list(window)[-1] + 1) % len(look.lengths)  # the others' turn
            if monotonic() > until:
                if left := self._window(shard, look, ()):
                    self.streams.ring(next(iter(left)))
                break
            ahead = {}
            window = self._window(shard, look, taken)
        return total

    def _window(self, first: int, look: Look, taken: Collection[int]) -> dict[int, int]:
        """Shards with entries, in turn from the first, as many as fill a batch: shard → entries that wait.

        One that is slow has a batch of its own, and half of the time at most, as long as others wait.
        """
        window: dict[int, int] = {}
        waiting = 0
        slow: dict[int, int] = {}
        shards = len(look.lengths)
        for shard in ((first + i) % shards for i in range(shards)):
            if waiting >= self.batch or len(window) * PER_SHARD >= self.batch:
                break
            here = look.lengths[shard] or (self.batch if shard in look.behind else 0)
            if here and shard not in taken:
                if shard in self._slow:
                    slow[shard] = here
                    continue
                window[shard] = here
                waiting += here
        if slow and (not window or self._owed_s <= 0):
            return dict([next(iter(slow.items()))])
        return window

    def _batch(
        self, window: Mapping[int, int], behind: Mapping[int, int], taken: set[int], ahead: Waiting
    ) -> tuple[BatchReport, Look]:
        """Settle one batch: (what it came to, a look after letting go: what came meanwhile is ours to see).

        `taken` learns which shards are another worker's, or keep what waits for a held row. `ahead` is what was read of the window before: whatever of
        it was decided meanwhile is found to have a result.
        """
        careful, around = False, bool(self.waits)
        for attempt in range(1, TRIES + 1):
            begun = monotonic()
            try:
                with self.engine.begin() as conn:
                    batch = self._read(conn, window, behind, taken, ahead)
                    if not batch.entries and not batch.names:
                        break
                    context = Context(clock(), self.policy)
                    ripe, resting = self.waits.ripe(batch.entries), NOTHING
                    if batch.paused:
                        resting = pauses.in_force(conn)
                        ripe = pauses.set_aside(conn, ripe, resting, self.shop.policy_id)
                    if careful:
                        report = settle_carefully(conn, ripe, context, self.shop, around=around, resting=resting)
                    else:
                        deferral = Deferral(around, WORK, resting=resting)
                        report = settle(conn, ripe, context, self.shop, deferral)
                    self.waits.note(conn, ripe, report.left, report.held)
                    stay = self.waits.first(batch.entries)
            except redis.RedisError:
                raise
            except Exception as error:
                for shard in window.keys() & behind.keys():  # this may have been taken for its last
                    self.streams.fall_behind(shard, behind[shard])
                passing, waited = is_of_the_moment(error), waited_too_long(error)
                if (careful and not passing) or (passing and attempt == TRIES):
                    raise
                careful = careful or not passing or (waited and around)
                around = around or waited
                log.info("drain again, %s: %s", "batch in parts" if careful else "the same batch", error)
            else:
                took_s = monotonic() - begun
                self._pace(window, report, took_s)
                batch_meters.count(self.engine, batch.entries, report, took_s)
                if report.copies:
                    self.streams.publish(report.copies)
                    report.copies = []
                if resting.types:  # a follow-up may be of such a type: whoever drains it sees
                    self.streams.publish(report.follow_ups)
                if stay:
                    taken.update(entry.shard for entry in batch.entries if entry.seq in stay)
                return report, self._finish(batch, stay | report.rest)
        return BatchReport(), self.streams.look()

    def _pace(self, window: Mapping[int, int], report: BatchReport, took_s: float) -> None:
        """Learn from a batch which shards are slow: those whose large orders made it long."""
        if len(window) == 1 and self._slow.issuperset(window):
            self._owed_s = took_s
            if took_s <= SLOW_S / 2:
                self._slow -= window.keys()
            return
        self._owed_s -= took_s
        if took_s > SLOW_S:
            self._slow |= {order.shard for order in report.orders.values() if is_large(order)} & window.keys()

    def _finish(self, batch: _Batch, left: Collection[int]) -> Look:
        """Tell the streams what is done; what was left stays where it is."""
        done = {
            shard: [name for name, seq in names if seq not in left] if left else [name for name, _ in names]
            for shard, names in batch.names.items()
        }
        for shard, (after, last) in batch.passed.items():
            waits = [e.seq for e in batch.entries if e.shard == shard and after < e.seq <= last and e.seq in left]
            if waits:
                self.streams.fall_behind(shard, after)  # this may have been taken for its last
                batch.passed[shard] = (after, min(waits) - 1)
        return self.streams.finish({shard: names for shard, names in done.items() if names}, batch.passed)

    def _read(
        self, conn: Connection, window: Mapping[int, int], behind: Mapping[int, int], taken: set[int], ahead: Waiting
    ) -> _Batch:
        """Entries of the shards that we could lock."""
        batch = _Batch()
        locked = _LOCKS.run(conn, {"shards": array(list(window), "integer")})
        held = [row[0] for row in locked]
        batch.paused = any(row[1] for row in locked[:1])
        taken.update(window.keys() - set(held))
        if not held:
            return batch
        share = _share([window[each] for each in held], self.batch)
        found = ahead or self.streams.read(held, share)
        room, entries = batch.room, batch.entries
        for shard, waiting in found.items():
            names = []
            for name, event in waiting:
                if room <= 0:
                    break
                seq, size, entry = decode(event, shard)
                room -= size
                names.append((name, seq))
                if entry is None:
                    batch.large.append(seq)
                else:
                    entries.append(entry)
            if names:
                batch.names[shard] = names
        batch.room = room
        for shard in held:
            if shard in behind and shard not in found:
                self._read_behind(conn, batch, shard, behind[shard], share)
        batch.entries += read(conn, batch.large)
        batch.entries.sort(key=_seq)
        batch.entries = _once(batch.entries)
        return batch

    def _read_behind(self, conn: Connection, batch: _Batch, shard: int, after: int, count: int) -> None:
        """Entries that wait in the journal alone."""
        most = BATCH_BYTES // self.batch
        found = undecided_after(conn, shard, after, count, most)
        ends = len(found) < count
        if ends:
            # What is published from here on is added to the stream; what was left in the journal before is committed.
            self.streams.caught_up(shard, after)
            found = undecided_after(conn, shard, after, count, most)
        last = after
        for entry in found:
            if batch.room <= 0:
                break
            batch.room -= entry.size
            if entry.size > most:
                batch.large.append(entry.seq)
            else:
                batch.entries.append(entry)
            last = entry.seq
        batch.passed[shard] = (after, last)
        if ends and found and (len(found) == count or found[-1].seq > last):  # it does not, after all
            self.streams.fall_behind(shard, after)


def _share(lengths: Sequence[int], room: int) -> int:
    """How many entries of each stream fill `room`: short streams leave theirs to long ones."""
    left, streams = room, len(lengths)
    for length in sorted(lengths):
        if length * streams >= left:
            break
        left -= length
        streams -= 1
    return max(1, left // max(1, streams))


def _once(entries: list[Entry]) -> list[Entry]:
    """An entry that stands in the stream twice is read once."""
    return list({entry.seq: entry for entry in entries}.values())


_seq = attrgetter("seq")
