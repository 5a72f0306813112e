"""Parcels that are due at one carrier: claimed by pushing their next poll forward, as many as its limits let through.

A killed poller costs the lease and nothing else. One statement finds them by the index of what is due at this carrier, so that
neither parcels of others nor those that are over make it dearer; rows that somebody holds are left to him.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from journal.pauses import rests
from outbound.tracking import carriers
from outbound.tracking.trackers import ORDERS
from providers.base import NoAnswer, Scan
from providers.carriers.limits import Limits

LEASE_S = 60  # longer than a round may take


@dataclass(slots=True)
class Poll:
    """A tracker that is ours until its lease is over, and what its carrier said."""

    id: str
    carrier: str
    number: str
    carrier_id: str | None
    status: str | None
    failures: int
    scans: Sequence[Scan] = ()
    problem: NoAnswer | None = field(default_factory=lambda: NoAnswer("no answer in time"))


@dataclass(frozen=True, slots=True)
class Claim:
    """Polls that were claimed together, and in how many seconds the carrier's rate lets more through; None: not soon."""

    polls: Sequence[Poll]
    lease: datetime
    again_s: float | None = None


# A parcel rests while any of the orders does whose goods it holds.
_RESTS = rests(
    "tracking",
    order=f"any({ORDERS})",
    provider="any(array[coalesce(t.provider, t.carrier), split_part(t.provider, ':', 1)])",  # SERVICE, of SERVICE:ID
    carrier="t.carrier",
)
_CLAIM = text(f"""
    with due as materialized (
        select id from trackers t where not finished and coalesce(provider, carrier) = :name and next_at <= :now
        and not {_RESTS} order by next_at limit :most for update skip locked
    )
    update trackers t set next_at = :lease from due where t.id = due.id
    returning t.id, t.carrier, t.tracking_number as number, t.carrier_id, t.status, t.failures
""")


def claim(conn: Connection, name: str, limits: Limits, now: datetime, most: int) -> Claim:
    """Claim at most `most` parcels that are due at the carrier of this name, within its limits."""
    lease = now + timedelta(seconds=LEASE_S)
    before = carriers.lock(conn, name)
    lets = before.lets(limits, now)
    if lets == 0:
        return Claim((), lease, _seconds(before.wait(limits, now)))
    wanted = most if lets is None else min(most, lets)
    found = conn.execute(_CLAIM, {"name": name, "now": now, "lease": lease, "most": wanted})
    polls = [Poll(**row) for row in found.mappings()]
    after = before.asked(len(polls), limits, now, lease)
    carriers.keep(conn, before, after)
    return Claim(polls, lease, _seconds(after.wait(limits, now)) if len(polls) == wanted else None)


def _seconds(wait: timedelta | None) -> float | None:
    return None if wait is None else wait.total_seconds()
