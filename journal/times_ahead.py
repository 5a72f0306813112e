"""Events whose time lies ahead: clocks of senders are wrong by minutes as a rule, and by years now and then.

Up to a day ahead an event is taken as it is. Up to three days ahead it is parked until no more than a day is left. Beyond that
it is dead: the later of two facts stands, so a time years ahead would stand against all that is told from now on. How far it was
ahead is judged by when it was received; a replay is a new receipt.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from domain.outcome import Outcome, Reason, dead, parked
from events.catalogue import AnyEvent
from storage.pg_arrays import array
from storage.raw_sql import Statement

TAKEN = timedelta(hours=24)
KEPT = timedelta(hours=72)
_RECEIVED = Statement(
    "select j.seq, greatest(j.accepted_at, d.updated_at) from journal j "
    "left join dead_letters d on d.seq = j.seq and d.state <> 'open' where j.seq = any(cast(:seqs as bigint[]))"
)


def is_ahead(event: AnyEvent, now: datetime) -> bool:
    """True where an event's time is not to be taken yet."""
    return event.time > now + TAKEN


def verdicts(conn: Connection, events: Mapping[int, AnyEvent], now: datetime) -> dict[int, Outcome]:
    """number → parked or dead, of the events that lie too far ahead. Asks the journal only where there are such."""
    limit = now + TAKEN
    if max([event.time for event in events.values()], default=now) <= limit:
        return {}
    ahead = [seq for seq, event in events.items() if event.time > limit]
    received = dict(_RECEIVED.run(conn, {"seqs": array(ahead, "bigint")}))
    return {seq: _verdict(events[seq], received.get(seq, now)) for seq in ahead}


def _verdict(event: AnyEvent, received: datetime) -> Outcome:
    if event.time - received <= KEPT:
        return parked(Reason.AHEAD)
    return dead(
        Reason.TIME_AHEAD,
        f"it happened {event.time.isoformat()}, and was received {received.isoformat(timespec='seconds')}",
    )
