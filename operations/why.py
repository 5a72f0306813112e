"""The reason why an order stands where it does, in one sentence: what it waits for, since when, and what would move it.

Each rule of RULES looks at an order and at what stands around it (timers, refunds, what is parked or was given up); the
first that fits speaks. Every open order has one: the last rule of each status always fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from domain.fulfillment import Fulfillment
from domain.holds import holds
from domain.ids import format_id
from domain.order import BEFORE_PAYMENT, ENDED, Order, Status
from domain.outcome import REASONS
from domain.refunds import RefundState
from domain.returns import Status as ReturnStatus
from operations.given_up import Thing, of_orders
from operations.overdue_refunds import OWED
from operations.reasons import EVENT
from storage.aggregates import peek
from storage.pg_arrays import array

CHUNK = 500  # orders in memory
NAMED = 3  # parcels, things or returns that a sentence names

S = Status


@dataclass(frozen=True, slots=True)
class Why:
    """The reason why an order waits. `waits_for` is a stable code; `by_itself_at`: something happens then without anybody."""

    order: str
    status: str
    waits_for: str
    what: str
    since: datetime | None
    moved_by: str
    by_itself_at: datetime | None = None

    @property
    def sentence(self) -> str:
        """The whole of it in one sentence."""
        since = f" since {_utc(self.since)}" if self.since is not None else ""
        return f"order {self.order} is {self.status} and waits for {self.what}{since}; {self.moved_by}"

    def as_document(self) -> dict[str, Any]:
        """The answer as JSON."""
        return {**asdict(self), "sentence": self.sentence}


@dataclass(slots=True)
class Around:
    """The surroundings of an order: when it took its last step, its timers, refunds, parked events, what was given up."""

    since: datetime | None = None
    timers: dict[str, datetime] = field(default_factory=dict)  # kind → due; those that act
    refunds: list[Any] = field(default_factory=list)  # id, state, owed, currency, due_since
    parked: list[Any] = field(default_factory=list)  # type, reason, until
    given_up: list[Thing] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Said:
    waits_for: str
    what: str
    moved_by: str
    since: datetime | None = None
    at: datetime | None = None


_SINCE = text("""
    select distinct on (r.order_id) r.order_id, j.time from results r join journal j using (seq)
    where r.order_id = any(cast(:ids as uuid[])) and r.step_from is distinct from r.step_to and r.step_to is not null
    order by r.order_id, r.apply_number desc
""")
_TIMERS = text("select order_id, kind, due from timers where order_id = any(cast(:ids as uuid[])) and not held")
_REFUNDS = text(f"""
    select e.order_id, e.id, e.state, t.refund_target - t.refunded_amount as owed, e.currency,
           coalesce(e.due_since, e.created_at) as due_since
    from effects e join transactions t on t.id = e.transaction_id
    where e.order_id = any(cast(:ids as uuid[])) and {OWED} order by e.id
""")
_PARKED = text("""
    select p.order_id, j.type, p.reason, p.until from parked p join journal j using (seq)
    where p.order_id = any(cast(:ids as uuid[])) order by p.seq
""")
_OPEN = text("""
    select id from orders where id > cast(:after as uuid) and placed_at is not null
      and (status <> all(cast(:ended as text[])) or exists (
          select from transactions t where t.order_id = orders.id and t.refund_target > t.refunded_amount))
    order by id limit :most
""")
_STANDS = text("select order_number, status from orders where id = :id")
_FIRST = "00000000-0000-0000-0000-000000000000"


def why(conn: Connection, ids: Sequence[str]) -> list[Why]:
    """The reasons why these orders wait, by id; one that waits for nothing is left out. Six statements for any number."""
    orders = peek(conn, ids)
    around = _around(conn, orders)
    return [said for order_id, order in orders.items() if (said := of(order, around[order_id])) is not None]


def stands(conn: Connection, order_id: str) -> tuple[str, str]:
    """(number, status) of an order by its id."""
    row = conn.execute(_STANDS, {"id": order_id}).one()
    return row.order_number, row.status


def each_open(conn: Connection) -> Iterator[Why]:
    """The reasons why open orders wait, the oldest first; never more than a chunk of them in memory."""
    after = _FIRST
    while ids := list(conn.execute(_OPEN, {"after": after, "ended": list(ENDED), "most": CHUNK}).scalars()):
        yield from why(conn, ids)
        after = ids[-1]


def of(order: Order, around: Around) -> Why | None:
    """The reason why an order waits; None where it has ended and nothing is owed."""
    for rule in RULES:
        if (said := rule(order, around)) is not None:
            return Why(
                order.order_number,
                str(order.status),
                said.waits_for,
                said.what,
                said.since or around.since or order.placed_at,
                said.moved_by,
                said.at,
            )
    return None


# -- rules, in the order in which they are asked -------------------------------------------------------------


def _for_a_person(order: Order, around: Around) -> _Said | None:
    """Something of it was given up, and only a person moves that."""
    if not around.given_up:
        return None
    first = around.given_up[0]
    more = f" and {len(around.given_up) - 1} more" if len(around.given_up) > 1 else ""
    what = f"a person: {first.type} was given up ({first.reason}){more}"
    return _Said("person", what, f"`orders given-up show {first.ref}` says what to do", first.died_at)


def _for_a_release(order: Order, around: Around) -> _Said | None:
    standing = holds(order)
    if not standing or order.status not in (S.PAID, S.PREPARING, S.SHIPPED) or order.is_shipped():
        return None
    moved = f"`orders release {order.order_number}` lets it ship"
    return _Said("release", f"its hold to be released ({', '.join(standing)})", moved, at=around.timers.get("hold"))


def _for_money(order: Order, around: Around) -> _Said | None:
    if order.status not in BEFORE_PAYMENT:
        return None
    expires = around.timers.get("unpaid")
    end = f"unless it is paid it expires {_utc(expires)}" if expires else "it does not expire by itself"
    captured, price = order.captured(), order.price()
    if 0 < captured < price:
        what = f"the rest of its money ({captured} of {price} {order.currency} came)"
        return _Said(
            "rest_of_money", what, f"more money, or `orders accept {order.order_number}`, moves it", at=expires
        )
    under_way = [each for each in order.transactions if each.pending_kind is not None and each.paid_at is None]
    if under_way:
        first = under_way[0]
        until = f" until {_utc(first.pending_until)}" if first.pending_until else ""
        what = f"payment {first.payment_id}, which is under way ({first.pending_kind}{until})"
        return _Said("payment_under_way", what, f"its provider's report moves it; {end}", at=expires)
    if order.status == S.FAILED:
        return _Said(
            "another_payment",
            "another payment, as every one failed",
            f"a payment that succeeds moves it; {end}",
            at=expires,
        )
    return _Said("payment", "its payment", f"the provider's report of the payment moves it; {end}", at=expires)


def _for_a_parked_event(order: Order, around: Around) -> _Said | None:
    """An event of it came too early: what it waits for is what the order waits for."""
    if not around.parked or order.status in (S.PENDING, S.FAILED, *ENDED):
        return None
    first = around.parked[0]
    what = f"what makes {first.type} applicable ({REASONS.get(first.reason, first.reason)})"
    moved = f"it is given up {_utc(first.until)}" if first.until else "it is never given up"
    return _Said("parked_event", what, moved, at=first.until)


def _for_parcels(order: Order, around: Around) -> _Said | None:
    if order.status not in (S.PAID, S.PREPARING, S.SHIPPED):
        return None
    out = [each for each in order.fulfillments if each.is_out()]
    left = sum(max(item.wanted() - item.shipped_quantity, 0) for item in order.items)
    if left:
        total = sum(item.wanted() for item in order.items)
        what = f"{left} of {total} items to ship"
        return _Said("shipment", what, "a FulfillmentShipped of the warehouse, or a carrier's first scan, moves it")
    since = max((each.shipped_at for each in out if each.shipped_at is not None), default=None)
    followed = all(each.carrier and each.tracking_number for each in out)
    moved = "a carrier's scan moves it" if followed else "a FulfillmentDelivered moves it: no carrier can be asked"
    return _Said("arrival", f"{_parcels(out)} to arrive", moved, since)


def _for_returns(order: Order, around: Around) -> _Said | None:
    open_ones = [
        each
        for each in order.returns
        if each.status in (ReturnStatus.REQUESTED, ReturnStatus.APPROVED, ReturnStatus.PROCESSING)
    ]
    if not open_ones:
        return None
    first = open_ones[0]
    name = first.reference or format_id("returns", first.id)
    if first.status == ReturnStatus.REQUESTED and first.for_staff:
        return _Said(
            "return_approval",
            f"a person to approve or reject return {name}",
            "ReturnApproved or ReturnRejected moves it",
            first.requested_at,
        )
    return _Said(
        "returned_goods",
        f"the goods of return {name} to come back",
        "ReturnCompleted or ReturnRejected moves it",
        first.requested_at,
    )


def _for_a_refund(order: Order, around: Around) -> _Said | None:
    owed = [each for each in around.refunds if each.owed > Decimal(0)]
    if order.status not in (*ENDED, S.DELIVERED) or not owed:
        return None
    first = owed[0]
    state = RefundState(first.state)
    who = {
        RefundState.ACCOUNT_NEEDED: "the customer's bank account",
        RefundState.STAFF: "a person to release its refund",
    }
    what = f"{who.get(state, 'its refund to go out')} ({first.owed} {first.currency} are owed)"
    return _Said("refund", what, state.words.format(id=format_id("effects", first.id)), first.due_since)


def _for_confirmation(order: Order, around: Around) -> _Said | None:
    if order.status != S.DELIVERED:
        return None
    due = around.timers.get("confirm")
    end = f"unless somebody does, it confirms itself {_utc(due)}" if due else "it does not confirm itself"
    return _Said("confirmation", "the customer to confirm it", end, order.last_delivery(), due)


RULES: tuple[Callable[[Order, Around], _Said | None], ...] = (
    _for_a_person, _for_a_release, _for_money, _for_a_parked_event, _for_parcels, _for_returns, _for_a_refund, _for_confirmation,
)  # fmt: skip


# -- steps ---------------------------------------------------------------------------------------------------


def _around(conn: Connection, orders: dict[str, Order]) -> dict[str, Around]:
    found = {order_id: Around() for order_id in orders}
    ids = {"ids": array(sorted(orders), "uuid")}
    for row in conn.execute(_SINCE, ids):
        found[row.order_id].since = row.time
    for row in conn.execute(_TIMERS, ids):
        found[row.order_id].timers[row.kind] = row.due
    for row in conn.execute(_REFUNDS, ids):
        found[row.order_id].refunds.append(row)
    for row in conn.execute(_PARKED, ids):
        found[row.order_id].parked.append(row)
    by_number = {order.order_number: order_id for order_id, order in orders.items()}
    for thing in of_orders(conn, list(by_number)):
        # A delivery that nobody took keeps no order from moving.
        if thing.kind != "delivery" and thing.order_number in by_number:
            things = found[by_number[thing.order_number]].given_up
            things.insert(0, thing) if thing.kind == EVENT and not things else things.append(thing)
    return found


def _parcels(parcels: Sequence[Fulfillment]) -> str:
    names = [f"{each.carrier or 'parcel'} {each.tracking_number or each.reference or ''}".strip() for each in parcels]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more if names else "its parcels"


def _utc(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"
