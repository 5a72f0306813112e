"""Parcels as people ask for them: where each is, when it is expected, whether it is late or silent, and why it is stuck.

A parcel is *on its way* while it was packed or shipped and has neither arrived nor failed. It is *late* once its carrier's estimate
is over, *silent* where its carrier has told nothing for a while since it left. One statement, whatever the number of parcels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from domain.ids import format_id
from storage.pg_arrays import array

SILENT_AFTER = timedelta(days=3)
# Of a tracking status that stops a parcel, in words; the others are a parcel's usual way.
STOPS = {
    "on_hold": "its carrier holds it",
    "delivery_delayed": "its carrier says that it is delayed",
    "delivery_failed": "it could not be delivered",
    "ready_for_pickup": "it waits for its receiver to fetch it",
    "cancelled": "its carrier says that it was canceled",
    "return_to_sender": "it goes back to its sender",
}

# A parcel that was found under several trackers (a number told anew) has the one that is polled now.
_LISTED = """
    select f.id, f.reference, o.order_number, f.status, f.carrier, f.tracking_number, f.tracking_status, f.tracking_detail,
           f.estimated_delivery, f.last_scan_at, f.last_scan_description, f.last_scan_location, f.shipped_at,
           coalesce(f.last_scan_at, f.shipped_at) as heard_at,
           coalesce(f.estimated_delivery < :now, false) as late,
           f.status = 'shipped' and coalesce(f.last_scan_at, f.shipped_at, f.created_at) < :silent_since as silent,
           t.last_error, t.finished
    from fulfillments f join orders o on o.id = f.order_id
    left join lateral (
        select t.last_error, t.finished from trackers t
        where t.key = any(f.parcels) and t.tracking_number = f.tracking_number order by t.finished, t.id desc limit 1
    ) t on true
    where f.status in ('packed', 'shipped') and o.placed_at is not null
"""
_PARCELS = text(f"""
    select * from ({_LISTED}) p
    where (not :late or p.late) and (not :silent or p.silent)
      and (cast(:carriers as text[]) is null or p.carrier = any(cast(:carriers as text[])))
    order by p.heard_at nulls first, p.id limit :most
""")
_CARRIERS = text(
    "select distinct carrier from fulfillments where status in ('packed', 'shipped') and carrier is not null order by 1"
)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One parcel on its way. Times are UTC."""

    id: str
    reference: str | None
    order_number: str
    status: str
    carrier: str | None
    tracking_number: str | None
    tracking_status: str | None
    tracking_detail: str | None
    estimated_delivery: datetime | None
    last_scan_at: datetime | None
    last_scan_description: str | None
    last_scan_location: str | None
    shipped_at: datetime | None
    heard_at: datetime | None  # of its last scan, else when it left
    late: bool
    silent: bool
    last_error: str | None  # of whoever is polled for it
    finished: bool | None  # it is polled no more; None: it never was

    def why(self) -> str | None:
        """The reason why it is stuck, in words; None where nothing says that it is."""
        if self.tracking_status in STOPS:
            return STOPS[self.tracking_status]
        if self.last_error is not None:
            return f"{'it was given up' if self.finished else 'it cannot be asked for'}: {self.last_error}"
        if self.silent:
            return "its carrier tells nothing" if self.tracking_number else "it has no tracking number"
        return "its carrier's estimate is over" if self.late else None

    def as_document(self) -> dict[str, Any]:
        """The parcel for scripts, its names as the query API has them."""
        return {
            "id": format_id("fulfillments", self.id),
            "order": self.order_number,
            "reference": self.reference,
            "status": self.status,
            "carrier": self.carrier,
            "trackingNumber": self.tracking_number,
            "trackingStatus": self.tracking_status,
            "trackingDetail": self.tracking_detail,
            "estimatedDelivery": self.estimated_delivery,
            "lastScan": {
                "time": self.last_scan_at,
                "description": self.last_scan_description,
                "location": self.last_scan_location,
            },
            "shippedAt": self.shipped_at,
            "late": self.late,
            "silent": self.silent,
            "why": self.why(),
        }


def parcels(
    conn: Connection,
    now: datetime,
    *,
    late: bool = False,
    silent: bool = False,
    silent_after: timedelta = SILENT_AFTER,
    carriers: Collection[str] | None = None,
    limit: int | None = None,
) -> list[Parcel]:
    """Parcels on their way, that of which nothing was heard for longest first.

    `late`, `silent`: only those; both: those that are both. `carriers`: only of these, by the names that parcels have.
    """
    chosen = None if carriers is None else array(sorted(carriers), "text")
    values = {"now": now, "silent_since": now - silent_after, "late": late, "silent": silent, "carriers": chosen}
    return [Parcel(**row) for row in conn.execute(_PARCELS, {**values, "most": limit}).mappings()]


def carriers_on_their_way(conn: Connection) -> Sequence[str]:
    """The names of carriers that have parcels on their way, as these have them."""
    return conn.execute(_CARRIERS).scalars().all()
