"""The facts that are known of a parcel, small and the same in any order of arrival; what they come to is `weighed` out of them.

    said       kind → times         packed, moved, delivered, failed: told by the parcel's name
    pair       place                of the event that named the carrier and number that stand
    carrier, number   place         of the event that named the half that is shown, where no event named both
    corrected  [*place, status]     the latest correction
    numbers    key → number         every (carrier, number) that was ever named for it, with what was told by that number:

        first                       the earliest time at which the order named it
        moved, delivered, returned  times of scans
        scans      [[*place, status, detail, description, location] …]   the latest of each PERIOD
        estimates  [[*place, time] …]                                     likewise

A place is [time, rank, source, id] of an event: of two facts about the same thing the one of the later place stands. Times
are whole microseconds since 1970. Of the times of a kind the RIM earliest and the RIM latest are kept, so that a fact is
small however often it is told: from as many times on, those between are not known any more.

All parcels of an order that have a number have the same facts of it: who names one later takes them over.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from events.catalogue import AnyEvent

Facts = dict[str, Any]
Number = dict[str, Any]  # what was told by one (carrier, number)

SAID, PAIR, CARRIER, NUMBER, CORRECTED, NUMBERS = "said", "pair", "carrier", "number", "corrected", "numbers"
PACKED, MOVED, DELIVERED, FAILED, RETURNED = "packed", "moved", "delivered", "failed", "returned"
FIRST, SCANS, ESTIMATES = "first", "scans", "estimates"

RIM = 10  # so many of the earliest times of a kind are kept, and as many of the latest
PERIODS = 3  # likewise, of what is kept once per period
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400_000_000
PERIOD = 30 * _DAY
BEFORE = _DAY  # a number's life begins so long before it was first named
AFTER_END = 60 * _DAY  # and ends so long after its first delivery or return
UNENDED = 180 * _DAY  # so long after it was first named, where there is none
_FIRST_PLACE: list[Any] = []  # before every place
_NEVER = -1 << 63  # before every time

# How far along a scan is: of two at one time the further stands.
SCAN_RANK = {
    status: rank
    for rank, status in enumerate((
        "unknown", "pending", "picked_up", "in_transit", "delivery_delayed", "on_hold", "out_for_delivery",
        "ready_for_pickup", "delivery_failed", "cancelled", "delivered", "return_to_sender",
    ))
}  # fmt: skip
# Scans that only a parcel on the move can have.
MOVEMENT = frozenset(("picked_up", "in_transit", "out_for_delivery", "ready_for_pickup", "delivery_failed"))
KIND_OF_SCAN = dict.fromkeys(MOVEMENT, MOVED) | {"delivered": DELIVERED, "return_to_sender": RETURNED}
# What a correction says by the status that it leads to.
_BY_STATUS = {"packed": PACKED, "shipped": MOVED, "delivered": DELIVERED, "failed": FAILED}
_LEFT = frozenset(("shipped", "delivered", "failed"))  # statuses before which a parcel may have left


def micros(time: datetime) -> int:
    """A time as facts keep it."""
    return (time - _EPOCH) // _MICROSECOND


def time_of(kept: int) -> datetime:
    """The time that facts keep so."""
    return _EPOCH + timedelta(0, 0, kept)


def place(event: AnyEvent, rank: int) -> list[Any]:
    """The place of an event among those about the same thing."""
    return [micros(event.time), rank, event.source, event.id]


# -- what is told --------------------------------------------------------------------------------------------


def note_said(facts: Facts, kind: str, time: int) -> bool:
    """Note a step that was told by the parcel's name. → whether it is news."""
    said = facts.get(SAID)
    if said is None:
        facts[SAID] = {kind: [time]}
        return True
    times = said.get(kind)
    if times is None:
        said[kind] = [time]
        return True
    return keep_time(times, time)


def note_correction(facts: Facts, at: list[Any], status: str) -> bool:
    """Note where a person says that the parcel stands. → whether that is the latest word."""
    if status == DELIVERED:
        note_said(facts, DELIVERED, at[0])  # it has been delivered once, whatever is said of it later
    if facts.get(CORRECTED, _FIRST_PLACE) >= [*at, status]:
        return False
    facts[CORRECTED] = [*at, status]
    return True


def note_carrier(facts: Facts, at: list[Any], carrier: str | None, number: str | None) -> tuple[bool, bool]:
    """Note who carries it: a carrier and a number are one pair, and half of one counts only where nobody named a pair.

    → whether this carrier, and this number, is what is shown now.
    """
    if carrier is not None and number is not None:
        if facts.get(PAIR, _FIRST_PLACE) >= at:
            return False, False
        facts[PAIR] = at
        facts.pop(CARRIER, None)
        facts.pop(NUMBER, None)
        return True, True
    if PAIR in facts:
        return False, False
    shown = [False, False]
    for each, (name, value) in enumerate(((CARRIER, carrier), (NUMBER, number))):
        if value is not None and facts.get(name, _FIRST_PLACE) < at:
            facts[name] = at
            shown[each] = True
    return shown[0], shown[1]


def note_first(number: Number, time: int) -> bool:
    """Note that the order named a number. → whether it did so earlier than was known."""
    if number.get(FIRST, time + 1) <= time:
        return False
    number[FIRST] = time
    return True


class Scanned(NamedTuple):
    """The words of a scan: what a person reads of it."""

    status: str
    detail: str | None
    description: str | None
    location: str | None
    estimate: datetime | None

    def is_estimate_alone(self) -> bool:
        """True where nothing was scanned: the carrier only says anew when it expects the parcel to arrive."""
        return self.estimate is not None and self[:4] == ("unknown", None, None, None)


def note_scan(number: Number, at: list[Any], scan: Scanned) -> bool:
    """Note a scan of a number. → whether anything of it is news."""
    kind = KIND_OF_SCAN.get(scan.status)
    news = kind is not None and keep_time(number.setdefault(kind, []), at[0])
    if not scan.is_estimate_alone():
        told = [*at, scan.status, scan.detail, scan.description, scan.location]
        news |= _keep_latest(number.setdefault(SCANS, []), told)
    if scan.estimate is not None:
        news |= _keep_latest(number.setdefault(ESTIMATES, []), [*at, micros(scan.estimate)])
    return news


def keep_time(times: list[int], time: int) -> bool:
    """Keep a time among the earliest and the latest. → whether they are others now.

    >>> times = [1, 3]
    >>> keep_time(times, 2), keep_time(times, 2), times
    (True, False, [1, 2, 3])
    """
    at = bisect_left(times, time)
    if times[at : at + 1] == [time]:
        return False
    times.insert(at, time)
    if len(times) > 2 * RIM:
        del times[RIM]
        return at != RIM
    return True


def _keep_latest(kept: list[list[Any]], entry: list[Any]) -> bool:
    """Keep the entry of the latest place of each period, of the earliest and the latest periods. → whether they are others now."""
    period = entry[0] // PERIOD
    for at, each in enumerate(kept):
        if each[0] // PERIOD == period:
            if each[:4] >= entry[:4]:
                return False
            kept[at] = entry
            return True
    insort(kept, entry, key=_where)
    if len(kept) > 2 * PERIODS:
        dropped = kept.pop(PERIODS)
        return dropped is not entry
    return True


def _where(entry: list[Any]) -> list[Any]:
    return entry[:4]


# -- what follows --------------------------------------------------------------------------------------------


def life(number: Number) -> tuple[int, int]:
    """The first and the last moment of a number's life in the order: what is told of it at other times is another parcel's."""
    start: int = number[FIRST] - BEFORE
    most: int = number[FIRST] + UNENDED
    ends = [t for kind in (DELIVERED, RETURNED) for t in number.get(kind, ()) if start <= t <= most]
    return start, min(ends) + AFTER_END if ends else most


def is_within(number: Number, time: int) -> bool:
    """True where a scan of that time is one of this order's parcel."""
    start, end = life(number)
    return start <= time <= end


def has_been_delivered(facts: Facts) -> bool:
    """True where it was ever told that the parcel had arrived, whatever is known of it since."""
    if facts.get(SAID, {}).get(DELIVERED):
        return True
    for number in facts.get(NUMBERS, {}).values():
        if number.get(DELIVERED):
            start, end = life(number)
            if any(start <= time <= end for time in number[DELIVERED]):
                return True
    return False


class Weighed(NamedTuple):
    """The status and times that a parcel's facts come to; times as they are kept."""

    status: str  # before its order's cancel is looked at
    shipped: int | None  # the earliest that was told, not implied
    delivered: int | None  # of the delivery that stands
    failed: int | None  # of the failure that stands
    returned: int | None  # since when it is known that it goes back to the sender, where that stands


_PENDING = Weighed("pending", None, None, None, None)
_PACKED = Weighed("packed", None, None, None, None)


def weighed(facts: Facts, number: Number | None) -> Weighed:
    """The weight of all that was told by the parcel's name, and by the number that stands, if it has one.

    What is no later than the latest correction counts nothing; only that the parcel had left before stays true where the
    correction does not deny it. Of delivered and failed the later stands; a number that goes back to its sender delivers
    there, so its return beats its delivery, before or after.
    """
    said = facts.get(SAID, {})
    if CORRECTED not in facts and FAILED not in said and (number is None or RETURNED not in number):
        return _undisputed(said, number)
    since, base = (facts[CORRECTED][0], facts[CORRECTED][4]) if CORRECTED in facts else (_NEVER, None)
    moved = list(said.get(MOVED, ()))
    scanned: list[int] = []
    returned: list[int] = []
    if number is not None:
        start, end = life(number)
        moved += [time for time in number.get(MOVED, ()) if start <= time <= end]
        scanned = [time for time in number.get(DELIVERED, ()) if start <= time <= end and time > since]
        returned = [time for time in number.get(RETURNED, ()) if start <= time <= end and time > since]
    counts = {kind: [time for time in said.get(kind, ()) if time > since] for kind in (PACKED, DELIVERED, FAILED)}
    left = [time for time in moved if time > since]
    if base in _BY_STATUS:
        (left if base == "shipped" else counts[_BY_STATUS[base]]).append(since)
    delivered = counts[DELIVERED] if returned else counts[DELIVERED] + scanned
    failed = counts[FAILED]
    last = max(delivered, default=None)
    stands = last is not None and last >= max(failed, default=last) and last > max(returned, default=last - 1)
    shipped = min(moved + left if base in _LEFT else left, default=None)
    if stands:
        overcome = max(since, *failed, *(time + 1 for time in returned), _NEVER)
        return Weighed("delivered", shipped, min(time for time in delivered if time >= overcome), None, None)
    back = [time for time in returned if last is None or time >= last]
    lost = [time for time in failed if last is None or time > last]
    if back or lost:
        return Weighed("failed", shipped, None, min(back + lost), min(back, default=None))
    if left:
        return Weighed("shipped", shipped, None, None, None)
    return Weighed("packed" if counts[PACKED] else "pending", shipped, None, None, None)


def _undisputed(said: dict[str, list[int]], number: Number | None) -> Weighed:
    """The weight of facts none of which denies another, as those of most parcels: what is furthest along stands."""
    moved, came = said.get(MOVED), said.get(DELIVERED)
    left, delivered = moved[0] if moved else None, came[0] if came else None
    if number is not None and (MOVED in number or DELIVERED in number):
        start, end = life(number)
        left = _earlier(left, number.get(MOVED, ()), start, end)
        delivered = _earlier(delivered, number.get(DELIVERED, ()), start, end)
    if delivered is not None:
        return Weighed("delivered", left, delivered, None, None)
    if left is not None:
        return Weighed("shipped", left, None, None, None)
    return _PACKED if said.get(PACKED) else _PENDING


def _earlier(known: int | None, times: Sequence[int], start: int, end: int) -> int | None:
    """The earlier of a time that is known and the first of `times`, in order, that is within a life."""
    first = next((time for time in times if start <= time <= end), None)
    return first if known is None or (first is not None and first < known) else known


def last_scan(number: Number) -> list[Any] | None:
    """The latest scan of a number within its life: [*place, status, detail, description, location]."""
    return _last(number, SCANS)


def last_estimate(number: Number) -> datetime | None:
    """The time at which its carrier last said that it would arrive."""
    found = _last(number, ESTIMATES)
    return None if found is None else time_of(found[4])


def _last(number: Number, what: str) -> list[Any] | None:
    kept: list[list[Any]] = number.get(what, [])
    if not kept:
        return None
    start, end = life(number)
    return next((entry for entry in reversed(kept) if start <= entry[0] <= end), None)


def latest_fact(facts: Facts) -> int | None:
    """The time of the latest fact that is known of a parcel, of any of its numbers."""
    times = [time for kept in facts.get(SAID, {}).values() for time in kept[-1:]]
    times += facts.get(CORRECTED, [])[:1]
    for number in facts.get(NUMBERS, {}).values():
        times += [number[kind][-1] for kind in (MOVED, DELIVERED, RETURNED) if number.get(kind)]
    return max(times, default=None)
