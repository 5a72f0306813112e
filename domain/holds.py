"""Holds: what keeps an order from shipping, by its name. What people held is a fact of the order; the rest is derived.

    holds     name → {"held": [[time, source, id, until, by, reason] …], "released": [[time, source, id] …]}, both sorted
    standing  name → [since, until, by, reason] of the holds that stand now: derived after each event, for those who read

An order is held from the time of a fact until a release of that name that is not earlier, and again by a later fact. By
themselves hold: `disputed` (a dispute that is open or lost), `payment_reversed` (a reversal left it short), `refunded` (all
that was captured went back, and something is open), `returned_to_sender` (a parcel goes back, and something is open). Holds stop shipping alone, and what ships all the same is recorded.
Times are texts that sort as the times do (`domain.movements.moment`).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from domain.dues import SETTLED, facts_of, settled
from domain.item_cancels import place
from domain.movements import DISPUTES, INQUIRY, REFUNDS, REPORTS, WON, goes_back, moment
from domain.parcel_facts import time_of
from domain.refunds import lacks_reversed_money
from events.catalogue import AnyEvent, Event
from events.corrections import OrderHeld

if TYPE_CHECKING:
    from domain.order import Order
    from domain.transaction import Transaction

HOLDS, STANDING = "holds", "standing"
DISPUTED, PAYMENT_REVERSED, REFUNDED = "disputed", "payment_reversed", "refunded"
RETURNED_TO_SENDER = "returned_to_sender"
_HELD, _RELEASED = "held", "released"


def note_hold(order: Order, name: str, event: Event[OrderHeld], until: datetime | None) -> None:
    """Note that somebody holds the order."""
    told = (None if until is None else moment(until), event.data.by, event.data.reason)
    insort(_of(order, name)[_HELD], [*place(event), *told], key=_where)


def note_release(order: Order, name: str, event: AnyEvent) -> None:
    """Note that a hold was released."""
    insort(_of(order, name)[_RELEASED], place(event))


def holds(order: Order) -> list[str]:
    """The names of the holds that stand now, sorted."""
    return sorted(_standing(order))


def note_standing(order: Order) -> list[str]:
    """Note among the order's facts which holds stand now, since and until when, by whom and why. → their names, sorted."""
    found = _standing(order)
    told: dict[str, list[str | None]] = {}
    for name, since in found.items():
        by_hand = [each for each in (order.facts or {}).get(HOLDS, {}).get(name, {}).get(_HELD, ()) if each[0] == since]
        told[name] = [since, *(by_hand[-1][3:] if by_hand else (None, None, None))]
    if told:
        facts_of(order)[STANDING] = told
    elif order.facts is not None:
        order.facts = {name: each for name, each in order.facts.items() if name != STANDING} or None
    return sorted(found)


def _standing(order: Order) -> dict[str, str]:
    """name → since when, of the holds that stand now."""
    if order.canceled_at is not None:
        return {}
    latest = ((name, max((*held, *facts)), released) for name, held, facts, released in _all(order))
    return {name: since for name, since, released in latest if since > (released[-1] if released else "")}


def by_people(order: Order, standing: list[str]) -> list[str]:
    """The names of those of the `standing` holds that people made."""
    known = order.facts.get(HOLDS, {}) if order.facts is not None else {}
    return [name for name in standing if name in known and known[name][_HELD]]


def shipped_while_held(order: Order) -> bool:
    """True where a parcel left at a time at which the order was held.

    Providers' times are whole seconds, so a fact holds from the end of its second on: what left within it may have left before.
    """
    if order.canceled_at is not None or not order.fulfillments:
        return False
    every = list(_all(order, shipped=True))
    if not every:  # before the parcels are gone through, which each of their events would do
        return False
    left = [moment(at) for parcel in order.fulfillments if (at := parcel.shipped_at or parcel.delivered_at) is not None]
    from_then = [
        ([*((each, each) for each in held), *((each, _a_second_later(each)) for each in facts)], released)
        for _, held, facts, released in every
    ]
    return any(_held_at(at, since, released) for at in left for since, released in from_then)


def ending(facts: dict[str, Any] | None, now: datetime) -> list[tuple[str, datetime]]:
    """(name, end) of the holds in an order's facts that have ended by themselves by `now`, and are not released yet."""
    return [(name, until) for name, until in _untils(facts) if until <= now]


def next_end(order: Order) -> datetime | None:
    """The time at which the next of its holds ends by itself."""
    return min((until for _, until in _untils(order.facts)), default=None)


def _untils(facts: dict[str, Any] | None) -> Iterator[tuple[str, datetime]]:
    for name, known in (facts or {}).get(HOLDS, {}).items():
        last = known[_HELD][-1] if known[_HELD] else None
        if last is not None and last[3] is not None:
            released = known[_RELEASED][-1][0] if known[_RELEASED] else ""
            if released < last[0]:
                yield name, datetime.fromisoformat(last[3])


def _held_at(at: str, since: list[tuple[str, str]], released: list[str]) -> bool:
    """True where it is held at a time. `since`: (when it was held, from when on that holds back a parcel)."""
    start = max((time for time, holds_from in since if holds_from <= at), default="")
    return start > max((time for time in released if time <= at), default="")


def _a_second_later(time: str) -> str:
    return moment(datetime.fromisoformat(time) + timedelta(seconds=1))


def _all(order: Order, shipped: bool = False) -> Iterator[tuple[str, list[str], list[str], list[str]]]:
    """(name, the times at which people held it, those of the facts by which it is held, those of its releases) of each hold.

    `shipped`: also where nothing is open any more, since it has left.
    """
    known: dict[str, Any] = order.facts.get(HOLDS, {}) if order.facts is not None else {}
    derived = _derived(order, shipped)
    for name in known.keys() | derived.keys():
        mine = known.get(name, {_HELD: (), _RELEASED: ()})
        held, facts = [each[0] for each in mine[_HELD]], derived.get(name, [])
        if held or facts:
            yield name, held, facts, [each[0] for each in mine[_RELEASED]]


def _derived(order: Order, shipped: bool) -> dict[str, list[str]]:
    """name → the times of the facts by which an order is held."""
    payments, found = order.payments(), {}
    if payments.disputed:
        found[DISPUTED] = [
            dispute["at"][0]
            for payment in order.transactions
            if payment.facts is not None
            for dispute in payment.facts.get(DISPUTES, {}).values()
            if dispute["status"] not in (INQUIRY, WON)
        ]
    if payments.reversed and lacks_reversed_money(order):
        found[PAYMENT_REVERSED] = [moment(t.reversed_at) for t in order.transactions if t.reversed_at is not None]
    all_back = payments.captured and payments.refunded + settled(order) >= payments.captured
    if all_back and (shipped or order.goods().open):
        found[REFUNDED] = [max([_paid_back(order), *map(_went_back, order.transactions)])]
    if (back := _going_back(order)) and (shipped or order.goods().open):
        found[RETURNED_TO_SENDER] = back
    return {name: times for name, times in found.items() if any(times)}


def _going_back(order: Order) -> list[str]:
    """The times since which it is known of its parcels that they go back to their sender."""
    order.goods()  # keeps what is known of each
    return [moment(time_of(parcel.returned)) for parcel in order.fulfillments if parcel.returned is not None]


def _paid_back(order: Order) -> str:
    """The time of the last refund that was settled by hand, "" without any."""
    by_hand = order.facts.get(SETTLED, {}) if order.facts is not None else {}
    return max((place[0] for place in by_hand.values()), default="")


def _went_back(payment: Transaction) -> str:
    """The time of the last refund of a payment that stands, "" without any: it was asked for then, or told of."""
    facts = payment.facts or {}
    made = [refund.get("requested", refund["at"][0]) for refund in facts.get(REFUNDS, {}).values() if goes_back(refund)]
    reports = facts.get(REPORTS)
    if reports:
        most = max(Decimal(total) for _, total in reports)
        made.append(next(time for time, total in reports if Decimal(total) == most))
    return max(made, default="")


def _of(order: Order, name: str) -> dict[str, Any]:
    known: dict[str, Any] = facts_of(order).setdefault(HOLDS, {}).setdefault(name, {_HELD: [], _RELEASED: []})
    return known


def _where(held: list[Any]) -> list[Any]:
    return held[:3]
