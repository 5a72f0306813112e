"""The trace of a drain's batch, and what later calls outward find of it. Only while traces are on (`telemetry.traces`).

An entry carries the span that accepted it through its stream, and into no table: what is read in the journal has none. A
refund or a delivery comes about in PostgreSQL and is made by a chore, whose message is about no order. So the batch leaves its
span by the order's id, and by the journal's number for those that ask a provider about a thin webhook. Key:

  orders:causes   a hash: slot → "name traceparent[ traceparent]"; its slots are used again, so it holds SLOTS of them at most
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping, Sequence
from time import monotonic

import redis

from journal.batch import BatchReport
from journal.entries import Entry
from telemetry import traces

CAUSES = "orders:causes"
SLOTS = 1 << 16  # of about 200 bytes: 15 MB at most
KEEP_S = 86_400  # after the last batch
AWAY_S = 30.0  # a Redis that failed is not asked for so long: a span is not worth waiting for

log = logging.getLogger(__name__)


def tell(entries: Sequence[Entry], report: BatchReport, took_s: float) -> None:
    """Make the span of a batch that was committed, where one of its events is traced; nothing of it fails the drain."""
    traced = [entry for entry in entries if traces.is_kept(entry.trace)][: traces.LINKS]
    if not traced:
        return
    origins: list[tuple[str, traces.Attributes]] = [
        (entry.trace or "", {"event_id": entry.event_id, "event_type": entry.type, "seq": entry.seq})
        for entry in traced
    ]
    outcomes = ", ".join(f"{outcome} {count}" for outcome, count in sorted(report.outcomes.items()))
    own = traces.batch("drain batch", took_s, origins, events=len(entries), outcome=outcomes)
    if traces.causes is not None:
        orders = {row.seq: row.order_id for row in report.results}
        kept = {}
        for entry in traced:
            # In the trace of its own event; of the first one's, the batch itself is a part.
            cause = own if traces.trace_id(entry.trace) == traces.trace_id(own) else f"{entry.trace} {own}"
            kept[str(entry.seq)] = cause
            if (order := orders.get(entry.seq)) is not None:
                kept[str(order)] = cause
        traces.causes.keep(kept)


class Causes:
    """The causes in Redis; what is lost there loses a connection in a picture, and nothing else."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._not_before = 0.0  # monotonic

    def keep(self, found: Mapping[str, str]) -> None:
        """Note the cause of each, by its name, in one round trip."""
        if monotonic() < self._not_before:
            return
        with self._client.pipeline(transaction=False) as pipe:
            pipe.hset(CAUSES, mapping={_slot(name): f"{name} {trace}" for name, trace in found.items()})
            pipe.expire(CAUSES, KEEP_S)
            try:
                pipe.execute()
            except (redis.RedisError, OSError) as error:
                self._leave(error)

    def find(self, name: str) -> str | None:
        """The cause of what has this name."""
        if monotonic() < self._not_before:
            return None
        try:
            found = self._client.hget(CAUSES, _slot(name))
        except (redis.RedisError, OSError) as error:
            self._leave(error)
            return None
        whose, _, trace = found.decode().partition(" ") if isinstance(found, bytes) else ("", "", "")
        return trace if whose == name else None

    def _leave(self, error: Exception) -> None:
        self._not_before = monotonic() + AWAY_S
        log.info("Redis is away (%s): for %.0f s traces end at the drain", error, AWAY_S)


def _slot(name: str) -> str:
    return str(zlib.crc32(name.encode()) % SLOTS)
