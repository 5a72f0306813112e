"""Scans as adapters make them, where a carrier gives them no id and now and then no time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

import orjson

from providers.base import Scan


def scan_id(*what: datetime | str | int | None) -> str:
    """An id that follows from what does not change of a scan, so that it is the same in every poll.

    >>> scan_id("in_transit", "Seoul") == scan_id("in_transit", "Seoul") != scan_id("in_transit", None)
    True
    """
    return hashlib.sha256(orjson.dumps(what)).hexdigest()[:32]


def in_order(scans: Iterable[Scan]) -> list[Scan]:
    """Scans by when they happened; one without a time stays behind the one that the carrier lists before it."""
    placed: list[tuple[datetime, Scan]] = []
    before = datetime.min.replace(tzinfo=UTC)
    for scan in scans:
        before = scan.time or before
        placed.append((before, scan))
    return [scan for _, scan in sorted(placed, key=lambda each: each[0])]
