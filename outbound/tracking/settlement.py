"""The answers of polls, written in one transaction: new scans as events, and when the parcel is asked for again.

A poll that tells nothing new writes nothing but its next time. A parcel of which nothing new was told for a month is asked for no
more: it is *retired*, finished with a `last_error`, which is what `orders doctor` and `orders trackers list` look for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import random
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from events.envelope import Envelope
from journal.append import append
from journal.entries import Entry
from journal.times_ahead import KEPT
from outbound.leases import Rests
from outbound.tracking import carriers
from outbound.tracking.claims import Poll
from outbound.tracking.pace import after_the_night, next_poll
from providers.base import NoAnswer, ParcelRefused, ParcelUnknown, RateLimited
from providers.carriers.scans import in_order, scan_event, watch_ends
from storage.pg_arrays import array, cast, columns, unnest
from telemetry.meters import CALLS

UNKNOWN_SLOWS = 3  # a parcel that the carrier does not know yet counts as at most so many failures
ERROR = 500  # characters of an error that are kept
STRANGERS = timedelta(days=60)  # a scan so long before the watch began is of another parcel that had the number

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """All that is the same of polls that are settled together."""

    name: str  # of whoever was asked
    shards: int
    pace: timedelta
    retire_after: timedelta | None
    zone: str | None
    now: datetime
    lease: datetime


_OURS = text("""
    select id, key, scans, last_error, created_at, coalesce(heard_at, created_at) as since from trackers
    where id = any(cast(:ids as uuid[])) and next_at = :lease and not finished order by key, id for update
""")
# The latest word of a person that a parcel of the number has not arrived after all, where it is on its way by that.
_TAKEN_BACK = text("""
    select c.key, max(timestamptz 'epoch' + cast(f.facts -> 'corrected' ->> 0 as bigint) * interval '1 microsecond') as at
    from correlations c join fulfillments f on f.order_id = any(array_append(c.members, c.order_id))
    where c.key = any(cast(:keys as text[])) and c.key = any(f.parcels) and f.facts ? 'corrected'
      and f.status in ('pending', 'packed', 'shipped')
    group by 1
""")
_NAMES = ("id", "status", "scans", "failures", "last_error", "finished", "next_at", "heard_at")
_KINDS = ("uuid", "text", "text[]", "integer", "text", "boolean", "timestamptz", "timestamptz")
_CHANGE = text(
    "update trackers t set "
    + ", ".join(f"{n} = {cast(n, k)}" for n, k in zip(_NAMES[1:-1], _KINDS[1:-1], strict=True))
    + f", heard_at = coalesce({cast('heard_at', 'timestamptz')}, t.heard_at), updated_at = now()"
    + f" from {unnest(_NAMES, _KINDS)} where t.id = v.id"
)
_AGAIN = text(
    f"update trackers t set next_at = v.next_at from {unnest(('id', 'next_at'), ('uuid', 'timestamptz'))} "
    "where t.id = v.id"
)


def refuse(poll: Poll, why: str) -> bool:
    """Make a poll one without an answer, for the reason given; true where there was an answer."""
    answered = poll.problem is None
    poll.problem = NoAnswer(why)
    return answered


def settle(conn: Connection, polls: Sequence[Poll], terms: Terms) -> list[Entry]:
    """Write what these polls told, if their lease is still ours; the new entries of the journal.

    Locks: the carrier's row, then the trackers by key. Errors: DataError where the database refuses a text.
    """
    before = carriers.lock(conn, terms.name)
    carrier = before.answered([poll.problem for poll in polls], terms.now)
    carriers.keep(conn, before, carrier)
    by_id = {poll.id: poll for poll in polls}
    changed: list[tuple[object, ...]] = []
    again: list[tuple[object, ...]] = []
    envelopes: list[Envelope] = []
    ours = conn.execute(_OURS, {"ids": array(sorted(by_id), "uuid"), "lease": terms.lease}).all()
    ended = [row.key for row in ours if any(watch_ends(scan.status) for scan in by_id[row.id].scans)]
    taken_back = {row.key: row.at for row in conn.execute(_TAKEN_BACK, {"keys": array(ended, "text")})} if ended else {}
    for row in ours:
        poll = by_id[row.id]
        CALLS.add(1, "tracking", terms.name, "answered" if poll.problem is None else type(poll.problem).__name__)
        if isinstance(poll.problem, Rests):
            again.append((row.id, terms.now))
        elif isinstance(poll.problem, RateLimited):  # nothing is said of the parcel: it waits for its carrier's pause
            again.append((row.id, _waits(poll, terms, timedelta(0), poll.failures, poll.problem.retry_after)))
        elif poll.problem is not None:
            away = carrier.breaker.state != "closed" and not isinstance(poll.problem, ParcelUnknown | ParcelRefused)
            changed.append(_failed(poll, row, poll.problem, away, terms))
        else:
            new = _told(poll, row, terms, taken_back.get(row.key), changed, again)
            envelopes += new
    if changed:
        conn.execute(_CHANGE, columns(_NAMES, _KINDS, changed))
    if again:
        conn.execute(_AGAIN, columns(("id", "next_at"), ("uuid", "timestamptz"), again))
    return append(conn, envelopes, terms.shards).new if envelopes else []


def _told(
    poll: Poll,
    row: Any,
    terms: Terms,
    taken_back: datetime | None,
    changed: list[tuple[object, ...]],
    again: list[tuple[object, ...]],
) -> list[Envelope]:
    """The events of an answer; its row goes to `changed`, or to `again` where it told nothing new.

    What a person took back, up to that time, ends no watch; nor does what lies so far ahead that its event is dead.
    """
    known = set(row.scans)
    scans = in_order({scan.id: scan for scan in poll.scans}.values())
    new = [scan for scan in scans if scan.id not in known]
    begins, ends = max(row.created_at - STRANGERS, taken_back or row.created_at - STRANGERS), terms.now + KEPT
    own = [scan for scan in scans if scan.time is None or begins < scan.time <= ends]
    end = next((scan.status for scan in reversed(own) if watch_ends(scan.status)), None)
    told = [scan.status for scan in own if scan.estimated is None]  # an estimate alone is no scan
    status = end or (told[-1] if told else poll.status)
    silent = timedelta(0) if new else terms.now - row.since
    next_at = _waits(poll, terms, silent, 0, status=status)
    retired = end is None and _is_over(silent, terms)
    if not new and status == poll.status and not retired and end is None and not poll.failures and not row.last_error:
        again.append((row.id, next_at))
        return []
    why = f"nothing new for {silent.days} days; its last status was {status or 'none'}" if retired else None
    if retired:
        log.warning("parcel %s of %s: asked for no more: %s", poll.number, poll.carrier, why)
    taken = [*row.scans, *(scan.id for scan in new)]
    over = end is not None or retired
    changed.append((row.id, status, taken, 0, why, over, next_at, terms.now if new else None))
    events = [scan_event(poll.carrier, poll.number, scan, seen=terms.now) for scan in new]
    return list({event.id: event for event in events}.values())  # two in one moment with one status are one fact


def _failed(poll: Poll, row: Any, problem: NoAnswer, away: bool, terms: Terms) -> tuple[object, ...]:
    """The row after a poll without an answer. While its carrier is away no parcel is retired."""
    failures = poll.failures + 1
    slowed = min(failures, UNKNOWN_SLOWS) if isinstance(problem, ParcelUnknown) else failures
    error = str(problem).replace("\x00", "")[:ERROR]
    silent = terms.now - row.since
    retired = not away and _is_over(silent, terms)
    if retired:
        log.warning(
            "parcel %s of %s: asked for no more after %d days: %s", poll.number, poll.carrier, silent.days, error
        )
    next_at = _waits(poll, terms, silent, slowed, problem.retry_after)
    return (row.id, poll.status, row.scans, failures, error, retired, next_at, None)


def _is_over(silent: timedelta, terms: Terms) -> bool:
    return terms.retire_after is not None and silent >= terms.retire_after


def _waits(
    poll: Poll,
    terms: Terms,
    silent: timedelta,
    failures: int,
    retry_after: float | None = None,
    *,
    status: str | None = None,
) -> datetime:
    """The time of a parcel's next poll."""
    wait = next_poll(
        failures, status or poll.status, terms.pace, silent=silent, retry_after=retry_after, chance=random()
    )
    zone = ZoneInfo(terms.zone) if terms.zone is not None else None
    return terms.now + after_the_night(terms.now, wait, zone, random())
