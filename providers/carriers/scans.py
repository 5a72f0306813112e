"""Scans as adapters make them, where a carrier gives them no id and now and then no time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

import orjson

from providers.base import Scan


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
