"""Acts upon one order that a person may look at before they are done: the preview is the act itself, rolled back.

So a preview cannot say other than what happens. It names the order's version, and the act that is done after it is refused
where the order has changed meanwhile. An act has an id of its own, given with the preview: sent twice, it is done once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, text

from domain.balance import Balance, balance
from domain.holds import holds
from domain.ids import format_id
from domain.order import Order
from domain.policy import Policy
from events.envelope import OWN_SOURCE
from journal.batch import Shop
from journal.commands import CommandError, Known, Request, perform
from journal.entries import Entry
from operations import parcel_corrections
from operations.corrections import name_of_item
from storage.aggregates import peek

SOURCE = f"{OWN_SOURCE}/console"
Run = Callable[[Request, Order], object]

_BEFORE = text("select exists (select from journal where source = :source and event_id = :id)")
_REFUNDS = text("""
    select t.payment_id, t.provider, e.currency, e.target, e.made, e.state from effects e
    join transactions t on t.id = e.transaction_id where e.order_id = cast(:id as uuid) order by t.payment_id
""")


class OrderChanged(CommandError):
    """The order has changed since the preview that was agreed to."""

    code = "order_changed"
    remedy = "Look at the new preview, and agree to that."
    status = 409

    def __init__(self, number: str) -> None:
        super().__init__(f"order {number} has changed since the preview; nothing was done. Look at it anew")


class OrderAbsent(CommandError):
    """No order has this name, or its OrderCreated has not come."""

    code = "order_absent"
    remedy = "See `orders list`, or the console's list of orders."
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"no order is called {name!r}")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that the act changes: what it is (`of` names the item, parcel or payment), before and after."""

    what: str
    of: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an act, or of its preview: the order's version before, and all that changes."""

    number: str
    currency: str
    version: int
    changes: list[Change]
    refunds: list[Change]  # the sums that are to go back by each payment
    follows: list[str]  # types of the events that workers apply next
    entries: list[Entry]  # to be published after the commit; none of a preview


class _Previewed(Exception):
    """The end of a preview: what was done is rolled back with it."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def preview(engine: Engine, policy: Policy, shop: Shop, order_id: str, act_id: str, run: Run) -> Outcome:
    """All that `run` would change of the order; nothing is changed. Errors: OrderAbsent, and what `run` raises."""

    def work(request: Request) -> Outcome:
        raise _Previewed(_done(request, order_id, run, None))

    try:
        perform(engine, policy, shop, SOURCE, act_id, work)
    except _Previewed as previewed:
        return previewed.outcome
    raise AssertionError("a preview is rolled back")


def do(engine: Engine, policy: Policy, shop: Shop, order_id: str, act_id: str, run: Run, version: int) -> Outcome:
    """Do it, if the order's version is still that of the preview; publish its `entries`.

    Errors: OrderChanged, OrderAbsent; Known where an act of this id was done before; and what `run` raises.
    """
    outcome, entries = perform(
        engine, policy, shop, SOURCE, act_id, lambda request: _done(request, order_id, run, version)
    )
    outcome.entries.extend(entries)
    return outcome


def _done(request: Request, order_id: str, run: Run, version: int | None) -> Outcome:
    for order in request.lock([order_id]).values():
        if version is not None and request.conn.execute(_BEFORE, {"source": SOURCE, "id": request.id}).scalar():
            raise Known  # before the version is looked at, which the act itself has changed
        number, before, stood = order.order_number, order.version, picture(order)
        if version is not None and version != before:
            raise OrderChanged(number)
        owed = _refunds(request.conn, order_id)
        run(request, order)
        after = peek(request.conn, [order_id])[order_id]
        refunds = _changes(owed, _refunds(request.conn, order_id))
        follows = [entry.type for entry in request.deferred]
        return Outcome(
            number, after.currency or "", before, _changes(stood, picture(after)), refunds, follows, entries=[]
        )
    raise OrderAbsent(order_id)


def picture(order: Order) -> dict[tuple[str, str], Any]:
    """The order as far as a preview compares it: (what, of which item, parcel or payment) → its value."""
    found: dict[tuple[str, str], Any] = {
        ("status", ""): str(order.status),
        ("flags", ""): sorted(map(str, order.flags)),
        ("holds", ""): holds(order),
        ("customer", ""): order.customer,
    }
    money = balance(order)
    found |= {(f"money {each.name}", ""): getattr(money, each.name) for each in fields(Balance)}
    for item in order.items:
        name = name_of_item(item)
        for count in ("canceled", "shipped", "delivered", "returned"):
            found[f"items {count}", name] = getattr(item, f"{count}_quantity")
    for payment in order.transactions:
        found["payment", payment.payment_id] = str(payment.status)
    for parcel in order.fulfillments:
        found["parcel", parcel_corrections.name_of(parcel)] = str(parcel.status)
    for back in order.returns:
        found["return", back.reference or format_id("returns", back.id)] = str(back.status)
    return found


def _changes(before: dict[tuple[str, str], Any], after: dict[tuple[str, str], Any]) -> list[Change]:
    return [
        Change(*key, before.get(key), after.get(key))
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    ]


def _refunds(conn: Connection, order_id: str) -> dict[tuple[str, str], Any]:
    """(its provider, its payment) → the sum that is to have gone back, and where that stands."""
    rows = conn.execute(_REFUNDS, {"id": order_id})
    return {(row.provider or "", row.payment_id): (Decimal(row.target), str(row.state)) for row in rows}
