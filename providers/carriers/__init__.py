"""Following a parcel: what a carrier is to us, whichever it is.

pace        how long to wait before a parcel is asked for again
simulated   client of the simulated carrier
easypost    webhooks of EasyPost's trackers

    CarrierError          temporary: ask again later
     └── ParcelUnknown    the carrier does not know the number, or not yet
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from events.catalogue import TrackingStatus, TrackingUpdated
from events.envelope import Envelope

__all__ = ["Carrier", "CarrierError", "ParcelUnknown", "Scan", "envelope_of", "plain_name"]


@dataclass(frozen=True, slots=True)
class Scan:
    """What a carrier noted about a parcel.

    `id` is the same in every poll; `time` (UTC) is when it happened.
    """

    id: str
    time: datetime
    status: TrackingStatus
    description: str | None = None
    location: str | None = None


class CarrierError(Exception):
    """The carrier gave no usable answer; try later, `retry_after` seconds where it named some."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ParcelUnknown(CarrierError):
    """The carrier does not know the number; often it will, once the parcel is in its hands."""


class Carrier(Protocol):
    """One carrier, ready to be asked. `name` is compared as `plain_name` writes it."""

    name: str

    def track(self, number: str) -> list[Scan]:
        """All scans known of a parcel, by when they happened; raises CarrierError only.

        A scan may turn up late, between others that were told before.
        """
        ...


def plain_name(name: str) -> str:
    """A carrier's name as it is compared: names differ in case and blanks only by accident.

    >>> plain_name("  CJ   Logistics ")
    'cj logistics'
    """
    return " ".join(name.casefold().split())


def envelope_of(carrier: str, number: str, scan: Scan) -> Envelope:
    """A scan as its one event: however often it is polled, it has the same source and id."""
    data = {
        "carrier": carrier,
        "trackingNumber": number,
        "status": scan.status,
        "description": scan.description,
        "location": scan.location,
    }
    return Envelope(
        id=f"{number.strip()}:{scan.id}",
        source=f"carrier:{plain_name(carrier)}",
        type=TrackingUpdated.__name__,
        time=scan.time,
        data={name: value for name, value in data.items() if value is not None},
    )
