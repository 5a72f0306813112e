"""The price that an order's payers pay, and what of it is given back without a return: from the order's facts.

    accepted   the least amount that was taken as enough
    grants     refund → [place …, amount, paymentId, reason, personal]   asked for by a person
    allocated  refund → [place …, reason]           made at the provider by hand, and what it was for
    settled    refund → [place …, method, amount]   paid back by hand, past the provider
    canceled   cancellation → {at, items, stated, amount}   items that were taken out (domain/item_cancels.py)

Of two facts about one refund the later stands, so nothing here depends on the order of arrival. Money is in the order's
currency, major units.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from domain.movements import REFUNDS, amount_of, goes_back, untried

if TYPE_CHECKING:
    from domain.order import Order

ACCEPTED, GRANTS, ALLOCATED, SETTLED = "accepted", "grants", "allocated", "settled"
CANCELED = "canceled"
AS_DUE = "due"  # the reason of a refund that counts toward what is due, as one does that nobody allocated
_NOTHING = Decimal(0)


def note(order: Order, kind: str, name: str, place: list[Any], *values: Any) -> bool:
    """Note a fact of that kind about a refund, unless a later one was told. → whether it was noted."""
    facts = facts_of(order).setdefault(kind, {})
    if facts.get(name, [])[: len(place)] >= place:
        return False
    facts[name] = [*place, *values]
    return True


def facts_of(order: Order) -> dict[str, Any]:
    """The facts of an order, to be added to."""
    if order.facts is None:
        order.facts = {}
    return order.facts


def required(order: Order) -> Decimal:
    """The amount that covers the order: its total, or less where that was accepted, and less what was canceled of it."""
    accepted = _accepted(order)
    whole = order.total_amount if accepted is None else min(order.total_amount, accepted)
    return max(whole - called_off(order), _NOTHING)


def called_off(order: Order) -> Decimal:
    """The sum of what canceled items cost."""
    canceled = order.facts.get(CANCELED) if order.facts is not None else None
    return sum((Decimal(each["amount"]) for each in canceled.values()), _NOTHING) if canceled else _NOTHING


def base(order: Order) -> Decimal:
    """The price before anything is given back: the total; of an accepted underpayment what was paid, at least the accepted."""
    accepted = _accepted(order)
    if accepted is None:
        return order.total_amount
    return min(order.total_amount, max(accepted, order.captured()))


def granted(order: Order) -> Decimal:
    """The sum that is given back without a return: asked for, or made by hand and allocated, as long as that did not fail."""
    if order.facts is None:
        return _NOTHING
    asked = sum((Decimal(grant[4]) for grant in order.facts.get(GRANTS, {}).values()), _NOTHING)
    return asked + allocated_sum(order)


def allocated_sum(order: Order) -> Decimal:
    """The sum of refunds that were made by hand for a purpose of their own, and did not fail."""
    allocated = order.facts.get(ALLOCATED) if order.facts is not None else None
    if not allocated:
        return _NOTHING
    made = ((name, refund) for name, refund in _refunds(order) if name in allocated and goes_back(refund))
    return sum((amount_of(refund) for name, refund in made if allocated[name][4] != AS_DUE), _NOTHING)


def settled(order: Order) -> Decimal:
    """The sum that was paid back past the providers: of refunds that failed or were never made."""
    names = order.facts.get(SETTLED) if order.facts is not None else None
    if not names:
        return _NOTHING
    made = {name: refund for name, refund in _refunds(order) if name in names}
    grants = (order.facts or {}).get(GRANTS, {})
    amounts = []
    for name in names:
        if name in made:
            amounts.append(_NOTHING if goes_back(made[name]) else amount_of(made[name]))
        elif name in grants:
            amounts.append(Decimal(grants[name][4]))
        elif names[name][5] is not None:
            amounts.append(Decimal(names[name][5]))
    return sum(amounts, _NOTHING)


def unanswered(order: Order) -> Decimal:
    """The amount of refunds that failed and were neither tried again nor settled."""
    names = order.facts.get(SETTLED, ()) if order.facts is not None else ()
    return sum((untried(t.facts, names) for t in order.transactions if t.facts is not None), _NOTHING)


def asked_of(order: Order, payment_id: str) -> Decimal:
    """The sum that was asked for of this payment by name."""
    grants = order.facts.get(GRANTS, {}).values() if order.facts is not None else ()
    return sum((Decimal(grant[4]) for grant in grants if grant[5] == payment_id), _NOTHING)


def _accepted(order: Order) -> Decimal | None:
    accepted = order.facts.get(ACCEPTED) if order.facts is not None else None
    return None if accepted is None else Decimal(accepted)


def method_of(order: Order, name: str) -> str | None:
    """The method by which a person paid this refund back past the provider; None where nobody did."""
    settled_by_hand = order.facts.get(SETTLED, {}) if order.facts is not None else {}
    return str(settled_by_hand[name][4]) if name in settled_by_hand else None


def allocation_of(order: Order, name: str) -> str | None:
    """The purpose that a person gave this refund; None where nobody did, or it counts toward what is due."""
    allocated = order.facts.get(ALLOCATED, {}) if order.facts is not None else {}
    return str(allocated[name][4]) if name in allocated and allocated[name][4] != AS_DUE else None


def _refunds(order: Order) -> Iterator[tuple[str, dict[str, Any]]]:
    """(id, refund) of all payments."""
    for payment in order.transactions:
        if payment.facts is not None:
            yield from payment.facts.get(REFUNDS, {}).items()
