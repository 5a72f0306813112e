"""The figures, the log lines and the trace of a drain's batch, once it is committed.

How long events waited is asked of one batch per second and process, in one statement: PostgreSQL has both times, and to ask for
every batch would cost a tenth of a small one. A line is written for each event that died, with its names and its reason, and
nothing of its body.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

import structlog
from sqlalchemy import Engine

from domain.outcome import DEAD
from journal import trace_causes
from journal.batch import BatchReport
from journal.entries import Entry
from storage.clock import epoch
from storage.pg_arrays import array
from storage.raw_sql import Statement
from telemetry import traces
from telemetry.meters import APPLY, BATCH, BATCH_EVENTS, RESULTS

SAMPLED_S, SAMPLED = 1.0, 64  # how often, and how many events of the batch, spread over it
_ACCEPTED = Statement(
    "select cast(extract(epoch from accepted_at) as double precision) from journal where seq = any(cast(:seqs as bigint[]))"
)
_sampled = float("-inf")  # monotonic
_log = structlog.get_logger("orders.drain")


def count(engine: Engine, entries: Sequence[Entry], report: BatchReport, took_s: float) -> None:
    """Count a batch that was committed; nothing of it fails the drain's own work."""
    if report.outcomes.get(DEAD):
        _tell_deaths(entries, report)
    if traces.tracer is not None:
        trace_causes.tell(entries, report, took_s)
    if not BATCH.counts:
        return
    BATCH.observe(took_s)
    BATCH_EVENTS.observe(len(entries))
    for (outcome, reason), number in report.reasons.items():
        RESULTS.add(number, outcome, reason)
    _sample(engine, entries)


def _sample(engine: Engine, entries: Sequence[Entry]) -> None:
    global _sampled
    if not entries or monotonic() < _sampled + SAMPLED_S:
        return
    _sampled, now = monotonic(), epoch()
    some = entries[:: -(-len(entries) // SAMPLED)]
    with engine.connect() as conn:
        rows = _ACCEPTED.run(conn, {"seqs": array([entry.seq for entry in some], "bigint")})
    for (accepted,) in rows:
        APPLY.observe(max(0.0, now - accepted))


def _tell_deaths(entries: Sequence[Entry], report: BatchReport) -> None:
    by_number = {entry.seq: entry for entry in entries}
    for row in report.results:
        entry = by_number.get(row.seq)
        if row.kind is DEAD and entry is not None:
            _log.warning(
                "event died",
                seq=entry.seq,
                source=entry.source,
                id=entry.event_id,
                type=entry.type,
                order=entry.subject,
                shard=entry.shard,
                reason=str(row.reason),
                remedy=f"orders given-up show {entry.seq}",
            )
