"""Reactions to an order's state: follow-up events, timers and refunds, as data.

Follow-ups are journaled in the transaction that caused them. Verify folds without this module:
what it once made stands in the journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.holds import HOLDS, next_end
from domain.ids import derived, format_id
from domain.order import AFTER_DELIVERY, BEFORE_PAYMENT, Order, Status
from domain.policy import Context
from domain.returns import Status as ReturnStatus
from domain.transaction import Transaction
from events.catalogue import AnyEvent
from events.envelope import OWN_SOURCE

_NEW = str(Status.NEW)
UNPAID, CONFIRM, HOLD = "unpaid", "confirm", "hold"  # the kinds of timer


@dataclass(slots=True)
class Timer:
    """A row that becomes an event when due: OrderExpired (unpaid), OrderConfirmed (confirm) or OrderReleased (hold)."""

    order_id: str
    kind: str
    due: datetime
    effects_suppressed: bool


@dataclass(slots=True)
class Reactions:
    """The follow-ups, timers and refunds that an event led to. `refunds` are transactions whose refund is to be weighed anew."""

    follow_ups: list[tuple[str, dict[str, Any]]]
    timers: list[Timer]
    refunds: list[Transaction]


def react(order: Order, before: str, event: AnyEvent, context: Context) -> Reactions | None:
    """The reactions to `event`, which brought the order from status `before` to where it is."""
    status, payments, goods = order.status, order.payments_kept, order.goods_kept
    # Most events lead to nothing: a list is made only for what there is.
    follow_ups: list[tuple[str, dict[str, Any]]] | None = None
    timers: list[Timer] | None = None
    refunds: list[Transaction] | None = None
    plan = order.plan() if goods is None else goods.plan
    to_ship = plan is None and status in _SHIPPABLE and not order.is_shipped()
    if to_ship and (shares := order.open_shares()):
        name = format_id("fulfillments", derived(context.now, event.source, event.id, "plan"))
        items = [{"item": item.reference or format_id("order-items", item.id), "quantity": n} for item, n in shares]
        follow_ups = [("FulfillmentCreated", {"fulfillment": name, "items": items})]
    if order.returns and (answers := _answers(order)):
        follow_ups = [*(follow_ups or ()), *answers]
    stepped = status != before and (before == _NEW or status in AFTER_DELIVERY)
    if stepped or (goods is not None and goods.unconfirmed) or (payments is not None and payments.rescheduled):
        timers = _timers(order, before, event, context)
    if order.facts is not None and HOLDS in order.facts and event.type in _OF_HOLDS and (until := next_end(order)):
        # Of history, too: its release sends nothing to anybody.
        timers = [*(timers or ()), Timer(order.id, HOLD, until, False)]
    if payments is not None and payments.moved:
        refunds, payments.moved = payments.moved, []
    if follow_ups or timers or refunds:
        return Reactions(follow_ups or [], timers or [], refunds or [])
    return None


def _answers(order: Order) -> list[tuple[str, dict[str, Any]]]:
    """The next steps of returns that nobody has to decide on."""
    made: list[tuple[str, dict[str, Any]]] = []
    for back in order.goods().unanswered.values():
        name = back.reference or format_id("returns", back.id)
        step = "ReturnApproved" if back.status == ReturnStatus.REQUESTED else "ReturnProcessingStarted"
        made.append((step, {"return": name, "by": "policy"}))
    return made


def _timers(order: Order, before: str, event: AnyEvent, context: Context) -> list[Timer]:
    """The timers that a step of the order starts, or what moves their ends."""
    timers: list[Timer] = []
    status, policy = order.status, context.policy
    if before == _NEW and status in BEFORE_PAYMENT and policy.unpaid_after is not None:
        timers.append(_timer(order, UNPAID, event.time + policy.unpaid_after, context))
    payments = order.payments_kept
    if payments is not None and payments.rescheduled:
        payments.rescheduled = False
        if status in BEFORE_PAYMENT and policy.unpaid_after is not None and order.placed_at is not None:
            due, until = order.placed_at + policy.unpaid_after, payments.under_way_until()
            timers.append(_timer(order, UNPAID, due if until is None else max(due, until), context))
    goods = order.goods_kept
    arriving = status in AFTER_DELIVERY and before not in AFTER_DELIVERY
    if goods is not None and goods.unconfirmed:
        goods.unconfirmed, arriving = False, status in AFTER_DELIVERY
    if arriving and policy.confirm_after is not None and not order.confirmed_at:
        arrived = order.last_delivery() or event.time
        timers.append(_timer(order, CONFIRM, arrived + policy.confirm_after, context))
    return timers


def awaits(kind: str, status: str, confirmed: bool) -> bool:
    """True while a timer of this kind has anything left to do for an order of this status.

    What was once paid or ended never expires; an order that has to arrive again starts a timer anew when it does.
    """
    if kind == HOLD:
        return status != Status.CANCELED
    if kind == UNPAID:
        return status in BEFORE_PAYMENT
    return status in AFTER_DELIVERY and status != Status.RETURNED and not confirmed


def follow_up_id(order: Order, cause: AnyEvent, number: int, kind: str) -> tuple[str, str]:
    """(source, id) of a follow-up: the same for the same cause, so that it is journaled once."""
    return OWN_SOURCE, derived(cause.time, order.id, cause.source, cause.id, kind, str(number))


def _timer(order: Order, kind: str, due: datetime, context: Context) -> Timer:
    """Due no sooner than a grace after we learned of it: a backfill expires nobody before its own events came."""
    return Timer(order.id, kind, max(due, context.now + context.policy.grace), order.effects_suppressed)


_SHIPPABLE = frozenset((Status.PAID, Status.PREPARING, Status.SHIPPED))
_OF_HOLDS = frozenset(("OrderHeld", "OrderReleased"))
