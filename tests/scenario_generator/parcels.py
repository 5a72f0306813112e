"""The oracle of parcels: what is told of each, and where that puts it, out of sets of facts alone.

A parcel is told of by its name, and by the carrier and number that it has by then. What a person corrects counts from that
time on. Of two facts about the same thing the later stands; of two at one time, the one that is further along.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tests.scenario_generator.life import UNSTATED

DAY = timedelta(days=1)
MOVING = ("picked_up", "in_transit", "out_for_delivery", "ready_for_pickup", "delivery_failed")
# How far along a scan is, of two at one time.
FAR = (
    "unknown", "pending", "picked_up", "in_transit", "delivery_delayed", "on_hold", "out_for_delivery", "ready_for_pickup",
    "delivery_failed", "cancelled", "delivered", "return_to_sender",
)  # fmt: skip
Named = tuple[str, str]  # a carrier and a number


class Scan(NamedTuple):
    """A scan, as it was told."""

    at: datetime
    far: int
    source: str
    id: str
    status: str
    description: str | None


@dataclass
class Box:
    """A number, as the order knows it: when it was named, and what was told by it. Several parcels may be in it."""

    named: list[datetime] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)

    def own(self) -> list[Scan]:
        """The scans of this order's parcel: those of other times are a stranger's, who has or had the same number."""
        first = min(self.named) - DAY
        last = min(self.named) + 180 * DAY
        ends = [scan.at for scan in self.scans if scan.status in ("delivered", "return_to_sender")]
        ends = [at for at in ends if first <= at <= last]
        if ends:
            last = min(ends) + 60 * DAY
        return [scan for scan in self.scans if first <= scan.at <= last]


class Stand(NamedTuple):
    """The status and times that a parcel stands at."""

    status: str
    shipped: datetime | None
    delivered: datetime | None
    returned: datetime | None  # since when it is known that it goes back to its sender


@dataclass
class Parcel:
    """A fulfillment, as far as it has been told."""

    ref: str
    items: dict[str, int]
    carrier: str
    number: str | None  # a tracking number, where it has one
    boxes: dict[Named, Box]  # of the order
    listed: int = -1  # the furthest step that lists items
    step: int = -1  # the furthest told
    busy: bool = True  # more will be told of it: nobody else takes its items
    shared: bool = False  # another parcel has its number, and may take it along
    replaces: str | None = None  # the parcel that it is sent in place of
    said: dict[str, list[datetime]] = field(default_factory=dict)
    pairs: list[tuple[datetime, int, str, str, Named]] = field(default_factory=list)
    halves: list[tuple[datetime, int, str, str, str | None, str | None]] = field(default_factory=list)
    corrections: list[tuple[datetime, int, str, str, str]] = field(default_factory=list)

    @property
    def tracked(self) -> bool:
        """A carrier and number were told."""
        return bool(self.pairs)

    @property
    def box(self) -> Box | None:
        """The number that stands."""
        return self.boxes[normal(max(self.pairs)[4])] if self.pairs else None

    def stand(self) -> Stand:
        """The end that all that was told of it comes to."""
        since, correct = max(((one[0], one[4]) for one in self.corrections), default=(None, "pending"), key=self._rank)
        box = self.box
        scans = box.own() if box is not None else []

        def later(times: Iterable[datetime]) -> list[datetime]:
            return [at for at in times if since is None or at > since]

        def scanned(*statuses: str) -> list[datetime]:
            return [scan.at for scan in scans if scan.status in statuses]

        moved = [*self.said.get("shipped", ()), *scanned(*MOVING)]
        shipped = moved if correct in ("shipped", "delivered", "failed") else later(moved)
        back = later(scanned("return_to_sender"))
        claims = [(at, 0, "failed") for at in later(self.said.get("failed", ()))]
        claims += [(at, 1, "delivered") for at in later(self.said.get("delivered", ()))]
        claims += [(at, 2, "returned") for at in back]
        if not back:  # else it was delivered to us
            claims += [(at, 1, "delivered") for at in later(scanned("delivered"))]
        if since is not None and correct in ("failed", "delivered"):
            claims.append((since, 1, correct))
        if since is not None and correct == "shipped":
            shipped = [*shipped, since]
        at = min(shipped, default=None)
        run: list[tuple[datetime, int, str]] = []  # the last claims that agree
        for claim in sorted(claims):
            if run and (run[-1][2] == "delivered") is not (claim[2] == "delivered"):
                run = []
            run.append(claim)
        if run and run[-1][2] == "delivered":
            return Stand("delivered", at, run[0][0], None)
        if run:
            return Stand("failed", at, None, min((claim[0] for claim in run if claim[2] == "returned"), default=None))
        if later(moved) or correct == "shipped":
            return Stand("shipped", at, None, None)
        packed = later(self.said.get("packed", ())) or correct == "packed"
        return Stand("packed" if packed else "pending", at, None, None)

    def _rank(self, correction: tuple[datetime | None, str]) -> Any:
        """The place of a correction: of two the last stands."""
        return max((one for one in self.corrections if (one[0], one[4]) == correction), default=())

    @property
    def ever_delivered(self) -> bool:
        """True where it was told at any time that it had arrived, by whatever number it had."""
        corrected = any(one[4] == "delivered" for one in self.corrections)
        scans = [scan for one in self.pairs for scan in self.boxes[normal(one[4])].own()]
        return corrected or bool(self.said.get("delivered")) or any(scan.status == "delivered" for scan in scans)

    @property
    def delivered(self) -> bool:
        return self.stand().status == "delivered"

    @property
    def failed(self) -> bool:
        return self.stand().status == "failed"

    @property
    def living(self) -> bool:
        return not self.failed

    @property
    def left(self) -> bool:
        """On its way, or arrived."""
        return self.stand().status in ("shipped", "delivered")

    def expected(self, canceled: bool) -> dict[str, Any]:
        """The end of it, field by field."""
        stand = self.stand()
        carrier, number = self._carrier()
        scan = max(self.box.own(), default=None, key=lambda one: one[:4]) if self.box is not None else None
        shipped: Any = stand.shipped
        if stand.delivered is not None and shipped is None:
            shipped = UNSTATED  # implied: the design does not say when
        return {
            "status": "failed" if canceled and stand.status in ("pending", "packed") else stand.status,
            "items": dict(self.items),
            "shippedAt": shipped,
            "deliveredAt": stand.delivered,
            "carrier": carrier,
            "trackingNumber": number,
            "trackingStatus": scan.status if scan is not None else None,
            "lastScanAt": scan.at if scan is not None else None,
            "lastScanDescription": scan.description if scan is not None else None,
        }

    def _carrier(self) -> tuple[str | None, str | None]:
        if self.pairs:
            return max(self.pairs)[4]
        carriers = [(*one[:4], one[4]) for one in self.halves if one[4] is not None]
        numbers = [(*one[:4], one[5]) for one in self.halves if one[5] is not None]
        return max(carriers)[4] if carriers else None, max(numbers)[4] if numbers else None


def normal(named: Named) -> Named:
    """A carrier's name is the same in any case."""
    return named[0].casefold(), named[1]
