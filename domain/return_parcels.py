"""Parcels that bring returns back: who carries one, what its carrier tells, and when the warehouse had it.

A return has one parcel of its own, followed as those of its order are (domain/parcel_facts.py), in its own facts:

    pair, carrier, number, numbers   as of a parcel
    received                         the earliest time at which somebody said that the warehouse has it
"""

from __future__ import annotations

from typing import Any

from domain.dirty_tracking import touch
from domain.order import Order
from domain.outcome import DONE, Outcome, Reason, ignored
from domain.parcel_facts import (
    DELIVERED,
    NUMBERS,
    PAIR,
    SCAN_RANK,
    Number,
    Scanned,
    is_within,
    last_scan,
    micros,
    note_carrier,
    note_first,
    note_scan,
    place,
    time_of,
)
from domain.returns import Return
from events.body import tracking_key
from events.catalogue import AnyEvent

RECEIVED = "received"
REQUESTED, CHANGED = 1, 5  # how far along an event is that names a carrier: of two at one time the further stands
_ANOTHER_PARCEL = ignored(Reason.ANOTHER_PARCEL)
_OVERTAKEN = ignored(Reason.OVERTAKEN)


def name_return_carrier(
    order: Order, back: Return, event: AnyEvent, carrier: str | None, number: str | None, rank: int
) -> bool:
    """Note who carries a return, as an event of that rank says. → whether that is what is shown now."""
    if carrier is None and number is None:
        return False
    facts, at, before = _facts_of(back), place(event, rank), number_key(back)
    shows_carrier, shows_number = note_carrier(facts, at, carrier, number)
    if shows_carrier:
        back.carrier = carrier
    if shows_number:
        back.tracking_number = number
    if carrier is not None and number is not None:
        key = tracking_key(carrier, number)
        note_first(facts.setdefault(NUMBERS, {}).setdefault(key, {}), at[0])
        if (news := order.goods().news) is not None:
            news.add(("tracking", key))
        back.to_watch |= number_key(back) != before
    _follow(back)
    return shows_carrier or shows_number


def note_receipt(back: Return, event: AnyEvent) -> bool:
    """Note that somebody says that the warehouse has it. → whether it was not known before."""
    facts, before = _facts_of(back), back.received_at
    facts[RECEIVED] = min(facts.get(RECEIVED, micros(event.time)), micros(event.time))
    _follow(back)
    return before is None


def coming_back(order: Order, key: str) -> list[Return]:
    """The returns that this tracking key was ever named for, by id."""
    found = [back for back in order.returns if back.facts is not None and key in back.facts.get(NUMBERS, ())]
    return sorted(found, key=lambda back: back.id)


def keys_of(back: Return) -> list[str]:
    """Every tracking key that was ever named for a return."""
    return sorted(back.facts.get(NUMBERS, ())) if back.facts is not None else []


def number_key(back: Return) -> str | None:
    """The key of the number that stands; None where nobody named a carrier and a number together."""
    if back.facts is None or PAIR not in back.facts or back.carrier is None or back.tracking_number is None:
        return None
    return tracking_key(back.carrier, back.tracking_number)


def take_return_scan(back: Return, event: AnyEvent, key: str, scan: Scanned) -> Outcome:
    """Note a scan of one of a return's numbers: delivered is received."""
    number: Number = _facts_of(back)[NUMBERS][key]
    news = note_scan(number, place(event, SCAN_RANK[scan.status]), scan)
    _follow(back)
    if not is_within(number, micros(event.time)):
        return _ANOTHER_PARCEL
    return DONE if news else _OVERTAKEN


def _follow(back: Return) -> None:
    """Let what is shown of a return's parcel follow from its facts."""
    facts = _facts_of(back)
    key = number_key(back)
    number: Number | None = facts[NUMBERS].get(key) if key is not None else None
    scan = last_scan(number) if number is not None else None
    back.tracking_status = None if scan is None else scan[4]
    times = [facts[RECEIVED]] if RECEIVED in facts else []
    if number is not None:
        times += [time for time in number.get(DELIVERED, ()) if is_within(number, time)]
    back.received_at = time_of(min(times)) if times else None
    touch(back)


def _facts_of(back: Return) -> dict[str, Any]:
    if back.facts is None:
        back.facts = {}
    return back.facts
