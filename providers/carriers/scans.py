"""Scans as adapters make them, where a carrier gives them no id and now and then no time; and a scan as an event.

The same scan may be told by a poll and by a webhook, and by two services that follow the same parcel, in words of their own. It is
one fact: its event's id follows from carrier, number, the scan's time and its status, and from nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

import orjson

from events.catalogue import TrackingUpdated, tracking_key
from events.envelope import CARRIER_SOURCE, Envelope
from providers.base import Scan
from settings.fields import plain_name

NUMBER = 200  # characters of a number that its events' ids begin with, for those who read them

# Statuses after which a parcel is no longer watched.
FINAL = frozenset({"delivered", "return_to_sender", "cancelled"})


def watch_ends(last_status: str | None) -> bool:
    """True where nothing more is to be expected of a parcel.

    >>> watch_ends("delivered"), watch_ends("delivery_failed"), watch_ends(None)
    (True, False, False)
    """
    return last_status in FINAL


def scan_id(*what: datetime | str | int | None) -> str:
    """An id that follows from what does not change of a scan, so that it is the same in every poll.

    >>> scan_id("in_transit", "Seoul") == scan_id("in_transit", "Seoul") != scan_id("in_transit", None)
    True
    """
    return hashlib.sha256(orjson.dumps(what)).hexdigest()[:32]


def estimate(when: datetime, told_at: datetime | None, newest: Scan | None) -> Scan:
    """A carrier's estimate of a parcel's arrival, as a note of its own: once per day of its newest scan.

    So an estimate is told when it changes, though nothing was scanned, and when it changes back, and not with every poll. A
    time of exactly midnight is a day alone: the parcel may arrive until its end.
    """
    until = when + timedelta(days=1, seconds=-1) if when.time() == time.min else when
    day = None if newest is None or newest.time is None else newest.time.date().isoformat()
    return Scan(scan_id("estimate", until, day), told_at, "unknown", estimated=until)


def in_order(scans: Iterable[Scan]) -> list[Scan]:
    """Scans by when they happened; one without a time stays behind the one that the carrier lists before it."""
    placed: list[tuple[datetime, Scan]] = []
    before = datetime.min.replace(tzinfo=UTC)
    for scan in scans:
        before = scan.time or before
        placed.append((before, scan))
    return [scan for _, scan in sorted(placed, key=lambda each: each[0])]


def scan_event(carrier: str, number: str, scan: Scan, *, seen: datetime) -> Envelope:
    """A scan as an event, with the same source and id whoever tells it, and however often.

    It names no order: whose it is, of one or several, follows from carrier and number. A scan without a time has that of its first
    event, `seen`, and the id that its carrier gave it; so has one with an estimate.
    """
    fact = (
        scan.id
        if scan.time is None or scan.estimated is not None
        else scan_id(tracking_key(carrier, number), scan.time.astimezone(UTC), scan.status)
    )
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
        id=f"{number.strip()[:NUMBER]}:{fact}",
        source=f"{CARRIER_SOURCE}{plain_name(carrier)}",
        type=TrackingUpdated.__name__,
        time=scan.time or seen,
        subject=None,
        data={name: value for name, value in data.items() if value is not None},
    )
