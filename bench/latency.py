"""The latency of an event at a steady rate: from the moment it is accepted until its result is committed.

Open loop: events are handed in on a fixed schedule, one per call, whether or not the last one is done. Accepted is
the journal's commit with ours, when a door could answer 2xx, and the broker's answer with (a). The end is the
timestamp of the commit that applied it (`track_commit_timestamp`), so that nobody asks in between. What the caller
waited until it was accepted is told apart. A system whose backlog grows is saturated and has no percentiles.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from events.envelope import Envelope

THREADS = 4  # that hand in: an accepted event waits for its commit, and the schedule does not
LAST_HALF = 0.85  # of the rate must be applied in the second half, else a backlog grows
LATE_S = 1.0  # and the last event may be handed in so late at most

Key = tuple[str, str]


class Call(NamedTuple):
    """The times at which an event was handed in and accepted."""

    began: float
    accepted: float


def hand_in_steadily(
    envelopes: Sequence[Envelope], rate: float, hand_in: Callable[[Envelope], float]
) -> dict[Key, Call]:
    """Hand all in at `rate` a second, each by a call that answers when it was accepted; (source, id) → its call."""
    sent: dict[Key, Call] = {}
    errors: list[BaseException] = []
    begins = time.time() + 0.2

    def run(first: int) -> None:
        try:
            for n in range(first, len(envelopes), THREADS):
                envelope = envelopes[n]
                time.sleep(max(0.0, begins + n / rate - time.time()))
                began = time.time()
                sent[envelope.source, envelope.id] = Call(began, hand_in(envelope))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sent


def figures(sent: Mapping[Key, Call], applied: Mapping[Key, float], rate: float) -> dict[str, Any]:
    """p50 and p99 in milliseconds; null and `saturated` where the system could not carry the rate."""
    begins, planned = min(call.began for call in sent.values()), len(sent) / rate
    middle, end = begins + planned / 2, begins + planned
    lately = sum(1 for at in applied.values() if middle < at <= end)
    late = max(call.began for call in sent.values()) - end
    if lately < LAST_HALF * rate * planned / 2 or late > LATE_S:
        return {"p50": None, "p99": None, "saturated": True, "samples": len(sent)}
    took = sorted(1000 * (applied[key] - call.accepted) for key, call in sent.items())
    waited = sorted(1000 * (call.accepted - call.began) for call in sent.values())
    return {
        "p50": round(took[len(took) // 2], 1),
        "p99": round(took[min(len(took) - 1, int(len(took) * 0.99))], 1),
        "accepted_after_p50": round(waited[len(waited) // 2], 1),
        "samples": len(took),
    }


OURS = """
    select j.source, j.event_id, extract(epoch from pg_xact_commit_timestamp(r.xmin))
    from journal j join results r using (seq) where starts_with(j.event_id, %s)
"""
NAIVE = "select source, id, extract(epoch from pg_xact_commit_timestamp(xmin)) from events where starts_with(id, %s)"


def applied(database_url: str, statement: str, tag: str) -> dict[Key, float]:
    """(source, id) → when its transaction committed, by this machine's clock."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        ahead = _ahead(conn)
        rows = conn.execute(statement, (f"{tag}-",)).fetchall()
    return {(source, name): float(at) - ahead for source, name, at in rows}


def _ahead(conn: psycopg.Connection[tuple[Any, ...]]) -> float:
    """Seconds that the server's clock is ahead of ours: nothing on one machine, to a millisecond elsewhere."""
    found = []
    for _ in range(5):
        before = time.time()
        row = conn.execute("select extract(epoch from clock_timestamp())").fetchone()
        after = time.time()
        found.append((after - before, float(row[0] if row else 0) - (before + after) / 2))
    return min(found)[1]
