"""What answers a doorbell: batches of the ringing shards, each shard under its lock, until the slice ends.

1. delete the doorbell's key: a ring from here on rings again; look how many entries each shard has
2. lock the shard (PostgreSQL's advisory lock: it dies with the connection); not ours → leave
3. read what is pending (a predecessor died between commit and acknowledgement), and what is new
4. settle the batch in one transaction; acknowledge and delete its entries
5. after letting go, look again: go on until the shard is empty or the slice ends; ring the others that have entries

The lock only keeps a shard's events in order and workers out of each other's way; row locks and the
results' key are what promise 2 rests on. A batch takes what is waiting, so it grows with the backlog
and shrinks when idle; it is filled from several shards, since one seldom has a full batch waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import redis
from sqlalchemy import Connection, Engine

from domain.policy import Context, Policy
from journal.batch import Report, Shop, clock, is_of_the_moment, settle, settle_carefully
from journal.entries import Entry, decode, number_of, read
from journal.streams import Streams
from storage.hot import Statement
from storage.literals import array

SLICE_S = 2.0  # then the other shards' doorbells have their turn
BATCH = 512  # entries of one commit at most
PER_SHARD = 16  # a batch is spread over BATCH / PER_SHARD shards at most
BATCH_BYTES = 8_000_000  # of bodies, so that large ones do not fill the memory
TRIES = 5  # of one batch, against deadlocks and rivals, before it is left to the next ring
LOCK_SPACE = 77_001  # first key of the shards' advisory locks

log = logging.getLogger(__name__)
_LOCKS = Statement(
    f"select s from unnest(cast(:shards as integer[])) s where pg_try_advisory_xact_lock({LOCK_SPACE}, s)"
)

Names = dict[int, list[bytes]]  # shard → the stream's names of entries


@dataclass(slots=True)
class Drain:
    """One worker's way to answer doorbells."""

    engine: Engine
    streams: Streams
    policy: Policy
    shop: Shop
    batch: int = BATCH

    def answer(self, shard: int, slice_s: float = SLICE_S) -> Report:
        """Drain `shard`, and others that ring beside it, until it is empty or the slice ends.

        May be lost, doubled or killed at any line: entries leave the stream only after their results commit.
        """
        lengths = self.streams.answer(shard)
        until = monotonic() + slice_s
        total = Report()
        held: set[int] = set()  # shards that we locked at any time: whoever found one taken leaves it to us
        while lengths[shard]:
            report = self._batch(shard, self._window(shard, lengths), held)
            lengths = self.streams.lengths()  # after letting go: what came meanwhile is ours to see
            if report is None:  # another worker holds it
                break
            total.known += report.known
            for outcome, count in report.outcomes.items():
                total.outcomes[outcome] = total.outcomes.get(outcome, 0) + count
            if monotonic() > until:
                break
        for each in sorted(held):
            if lengths[each]:
                self.streams.ring(each)
        return total

    def _window(self, shard: int, lengths: Sequence[int]) -> dict[int, int]:
        """The shard, then others with entries, in turn, as many as fill a batch: shard → entries in its stream."""
        window, waiting = {shard: lengths[shard]}, lengths[shard]
        for other in ((shard + i) % len(lengths) for i in range(1, len(lengths))):
            if waiting >= self.batch or len(window) * PER_SHARD >= self.batch:
                break
            if lengths[other]:
                window[other] = lengths[other]
                waiting += lengths[other]
        return window

    def _batch(self, shard: int, window: Mapping[int, int], held: set[int]) -> Report | None:
        """Settle one batch. None: nothing was there, or the shard is another worker's."""
        careful, seen = False, frozenset(held)
        for attempt in range(1, TRIES + 1):
            try:
                with self.engine.begin() as conn:
                    found = self._read(conn, shard, window, held, seen)
                    if found is None:
                        return None
                    entries, names = found
                    way = settle_carefully if careful else settle
                    report = way(conn, entries, Context(clock(), self.policy), self.shop)
            except redis.RedisError:
                raise
            except Exception as error:
                passing, seen = is_of_the_moment(error), frozenset()
                if (careful and not passing) or (passing and attempt == TRIES):
                    raise
                careful = careful or not passing
                log.info("drain again, %s: %s", "batch in parts" if careful else "the same batch", error)
            else:
                self.streams.finish(names)
                return report
        return None

    def _read(
        self, conn: Connection, shard: int, window: Mapping[int, int], touched: set[int], seen: Collection[int]
    ) -> tuple[list[Entry], Names] | None:
        """Entries of the shards that we could lock, and their names in the streams.

        What a predecessor read and did not finish is read again, but in shards whose entries we have `seen`.
        """
        held = [row[0] for row in _LOCKS.run(conn, {"shards": array(list(window), "integer")})]
        touched.update(held)
        if shard not in held:
            return None
        count = _share([window[each] for each in held], self.batch)
        found = self.streams.read(held, count, again=[s for s in held if s not in seen])
        if not found:
            return None
        entries: list[Entry] = []
        large: list[int] = []
        names: Names = {s: [] for s in found}
        room = BATCH_BYTES
        for each, waiting in found.items():
            for name, fields in waiting:
                if not fields:  # deleted before it was acknowledged
                    names[each].append(name)
                    continue
                seq, size = number_of(fields)
                if room <= 0:
                    break
                room -= size
                names[each].append(name)
                entry = decode(fields, each)
                if entry is None:
                    large.append(seq)
                else:
                    entries.append(entry)
        entries += read(conn, large)
        entries.sort(key=_seq)
        return _once(entries), names


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
    return [entry for i, entry in enumerate(entries) if i == 0 or entries[i - 1].seq != entry.seq]


def _seq(entry: Entry) -> int:
    return entry.seq
