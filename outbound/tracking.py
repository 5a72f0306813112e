"""Polls carriers for the parcels on their way: each new scan becomes one event of its order.

A due tracker is claimed by pushing its next poll forward, so that a killed poller costs the lease and
nothing else. Carriers are asked outside any transaction, several at once. The scans, and that they were
taken, are written in one transaction. Errors only slow a tracker down; one that fails GIVE_UP_AFTER times
in a row is finished with its `last_error`, which is what `orders doctor` looks for.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import random
from typing import Any

from sqlalchemy import Connection, Engine, text

from domain.fulfillment import Status
from events.catalogue import TrackingUpdated
from events.envelope import Envelope
from journal.append import append
from journal.batch_values import Follows
from journal.entries import Entry
from journal.pauses import Watch, rests
from journal.streams import Streams
from outbound import backoff
from outbound.leases import Claimed, Rests, Round, settle_apart
from providers.base import Aggregator, NoAnswer, ParcelUnknown, Scan, TrackingClient
from providers.carriers.poll_schedule import next_poll, watch_ends
from providers.carriers.scans import in_order
from settings.fields import plain_name
from storage.pg_arrays import array, cast, columns, unnest

SLICE_S = 20.0  # then nothing more is claimed; the next chore goes on
LEASE_S = 60  # longer than a round may take
ANSWER_S = 45  # of a round: four turns of carriers that answer within ten seconds or never
AT_ONCE = 16  # questions side by side
ROUND = 4 * AT_ONCE  # trackers of one claim
GIVE_UP_AFTER = 50  # failures in a row: days, at the default pace
UNKNOWN_SLOWS = 3  # a parcel that the carrier does not know yet counts as at most so many failures
ERROR = 500  # characters of an error that are kept

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Poll:
    """A tracker that is ours until its lease is over, and what its carrier said."""

    id: str
    key: str
    carrier: str
    number: str
    provider: str
    carrier_id: str | None
    status: str | None
    failures: int
    scans: Sequence[Scan] = ()
    problem: NoAnswer | None = field(default_factory=lambda: NoAnswer("no answer in time"))


def run_due(
    engine: Engine,
    streams: Streams,
    shards: int,
    carriers: Mapping[str, TrackingClient | Aggregator],
    pace: timedelta,
    now: datetime,
    limit: int = 512,
) -> int:
    """Ask `carriers` (by the names that routes give) for the parcels that are due, at most `limit`; how many that were.

    Takes SLICE_S and one ANSWER_S at most, whatever they do. May be doubled or killed at any line.
    Errors: OperationalError when PostgreSQL is away.
    """
    clock = backoff.ticking(now)
    watch = Watch(engine, "tracking")

    def claim(most: int) -> Claimed[Poll, datetime]:
        at = clock()
        lease = at + timedelta(seconds=LEASE_S)
        with engine.begin() as conn:
            polls = _claim(conn, carriers, at, lease, most)
        return Claimed(polls, lease, len(polls))

    def settle(lease: datetime, ended: Sequence[tuple[Poll, Future[None]]], late: Sequence[Poll]) -> None:
        answered = [*(poll for poll, _ in ended), *map(_overdue, late)]
        at = clock()
        entries = settle_apart(
            engine, answered, lambda conn, polls: _settle(conn, shards, polls, pace, at, lease), _refuse
        )
        streams.publish(entries)

    def ask(poll: Poll) -> None:
        if watch.rests(provider=poll.provider, carrier=poll.carrier):  # since it was claimed
            poll.problem = Rests("paused before it was asked")
        else:
            _ask(carriers[poll.provider], poll)

    asked = Round(claim, ask, settle, AT_ONCE, ROUND, SLICE_S, ANSWER_S)
    return asked.run(limit)


def hurry(conn: Connection, changed: Sequence[tuple[str, str, str]], now: datetime) -> int:
    """Make parcels due at once, of which (provider, carrier's id there, number) a callback told; how many are watched.

    A poll that is under way is not believed any more: what it was told may be older than the change.
    """
    rows = columns(_CHANGED, ("text",) * len(_CHANGED), sorted(set(changed)))
    return conn.execute(_HURRY, {**rows, "now": now}).rowcount


def can_be_followed(parcel: Mapping[str, Any]) -> bool:
    """True for the document of a parcel that has a way before it, and a carrier and number by which it can be followed."""
    named = parcel["carrier"] is not None and parcel["trackingNumber"] is not None
    return named and parcel["status"] in (Status.PENDING, Status.PACKED, Status.SHIPPED)


def polled_by(follows: Follows | None, carrier: str) -> str | None:
    """The one who is polled for parcels of a carrier, by the name that people gave it; None where nobody is."""
    route = follows(plain_name(carrier)) if follows is not None else None
    return None if route is None else route[0]


def counts(conn: Connection) -> dict[str, int]:
    """Numbers of parcels: those `watched`, of them those `failing`, and those that we `gave_up` on."""
    return dict(conn.execute(_COUNTS).mappings().one())


# -- claim and ask -------------------------------------------------------------------------------------------

_RESTS = rests(
    "tracking",
    order="(select o.order_number from orders o where o.id = t.order_id)",
    provider="coalesce(t.provider, t.carrier)",
    carrier="t.carrier",
)
_CLAIM = text(f"""
    with due as materialized (
        select id from trackers t where not finished and next_at <= :now
        and coalesce(provider, carrier) = any(cast(:names as text[])) and not {_RESTS} order by next_at limit :most for update skip locked
    )
    update trackers t set next_at = :lease from due where t.id = due.id
    returning t.id, t.key, t.carrier, t.tracking_number as number, t.status, t.failures,
              coalesce(t.provider, t.carrier) as provider, t.carrier_id
""")


def _claim(
    conn: Connection, carriers: Mapping[str, TrackingClient | Aggregator], now: datetime, lease: datetime, most: int
) -> list[Poll]:
    names = array(sorted(carriers), "text")
    found = conn.execute(_CLAIM, {"now": now, "lease": lease, "names": names, "most": most})
    return [Poll(**row) for row in found.mappings()]


def _ask(carrier: TrackingClient | Aggregator, poll: Poll) -> None:
    try:
        client = carrier.of_carrier(poll.carrier_id or poll.carrier) if isinstance(carrier, Aggregator) else carrier
        poll.scans, poll.problem = client.track(poll.number), None
    except NoAnswer as problem:
        poll.problem = problem
    except Exception as error:
        log.exception("the client of %s failed on parcel %s", poll.provider, poll.number)
        poll.problem = NoAnswer(f"{type(error).__name__}: {error}")


def _overdue(poll: Poll) -> Poll:
    """The poll as it was claimed: its thread may still write to the other one."""
    return replace(poll, scans=(), problem=NoAnswer("no answer in time"))


# -- settle --------------------------------------------------------------------------------------------------

# Of orders that share a parcel, the one that its correlation names has the scans under their plain ids.
_OURS = text("""
    select t.id, t.order_id, t.scans, o.order_number, c.order_id as owner
    from trackers t join orders o on o.id = t.order_id left join correlations c on c.key = t.key
    where t.id = any(cast(:ids as uuid[])) and t.next_at = :lease and not t.finished
    order by t.id for update of t
""")
_NAMES = ("id", "status", "scans", "failures", "last_error", "finished", "next_at")
_KINDS = ("uuid", "text", "text[]", "integer", "text", "boolean", "timestamptz")
_UPDATE = text(
    "update trackers t set "
    + ", ".join(f"{n} = {cast(n, k)}" for n, k in zip(_NAMES[1:], _KINDS[1:], strict=True))
    + f", updated_at = now() from {unnest(_NAMES, _KINDS)} where t.id = v.id"
)
_CHANGED = ("provider", "carrier_id", "tracking_number")
_HURRY = text(
    f"update trackers t set next_at = :now, updated_at = now() from {unnest(_CHANGED, ('text',) * len(_CHANGED))} "
    "where t.tracking_number = v.tracking_number and t.provider = v.provider and t.carrier_id = v.carrier_id "
    "and not t.finished and t.next_at > :now"
)
_COUNTS = text("""
    select count(*) filter (where not finished) as watched,
           count(*) filter (where not finished and failures > 0) as failing,
           count(*) filter (where finished and last_error is not null) as gave_up
    from trackers
""")


def _refuse(poll: Poll, why: str) -> bool:
    answered = poll.problem is None
    poll.problem = NoAnswer(why)
    return answered


def _settle(
    conn: Connection,
    shards: int,
    polls: Sequence[Poll],
    pace: timedelta,
    now: datetime,
    lease: datetime,
) -> list[Entry]:
    by_id = {poll.id: poll for poll in polls}
    rows: list[tuple[object, ...]] = []
    envelopes: list[Envelope] = []
    for row in conn.execute(_OURS, {"ids": array(sorted(by_id), "uuid"), "lease": lease}).all():
        poll = by_id[row.id]
        if poll.problem is not None:
            rows.append((row.id, poll.status, row.scans, *_failed(poll, poll.problem, pace, now)))
            continue
        known = set(row.scans)
        scans = in_order({scan.id: scan for scan in poll.scans}.values())
        new = [scan for scan in scans if scan.id not in known]
        envelopes += [_event(poll, row, scan, now) for scan in new]
        end = next((scan.status for scan in reversed(scans) if watch_ends(scan.status)), None)
        told = [scan.status for scan in scans if scan.estimated is None]  # an estimate alone is no scan
        status = end or (told[-1] if told else poll.status)
        next_at = now + next_poll(0, status, pace, chance=random())
        taken = [*row.scans, *(scan.id for scan in new)]
        rows.append((row.id, status, taken, 0, None, end is not None, next_at))
    if rows:
        conn.execute(_UPDATE, columns(_NAMES, _KINDS, rows))
    return append(conn, envelopes, shards).new if envelopes else []


def _failed(poll: Poll, problem: NoAnswer, pace: timedelta, now: datetime) -> tuple[int, str, bool, datetime]:
    """(failures, last_error, finished, next_at) after a poll without an answer."""
    if isinstance(problem, Rests):
        return poll.failures, str(problem), False, now
    failures = poll.failures + 1
    slowed = min(failures, UNKNOWN_SLOWS) if isinstance(problem, ParcelUnknown) else failures
    error = str(problem).replace("\x00", "")[:ERROR]
    given_up = failures >= GIVE_UP_AFTER
    if given_up:
        log.warning("parcel %s of %s: given up after %d failures: %s", poll.number, poll.carrier, failures, error)
    next_at = now + next_poll(slowed, poll.status, pace, retry_after=problem.retry_after, chance=random())
    return failures, error, given_up, next_at


def _event(poll: Poll, row: Any, scan: Scan, now: datetime) -> Envelope:
    """A scan as its order's one event."""
    own = "" if row.owner == row.order_id else f":{row.order_id}"
    return envelope_of(poll.carrier, poll.number, scan, seen=now, own=own, subject=row.order_number)


def envelope_of(
    carrier: str, number: str, scan: Scan, *, seen: datetime, own: str = "", subject: str | None = None
) -> Envelope:
    """A scan as an event, with the same source and id however often it is polled. `carrier` is a normalized name.

    A scan without a time has that of its first event: `seen`, when it was first polled.
    """
    data = {
        "carrier": carrier,
        "trackingNumber": number,
        "status": scan.status,
        "description": scan.description,
        "location": scan.location,
        "detail": scan.detail,
        "estimatedDelivery": scan.estimated.isoformat() if scan.estimated else None,
    }
    return Envelope(
        id=f"{number}:{scan.id}{own}",
        source=f"carrier:{carrier}",
        type=TrackingUpdated.__name__,
        time=scan.time or seen,
        subject=subject,
        data={name: value for name, value in data.items() if value is not None},
    )
