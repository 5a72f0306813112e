"""Pauses: what rests until somebody resumes it, and how everything that claims work obeys.

    order        its events, timers and parcels' polls, its refunds, its deliveries; requests about it are refused
    event_type   events of that type; and, since what they would say is not known meanwhile, every timer
    provider     whatever is asked of a payment provider or tracking service: refunds, look-ups, comparisons, polls
    carrier      polls of its parcels
    effect       one kind of calls, for all: refunds, lookups, tracking, deliveries
    subscription its deliveries
    outward      the kill switch: all of those calls

What goes outward: the pause is a condition of the statement that claims (`rests`), so nothing that is paused is claimed
after it; what was claimed before and waits for a thread is looked at once more before it goes out (`Watch`), at most LOOK_S
later. It resumes with the row.

Events: a drain's first statement says whether any pause of events stands. Only then does it read them, under a shared lock, and
sets events that rest aside: their result is *parked*, under nobody (`Reason.PAUSED`), so that nothing but the end of the pause
tries them. Timers, replays, requests and the sweep ask the same, and settle with what rests (`Deferral.resting`): no route
leads around a pause. One that was resumed, or whose time is up, stays in force for drains until all that it set aside was
worked off, in the journal's order (`journal.pause_end`); the last look and its end are one transaction, under the same
lock alone. So no event is left aside, and none overtakes what waits before it in its order.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from time import monotonic
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from domain.outcome import PARKED, Reason
from events.catalogue import route_of
from events.errors import OrdersError
from journal.entries import Entry
from storage.pg_arrays import array
from storage.raw_sql import Statement

LOOK_S = 0.25  # how old an answer of `Watch` may be: a quarter of what a pause may take to be obeyed
EFFECTS = ("refunds", "lookups", "tracking", "deliveries")  # kinds of calls that go outward
LOCK = (
    77_004  # first key of an advisory lock, the second is 0: shared by who sets events aside, alone for a pause's end
)

_STANDS = "p.closed_at is null and p.resumed_at is null and (p.until is null or p.until > clock_timestamp())"
# Whether any events rest, as part of a statement of the drain: an index of no entries is all that it looks at.
ANY_EVENTS = "exists (select from pauses p where p.closed_at is null and p.kind in ('order', 'event_type'))"
# Whether a row `p` of parked rests, which came too early before its order or its type was paused: its time stands still.
PARKED_RESTS = """exists (
    select from pauses r where r.closed_at is null and (
        r.kind = 'order' and r.name = (select o.order_number from orders o where o.id = p.order_id)
        or r.kind = 'event_type' and r.name = (select j.type from journal j where j.seq = p.seq))
)"""
# Whether a timer of the order `o` rests: what an event that was set aside would say of its order, nobody knows.
TIMER_RESTS = """exists (
    select from pauses r where r.closed_at is null and (r.kind = 'event_type' or r.kind = 'order' and r.name = o.order_number)
)"""
_SHARE = Statement(f"select cast(pg_advisory_xact_lock_shared({LOCK}, 0) as text)")
_IN_FORCE = Statement("select kind, name from pauses where closed_at is null and kind in ('order', 'event_type')")
_OF_ORDERS = Statement(
    "select c.key from correlations c join orders o on o.id = c.order_id "
    "where c.key = any(cast(:keys as text[])) and o.order_number = any(cast(:numbers as text[]))"
)
_RESTING_ORDERS = Statement(
    "select id from orders where id = any(cast(:ids as uuid[])) and order_number = any(cast(:numbers as text[]))"
)
_SET_ASIDE = Statement(f"""
    with aside as (
        insert into results (seq, outcome, reason, policy_id, decided_at)
        select seq, '{PARKED}', '{Reason.PAUSED}', cast(:policy_id as smallint), clock_timestamp()
        from unnest(cast(:seqs as bigint[])) seq order by seq
        on conflict (seq) do nothing returning seq
    )
    insert into parked (seq, reason) select seq, '{Reason.PAUSED}' from aside returning seq
""")
_STANDING = text(f"select kind, name from pauses p where {_STANDS}")
# Any pause of events, before all others one that a request is about.
_REFUSING = Statement("""
    select kind, name, reason, "by", at, until, kind = 'order' and name = any(cast(:numbers as text[]))
        or kind = 'event_type' and name = any(cast(:types as text[])) as refuses
    from pauses p where p.closed_at is null and kind in ('order', 'event_type')
    order by refuses desc, at limit 1
""")


class _Refusing(NamedTuple):
    """A row of `_REFUSING`."""

    kind: str
    name: str
    reason: str
    by: str
    at: datetime
    until: datetime | None
    refuses: bool


_OUTWARD = text(f"""
    select kind, name, reason, "by", at, until from pauses p where {_STANDS} and (p.kind = 'outward'
        or p.kind = 'effect' and p.name = :effect or p.kind = 'provider' and p.name = :provider) order by at limit 1
""")
# What rests, as a sentence begins with it.
_WORDS = {
    "order": "order {name}",
    "event_type": "every {name}",
    "provider": "all that {name} is asked for",
    "carrier": "all polls of {name}",
    "effect": "the kind of calls {name}",
    "subscription": "all that subscription {name} is sent",
    "outward": "all that goes outward",
}


class Paused(OrdersError):
    """The thing that was asked for rests; nothing was changed."""

    code = "paused"
    remedy = "Wait, or resume it: `orders pauses` lists what rests, why and by whose word; `orders resume` ends it."
    status = 409


def rests(
    effect: str,
    *,
    order: str | None = None,
    provider: str | None = None,
    carrier: str | None = None,
    subscription: str | None = None,
) -> str:
    """The condition, for a statement that claims work of a kind (EFFECTS), under which a row of it rests.

    The other parameters are SQL: the order's number, and the names of whom the row is about.
    """
    named = {"order": order, "provider": provider, "carrier": carrier, "subscription": subscription}
    if effect not in EFFECTS:
        raise ValueError(f"{effect} is none of {', '.join(EFFECTS)}")
    of = [f"p.kind = '{kind}' and p.name = {sql}" for kind, sql in named.items() if sql is not None]
    any_of = " or ".join(("p.kind = 'outward'", f"p.kind = 'effect' and p.name = '{effect}'", *of))
    return f"exists (select from pauses p where {_STANDS} and ({any_of}))"


class Watch:
    """The pauses that stand, for who has claimed something and is about to go outward with it; LOOK_S old at most."""

    def __init__(self, engine: Engine, effect: str) -> None:
        self._engine, self._effect = engine, effect
        self._standing: frozenset[tuple[str, str]] = frozenset()
        self._looked = float("-inf")  # monotonic
        self._lock = threading.Lock()

    def rests(self, **of: str | None) -> bool:
        """True where calls of this kind rest, or of one of these: order=NUMBER, provider=, carrier=, subscription=."""
        with self._lock:
            if monotonic() > self._looked + LOOK_S:
                before = monotonic()
                with self._engine.connect() as conn:
                    self._standing = frozenset((row.kind, row.name) for row in conn.execute(_STANDING))
                self._looked = before
            standing = self._standing
        if not standing:
            return False
        return not standing.isdisjoint(
            (
                ("outward", ""),
                ("effect", self._effect),
                *((kind, name) for kind, name in of.items() if name is not None),
            )
        )


# -- events -----------------------------------------------------------------------------------------------------


class Resting(NamedTuple):
    """The events that rest: by type, and by the number of their order."""

    types: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()


NOTHING = Resting()


def in_force(conn: Connection) -> Resting:
    """The events that rest now, and until this transaction ends: no pause ends meanwhile."""
    _SHARE.run(conn, {})
    rows = _IN_FORCE.run(conn, {})
    return Resting(
        frozenset(name for kind, name in rows if kind == "event_type"),
        frozenset(name for kind, name in rows if kind == "order"),
    )


def going(conn: Connection, order_ids: Collection[str]) -> tuple[Resting, set[str]]:
    """(the events that rest, those of these orders that do not), until this transaction ends."""
    resting, rest = in_force(conn), set(order_ids)
    if resting.numbers and rest:
        named = {"ids": array(sorted(rest), "uuid"), "numbers": array(sorted(resting.numbers), "text")}
        rest -= {str(order_id) for (order_id,) in _RESTING_ORDERS.run(conn, named)}
    return resting, rest


def set_aside(conn: Connection, entries: Sequence[Entry], resting: Resting, policy_id: int) -> list[Entry]:
    """Set those of `entries` aside that rest, and → the others. Two statements at most, and none where nothing rests."""
    aside = resting_of(conn, entries, resting)
    if not aside:
        return list(entries)
    _SET_ASIDE.run(conn, {"seqs": array(sorted(aside), "bigint"), "policy_id": policy_id})
    return [entry for entry in entries if entry.seq not in aside]


def resting_of(conn: Connection, entries: Iterable[Entry], resting: Resting) -> set[int]:
    """Numbers of those that rest: by their type, their order's number, or a payment or parcel of such an order."""
    found: set[int] = set()
    keys: dict[str, list[int]] = {}
    for entry in entries:
        if entry.type in resting.types or entry.subject in resting.numbers:
            found.add(entry.seq)
        elif entry.subject is None and resting.numbers:
            keys.setdefault(route_of(entry.event_id, entry.type, None, entry.data), []).append(entry.seq)
    if keys:
        parameters = {"keys": array(sorted(keys), "text"), "numbers": array(sorted(resting.numbers), "text")}
        for (key,) in _OF_ORDERS.run(conn, parameters):
            found.update(keys[key])
    return found


def refuse(conn: Connection, numbers: Collection[str], types: Collection[str]) -> Resting:
    """Raise Paused where an order, or a type of event, rests that a request is about; → the events that rest beside."""
    named = {"numbers": array(sorted(numbers), "text"), "types": array(sorted(types), "text")}
    row = next((_Refusing(*found) for found in _REFUSING.run(conn, named)), None)
    if row is None:
        return NOTHING
    if row.refuses:
        raise Paused(
            f"{_WORDS[row.kind].format(name=row.name)} is paused by {row.by} since {_time(row.at)}{f' until {_time(row.until)}' if row.until else ''}: "
            f"{row.reason}; `orders resume {row.kind} {row.name}` resumes it. Nothing was changed"
        )
    return in_force(conn)


def refuse_outward(conn: Connection, effect: str, provider: str) -> None:
    """Raise Paused where calls of this kind to a provider rest: for what goes outward without a claim."""
    row = conn.execute(_OUTWARD, {"effect": effect, "provider": provider}).one_or_none()
    if row is not None:
        raise Paused(
            f"{_WORDS[row.kind].format(name=row.name)} is paused by {row.by} since {_time(row.at)}: {row.reason}; "
            f"`orders resume {row.kind} {row.name}".rstrip()
            + "` resumes it. Nothing was asked"
        )


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
