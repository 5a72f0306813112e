"""Events of a parcel as tracker.delivery tells them, and what we read out of them.

Three things that its events do not say are read otherwise. A time may be missing: then the event happened when it was
first seen. A return to the sender has no status: it stands in names and descriptions. Descriptions of some carriers name
the driver and a telephone number: both are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC
from typing import Annotated

from pydantic import BaseModel, Field

from events.field_types import TrackingStatus
from providers.base import Scan
from providers.carriers.scans import in_order, scan_id
from providers.http_client import Time

MAX_SCANS = 200  # of one parcel; more are no history
WORDS, PLACE = 1000, 255  # characters of a description, and of a place, that are kept

STATUSES: dict[str, TrackingStatus] = {
    "UNKNOWN": "unknown",
    "INFORMATION_RECEIVED": "pending",
    "AT_PICKUP": "picked_up",
    "IN_TRANSIT": "in_transit",
    "OUT_FOR_DELIVERY": "out_for_delivery",
    "ATTEMPT_FAIL": "delivery_failed",
    "DELIVERED": "delivered",
    "AVAILABLE_FOR_PICKUP": "ready_for_pickup",
    "EXCEPTION": "on_hold",
}
# 반송 and 返送 are “sent back”, 반환 “given back”; 반품 is no word for it: a customer's return goes by it from its first scan.
_RETURNED = re.compile(
    r"반송|발송인\s*(?:에게\s*)?반환|返送|return(?:ed|ing)?\s+to\s+(?:the\s+)?(?:sender|shipper)", re.IGNORECASE
)
_NOT_RETURNED = re.compile(r"반송\s*(?:취소|불필요|불가)")
_DRIVER = re.compile(r"(?:[가-힣]{2,4}\s*)?(?<!\d)(?:\+?82[-\s]?|0)\d{1,3}[-\s]?\d{3,4}[-\s]?\d{4}(?!\d)")


class _Status(BaseModel):
    code: str
    name: str | None = None


class _Place(BaseModel):
    name: str | None = None
    country: Annotated[str | None, Field(alias="countryCode")] = None


class Event(BaseModel):
    """One thing that happened to it (`TrackEvent`)."""

    status: _Status
    time: Time | None = None
    location: _Place | None = None
    description: str | None = None


class _Edge(BaseModel):
    node: Event | None = None


class _Events(BaseModel):
    edges: Annotated[list[_Edge | None], Field(max_length=1000)] | None = None


class Parcel(BaseModel):
    """A parcel as `Query.track` answers it."""

    number: Annotated[str, Field(alias="trackingNumber")]
    events: _Events | None = None


def scans_of(parcel: Parcel) -> list[Scan]:
    """The events of a parcel as scans, by when they happened; several that are alike and have no time stay several."""
    edges = parcel.events.edges if parcel.events is not None else None
    events = [edge.node for edge in edges or () if edge is not None and edge.node is not None]
    alike: Counter[str] = Counter()
    scans = []
    for event in events[-MAX_SCANS:]:
        time = None if event.time is None else event.time.astimezone(UTC)
        place = _place(event.location)
        own = scan_id(time, event.status.code, event.status.name, event.description, place)
        if time is None:
            alike[own] += 1
            own = scan_id(own, alike[own])
        scans.append(Scan(own, time, status_of(event), _described(event), place, _own_word(event)))
    return in_order(scans)


def status_of(event: Event) -> TrackingStatus:
    """The unified status of an event: by what it tells of a return, else by its code."""
    told = f"{event.status.name or ''} {event.description or ''}"
    if _RETURNED.search(told) and not _NOT_RETURNED.search(told):
        return "return_to_sender"
    return STATUSES.get(event.status.code, "unknown")


def _described(event: Event) -> str | None:
    """What happened, in the carrier's words, without the driver's name and number."""
    said = event.description or event.status.name
    return (_DRIVER.sub("***", said)[:WORDS] or None) if said else None


def _own_word(event: Event) -> str | None:
    """The carrier's own word for the status, where the description says something else; likewise without the driver."""
    word = event.status.name if event.description else None
    return _DRIVER.sub("***", word)[:PLACE] if word else None


def _place(place: _Place | None) -> str | None:
    parts = (place.name, place.country) if place is not None else ()
    return ", ".join(filter(None, parts))[:PLACE] or None
