"""Lives of made-up parcels: what happens to each, and when it is told. Pure: a seed, a number, shares.

A life is delivered within six paces. What happens in it follows from the seed and the number alone; fates change it.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from events.field_types import TrackingStatus

LIFE = 6.0  # paces from the first question to the end
DELAY = 1.5  # paces
YEAR = timedelta(days=365)
# What may befall a parcel, every time the same, beside `missing` (some of its scans are never told).
FATES = {
    "returned": "it goes back to its sender, and arrives there",
    "no_time": "some of its scans have no time, where the service has such",
    "afterthought": "a scan of before its delivery is told behind it, as if it were later",
    "delayed": "all that happens is told one and a half paces late",
    "quiet": "between its first scan and its end nothing is told",
    "contradicted": "its delivery failed, and was made, at the very same time",
    "reused": "its number was another parcel's a year ago, whose scans are told first",
    "never": "no question about it is ever answered",
}
LATE = 0.15  # share of scans that are reported after they happened
DELAYED = 0.2  # share of parcels
TOWNS = ("Seoul", "Incheon", "Daejeon", "Okcheon", "Daegu", "Gwangju", "Busan", "Jeju")


@dataclass(frozen=True, slots=True)
class Step:
    """A scan to come; both times are in paces since the parcel was first asked for."""

    id: str
    status: TrackingStatus
    description: str
    location: str
    happened: float
    reported: float
    years_ago: float = 0.0  # it is another parcel's, which had the number before

    def time(self, begun: datetime, pace_s: float) -> datetime:
        """The time at which it happened, in a life that began then."""
        return begun + timedelta(seconds=self.happened * pace_s) - self.years_ago * YEAR


def life(seed: int, number: str, missing: float = 0.0) -> list[Step]:
    """A parcel's whole life in the order in which it happens. Pure.

    `missing`, the share of parcels that lack scans, only takes steps out.
    """
    chance = Random(f"{seed}:{number}")
    towns = chance.sample(TOWNS, chance.randint(2, 4))
    plan: list[tuple[float, TrackingStatus, str, str]] = [
        (chance.uniform(0.2, 0.6), "picked_up", "Picked up", towns[0])
    ]
    hops = sorted(chance.uniform(1.0, 4.0) for _ in towns)
    plan += [(at, "in_transit", "Left the hub", town) for at, town in zip(hops, towns, strict=True)]
    if chance.random() < DELAYED:
        plan.append((chance.uniform(4.0, 4.3), "delivery_delayed", "Delayed", towns[-1]))
    plan += [
        (chance.uniform(4.5, 4.9), "out_for_delivery", "Out for delivery", towns[-1]),
        (chance.uniform(5.2, 5.7), "delivered", "Delivered", towns[-1]),
    ]
    steps = []
    for place, (happened, status, description, town) in enumerate(plan, 1):
        late = status != "delivered" and chance.random() < LATE
        reported = min(happened + chance.uniform(0.5, 2.0), LIFE) if late else happened
        steps.append(Step(f"scan-{place}", status, description, town, happened, reported))
    return _without_some(steps, Random(f"missing:{seed}:{number}"), missing)


def scans_so_far(steps: list[Step], elapsed: float, pace: float) -> list[Step]:
    """Scans that the carrier tells of a life `elapsed` seconds after the first question. Pure."""
    return [step for step in steps if step.reported * pace <= elapsed]


def with_fates(steps: list[Step], fates: Container[str]) -> list[Step]:
    """A life as these fates change it; `FATES` says what each does. Pure."""
    found = list(steps)
    end = found[-1]
    if "quiet" in fates:  # but for its first scan
        found[1:-1] = [replace(each, reported=end.reported) for each in found[1:-1]]
    if "delayed" in fates:
        found = [replace(each, reported=each.reported + DELAY) for each in found]
        end = found[-1]
    if "returned" in fates:
        sent = replace(end, id="returned", status="return_to_sender", description="Returned to sender")
        found[-1:] = [sent, replace(end, id="back", happened=end.happened + 0.3, reported=end.reported + 0.3)]
    if "contradicted" in fates:
        failed = replace(end, id="failed", status="delivery_failed", description="Nobody was there")
        found.insert(-1, failed)
    if "afterthought" in fates:
        late = replace(end, id="late", status="out_for_delivery", description="Out for delivery")
        found.append(replace(late, happened=end.happened + 0.2, reported=end.reported + 0.2))
    if "reused" in fates:
        first = found[0]
        taken = replace(first, id="stranger-1", status="picked_up", happened=0.0, reported=0.0, years_ago=1.0)
        found[:0] = [taken, replace(taken, id="stranger-2", status="delivered", description="Delivered", happened=0.5)]
    return found


def _without_some(steps: list[Step], chance: Random, missing: float) -> list[Step]:
    """Of a `missing` share of parcels: nothing but the delivery, or the life with gaps."""
    if chance.random() >= missing:
        return steps
    *before, delivered = steps
    if chance.random() < 1 / 3:
        return [delivered]
    lost = set(chance.sample(before, chance.randint(1, len(before))))
    return [step for step in before if step not in lost] + [delivered]
