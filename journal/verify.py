"""State is a fold of the journal (promise 6): fold every order anew, and compare field by field.

Each result carries the order's apply number, given under its row lock, and the clock and the policy
it was reached with. Folding by that number repeats every step, ids included, whatever order the
events had come in and however often settings have changed since. Reactions are left out: what they
made stands in the journal. `effects_suppressed` alone is no part of the fold; it is taken over as stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from itertools import takewhile
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Engine, text

from domain.dirty_tracking import NOT_STORED
from domain.fulfillment import Fulfillment, FulfillmentItem
from domain.handler_table import apply
from domain.ids import format_id
from domain.order import Order, OrderItem
from domain.order import Status as OrderStatus
from domain.outcome import Reason
from domain.policy import RULES, Context, Policy
from domain.returns import Return, ReturnItem
from domain.transaction import Transaction
from events.catalogue import AnyEvent, Event, ReturnRequested, decode, is_a
from journal.entries import Entry, read, shard_of
from journal.policy_store import all_policies
from journal.refund_check import refund_differences, stored_refunds
from journal.waits import Waits, waits_of
from storage.aggregates import peek
from storage.migrate import shards_fixed
from storage.pg_arrays import array

CHUNK = 500  # orders that are in memory at a time, and read in one snapshot
EVENTS = 5_000  # events that are, likewise; an order with more is read so many at a time
PAGE = 200  # events of a long history that are read at once: each may hold a thousand lines

Differ = Callable[[str, object, object], None]  # path, what is stored, what the fold says
Progress = Callable[[int, int], None]  # orders done, orders in all


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is stored otherwise than the journal tells. `order` is its number, "" where none is known."""

    order: str
    path: str
    stored: object
    folded: object

    def __str__(self) -> str:
        of = f"order {self.order}: " if self.order else ""
        return f"{of}{self.path}: stored {_plain(self.stored)}, by the journal {_plain(self.folded)}"

    def as_document(self) -> dict[str, str]:
        """JSON; values as texts."""
        return {
            "order": self.order,
            "path": self.path,
            "stored": _plain(self.stored),
            "folded": _plain(self.folded),
        }


@dataclass(slots=True)
class Report:
    """The counts of orders and events that were folded anew, and what differs."""

    orders: int = 0
    events: int = 0
    differences: list[Difference] = field(default_factory=list)

    def as_counts(self) -> dict[str, Any]:
        """JSON, without the differences."""
        return {"orders": self.orders, "events": self.events}

    def as_document(self) -> dict[str, Any]:
        """JSON, with all differences."""
        return {
            **self.as_counts(),
            "differences": [difference.as_document() for difference in self.differences],
        }


@dataclass(slots=True)
class Decided:
    """An event that took an apply number of its order, with its result."""

    entry: Entry
    seq: int
    order_id: str
    outcome: str
    reason: str | None
    implied: str | None
    apply_number: int
    parked_number: int | None  # the order's version when it was parked, if it ever was
    policy_id: int
    decided_at: datetime
    step_from: str | None
    step_to: str | None


def verify(engine: Engine, order_number: str | None = None, progress: Progress | None = None) -> Report:
    """Fold every order (or the one of that number) anew, and report what is stored otherwise.

    Shape:  five statements per chunk of orders, one snapshot each; then a few over all results.
    Locks:  none; may run beside the workers.
    """
    report = Report()
    report.differences += differences(engine, report, order_number, progress)
    return report


def differences(
    engine: Engine, report: Report, order_number: str | None = None, progress: Progress | None = None
) -> Iterator[Difference]:
    """The differences that `verify` reports, as they are found; `report` counts the orders and events. Never more in memory than a chunk."""
    with engine.connect() as conn:
        conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with conn.begin():
            shards = shards_fixed(conn)
            total = conn.execute(_TOTAL, {"number": order_number}).scalar_one()
        after = _FIRST
        while True:
            with conn.begin():
                ids = _chunk(conn, after, order_number)
                if not ids:
                    break
                yield from _verify_chunk(conn, ids, shards, report)
            after = ids[-1]
            if progress is not None:
                progress(report.orders, max(total, report.orders))
        with conn.begin():
            loose = conn.execute(_LOOSE_ENDS, {"number": order_number}, execution_options={"yield_per": CHUNK})
            for row in loose:
                yield Difference(*row)


def as_known_at(engine: Engine, order_number: str, at: datetime) -> Order | None:
    """The order as it was known at that time: the fold of what had been decided. None: it was not there yet."""
    with engine.connect() as conn:
        conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with conn.begin():
            ids = _chunk(conn, _FIRST, order_number)
            stored = next(iter(peek(conn, ids).values()), None)
            return None if stored is None else known_at(conn, stored, at)


def known_at(conn: Connection, stored: Order, at: datetime) -> Order | None:
    """The same for an order as it is stored, within the snapshot of `conn`."""
    # A prefix, whatever the workers' clocks: what came after something unknown was not known either.
    known = takewhile(lambda each: each.decided_at <= at, history_of(conn, stored.id))
    order = fold_order(stored, known, all_policies(conn), waits_of(conn, [stored.id]))
    return None if order.status == OrderStatus.NEW else order


def fold_order(
    order: Order,
    decided: Iterable[Decided],
    policies: dict[int, Policy],
    waits: Waits,
    differ: Differ | None = None,
) -> Order:
    """An order anew out of `decided` (in the order of their apply numbers), of which only `order`'s names are taken.

    Each event is applied with the clock and the policy of its result. `differ` is called with what comes out otherwise than
    recorded under these rules; without it an event that our code fails on raises.
    """
    made = Order(order.id, order.order_number, order.shard, effects_suppressed=order.effects_suppressed)
    for each in decided:
        event = _event(each, differ)
        if event is None:
            continue
        context = Context(each.decided_at, policies[each.policy_id], each.reason == Reason.ALREADY_DELIVERED)
        rejected: tuple[str, ...] = ()
        if is_a(event, ReturnRequested):  # the one type that looks at what waits beside it
            rejected, came_back = waits.at(order.id, event.data.return_, each.apply_number, each.decided_at)
            context = replace(context, came_back=came_back)
        before = made.status
        try:
            outcome = apply(made, event, context, rejected)
        except Exception as error:
            if differ is None:
                raise
            differ(_name(each), "applied", f"our own code fails on it: {type(error).__name__}: {error}")
            continue
        if differ is not None and policies[each.policy_id].rules == RULES:  # others were reached as they stand there
            recorded = (each.outcome, each.reason, each.implied, each.step_from, each.step_to)
            again = (outcome.kind, outcome.reason, outcome.implied, before, made.status)
            if recorded != again:
                for name, stored, folded in zip(_RECORDED, recorded, again, strict=True):
                    if stored != folded:
                        differ(f"{_name(each)}.{name}", stored, folded)
    return made


def compare(stored: Order, folded: Order) -> list[Difference]:
    """Every stored field of an order and its parts, ids included; times of writing are no state."""
    found: list[Difference] = []

    def differ(path: str, one: object, other: object) -> None:
        found.append(Difference(folded.order_number, path, one, other))

    _compare_fields(stored, folded, "", _ORDER_FIELDS, differ)
    names, stored_names = _names(folded), _names(stored)
    for part, (own_fields, natural) in _PARTS.items():
        here: dict[str, Any] = {one.id: one for one in getattr(stored, part)}
        rest = []
        for one in getattr(folded, part):
            match = here.pop(one.id, None)
            if match is None:
                rest.append(one)
            else:
                _compare_fields(match, one, f"{part}[{names[one.id]}].", own_fields, differ)
        # One of another id, but plainly the same thing, differs by that id only.
        by_nature = {natural(one): one for one in here.values()}
        for one in rest:
            match = by_nature.pop(natural(one), None)
            if match is None:
                differ(f"{part}[{names[one.id]}]", None, _row(one, own_fields))
            else:
                del here[match.id]
                _compare_fields(match, one, f"{part}[{names[one.id]}].", own_fields, differ)
        for one in here.values():
            differ(f"{part}[{stored_names[one.id]}]", _row(one, own_fields), None)
    return found


# -- steps -------------------------------------------------------------------------------------------------

_FIRST = "00000000-0000-0000-0000-000000000000"
_RECORDED = ("outcome", "reason", "implied", "step_from", "step_to")
_TOTAL = text("select count(*) from orders where cast(:number as text) is null or order_number = :number")
_NEXT = text(
    "select id, version from orders where id > cast(:after as uuid) "
    "and (cast(:number as text) is null or order_number = :number) order by id limit :most"
)
_DECIDED = text("""
    select seq, order_id, outcome, reason, implied, apply_number, parked_number, policy_id, decided_at,
           step_from, step_to
    from results where order_id = any(cast(:ids as uuid[])) and apply_number is not null order by apply_number, seq
""")


def _chunk(conn: Connection, after: str, number: str | None) -> list[str]:
    """The next orders: so many that their events fit into the memory, at least one."""
    ids: list[str] = []
    events = 0
    for order_id, version in conn.execute(_NEXT, {"after": after, "most": CHUNK, "number": number}):
        events += version
        if ids and events > EVENTS:
            break
        ids.append(order_id)
    return ids


def _verify_chunk(conn: Connection, ids: list[str], shards: int, report: Report) -> Iterator[Difference]:
    policies = all_policies(conn)
    orders = peek(conn, ids)
    long = sum(order.version for order in orders.values()) > EVENTS  # then it is one order
    decided = {} if long else _decided(conn, ids)
    waits, refunds = waits_of(conn, ids), stored_refunds(conn, ids)
    for order_id, stored in orders.items():
        own = history_of(conn, order_id) if long else iter(decided.pop(order_id, []))
        number = stored.order_number
        found: list[Difference] = []

        def differ(path: str, one: object, other: object, number: str = number, to: Any = found) -> None:
            to.append(Difference(number, path, one, other))

        if (shard := shard_of(number, shards)) != stored.shard:
            differ("shard", stored.shard, shard)
        numbered = _Numbered(own, differ)
        folded = fold_order(stored, numbered, policies, waits, differ)
        folded.version = numbered.count
        report.orders += 1
        report.events += numbered.count
        yield from found
        yield from compare(stored, folded)
        yield from (Difference(number, *each) for each in refund_differences(folded, refunds.get(order_id, {})))


class _Numbered:
    """Goes through an order's events, counts them, and tells of the first whose number does not fit."""

    def __init__(self, decided: Iterator[Decided], differ: Differ) -> None:
        self.count = 0
        self._decided, self._differ = decided, differ

    def __iter__(self) -> Iterator[Decided]:
        fits = True
        for each in self._decided:
            self.count += 1
            if fits and each.apply_number != self.count:  # the first hole or pair tells: the rest follows from it
                fits = False
                self._differ(f"{_name(each)}.apply_number", each.apply_number, self.count)
            yield each


def history_of(conn: Connection, order_id: str) -> Iterator[Decided]:
    """One order's numbered events, in the order of their numbers, few of them in memory at a time."""
    ids = {"ids": array([order_id], "uuid")}
    with conn.execute(_DECIDED, ids, execution_options={"yield_per": PAGE}) as found:
        for rows in found.partitions():
            entries = {entry.seq: entry for entry in read(conn, [row.seq for row in rows])}
            for row in rows:
                yield Decided(entries[row.seq], *row)


def _decided(conn: Connection, ids: Sequence[str]) -> dict[str, list[Decided]]:
    """order id → its numbered events, in the order of their numbers."""
    rows = conn.execute(_DECIDED, {"ids": array(ids, "uuid")}).all()
    entries = {entry.seq: entry for entry in read(conn, [row.seq for row in rows])}
    found: dict[str, list[Decided]] = {}
    for row in rows:
        found.setdefault(row.order_id, []).append(Decided(entries[row.seq], *row))
    return found


def _event(decided: Decided, differ: Differ | None) -> AnyEvent | None:
    """The event, read anew; None where that fails."""
    e = decided.entry
    try:
        body = decode(e.type, e.version, e.subject, e.data)
    except ValueError as error:
        if differ is None:
            raise
        differ(_name(decided), decided.outcome, f"cannot be read: {error}")
        return None
    return Event(e.seq, e.source, e.event_id, e.type, e.time, e.subject, body)


def _name(decided: Decided) -> str:
    e = decided.entry
    return f"event {e.seq} ({e.type} {e.source}/{e.event_id})"


# -- comparing ---------------------------------------------------------------------------------------------


def _own_fields(model: type[Any], *less: str) -> list[str]:
    return [f.name for f in fields(model) if f.name not in NOT_STORED and f.name not in less]


# An order's parts: the fields that are stored, and what tells a thing apart besides its id.
_PARTS: dict[str, tuple[list[str], Callable[[Any], object]]] = {
    "items": (_own_fields(OrderItem), attrgetter("position")),
    "transactions": (_own_fields(Transaction), attrgetter("payment_id")),
    "fulfillments": (_own_fields(Fulfillment), attrgetter("reference", "planned")),
    "fulfillment_items": (_own_fields(FulfillmentItem), attrgetter("fulfillment_id", "order_item_id")),
    "returns": (_own_fields(Return), attrgetter("reference", "requested_at")),
    "return_items": (_own_fields(ReturnItem), attrgetter("return_id", "order_item_id")),
}
_ORDER_FIELDS = _own_fields(Order, *_PARTS)


def _compare_fields(stored: Any, folded: Any, at: str, names: Sequence[str], differ: Differ) -> None:
    for name in names:
        one, other = getattr(stored, name), getattr(folded, name)
        if one != other:
            differ(at + name, one, other)


def _names(order: Order) -> dict[str, str]:
    """id of each part → what a person calls it."""
    names = {item.id: item.reference or f"line {item.position + 1}" for item in order.items}
    names |= {t.id: t.payment_id for t in order.transactions}
    for parcel in order.fulfillments:
        names[parcel.id] = parcel.reference or ("plan" if parcel.planned else format_id("fulfillments", parcel.id))
    names |= {back.id: back.reference or format_id("returns", back.id) for back in order.returns}
    for share in order.fulfillment_items:
        owner, item = share.fulfillment_id, share.order_item_id
        names[share.id] = f"{names.get(owner, owner)}/{names.get(item, item)}"
    for share_back in order.return_items:
        owner, item = share_back.return_id, share_back.order_item_id
        names[share_back.id] = f"{names.get(owner, owner)}/{names.get(item, item)}"
    return names


def _row(part: Any, names: Sequence[str]) -> str:
    """A whole part in a line: what is not said of it is left out."""
    values = ((name, getattr(part, name)) for name in names if name != "order_id")
    return ", ".join(f"{name} {_plain(value)}" for name, value in values if value not in (None, "", 0, False, []))


def _plain(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    return str(value)


# -- loose ends --------------------------------------------------------------------------------------------

# What must hold between results and what hangs on them; one statement, so one snapshot.
_LOOSE_ENDS = text("""
    select coalesce(o.order_number, ''), format('event %s (%s %s/%s)', j.seq, j.type, j.source, j.event_id),
           f.stored, f.due
    from (
        select p.seq, 'a row of parked, and the result ' || r.outcome as stored, 'the result parked' as due
        from parked p join results r using (seq) where r.outcome <> 'parked'
        union all
        select p.seq, format('parked for %s under %s', p.reason, coalesce(cast(p.order_id as text), p.key)),
               format('parked for %s under %s', r.reason, coalesce(cast(r.order_id as text), p.key))
        from parked p join results r using (seq)
        where r.outcome = 'parked' and (p.reason is distinct from r.reason or p.order_id is distinct from r.order_id)
        union all
        select r.seq, 'the result parked', 'a row of parked beside it'
        from results r where r.outcome = 'parked' and not exists (select from parked p where p.seq = r.seq)
        union all
        select r.seq, 'the result dead', 'an open dead letter beside it' from results r
        where r.outcome = 'dead' and not exists (select from dead_letters d where d.seq = r.seq and d.state = 'open')
        union all
        select d.seq, format('a dead letter %s, and the result %s', d.state, coalesce(r.outcome, 'nothing')),
               case d.state when 'open' then 'the result dead' else 'the result ignored (discarded)' end
        from dead_letters d left join results r using (seq) where d.seq is not null and (
            d.state = 'open' and r.outcome is distinct from 'dead'
            or d.state = 'discarded'
            and (r.outcome is distinct from 'ignored' or r.reason is distinct from 'discarded'))
        union all
        select r.seq, r.outcome || ', apply number ' || coalesce(cast(r.apply_number as text), 'none'),
               case r.outcome when 'applied' then 'an apply number' else 'no apply number' end
        from results r where r.outcome = 'applied' and r.apply_number is null
            or r.outcome in ('parked', 'dead') and r.apply_number is not null
        union all
        select r.seq, coalesce('a result of order ' || r.order_id, 'an apply number of no order'), 'an order of that id'
        from results r left join orders o on o.id = r.order_id
        where o.id is null and (r.order_id is not null or r.apply_number is not null)
    ) f join journal j using (seq) left join results r using (seq) left join orders o on o.id = r.order_id
    where cast(:number as text) is null or o.order_number = :number order by f.seq
""")
