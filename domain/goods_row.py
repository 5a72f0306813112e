"""The row of canceled items and completed returns: what each of them gives back of what was paid for the goods.

They stand in one row by the time that they happened, then by name, so that the amounts are the same in any order of
arrival. What a person states for one is no share of the others: what a restocking fee holds back does not come back
with the next return.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.dirty_tracking import touch
from domain.dues import called_off
from domain.item_cancels import item_cancels, time_of
from domain.movements import plain
from domain.order import Order, OrderItem
from domain.returns import Return, Status
from events.money import round_down

_NOTHING = Decimal(0)
_FIRST = ""  # sorts before any reference
_Place = tuple[datetime, str, str]  # time, name, id


@dataclass(slots=True)
class _Entry:
    """One of the row: its items, what was stated for it, and who takes its amount (and what was stated, if that is more)."""

    place: _Place
    lines: list[tuple[OrderItem, int]]
    stated: Decimal | None
    give: Callable[[Decimal, Decimal | None], None]


def settle_amounts(order: Order) -> None:
    """Give canceled items and completed returns their amounts.

    Each is what was stated, else its share: its lines' price less their share of the discount, and their tax, no
    shipping, rounded down to the currency's exponent; never more than the price and tax of its lines, nor than what is
    left of what was paid for the goods. The one that leaves nothing takes what rounding left over, unless its
    amount was stated.
    """
    goods = order.goods()
    new: list[Return] = []
    if order.returns:
        new, goods.unpriced = goods.unpriced, []
    cancels = item_cancels(order)
    if not new and not cancels:
        return
    paid = _paid_for_goods(order)
    before = goods.last_priced or max((_place(r) for r in order.returns if r.counted and r not in new), default=())
    one_more = goods.to_return and len(new) == 1 and not cancels
    if one_more and _place(new[0]) > before and _completed(new[0]):
        row, left = [_of_return(order, new[0])], paid - (goods.due_back - new[0].worth)
    else:
        row, left = [_of_return(order, back) for back in filter(_completed, order.returns)], paid
        row += [_of_cancel(order, name, cancel) for name, cancel in cancels.items()]
        row.sort(key=lambda entry: entry.place)
    if not row:
        return
    goods.last_priced = row[-1].place
    _hand_out(order, row, paid, left)


def _hand_out(order: Order, row: list[_Entry], paid: Decimal, left: Decimal) -> None:
    """Give each of a row its amount out of what is `left` of what was `paid` for the goods."""
    goods, currency = order.goods(), order.currency or ""
    price, taxed, rounded = goods.price(), _tax_of_goods(order), paid  # rounded: what no share accounts for
    for entry in row:
        cost, tax = worth(order, entry.lines)
        share = round_down(cost * (paid - taxed) / price + tax, currency) if price else _NOTHING
        rounded -= share
        stated = entry.stated
        if stated is not None:
            most = min(stated, round_down(cost + tax, currency))
        else:
            most = share + rounded if entry is row[-1] and goods.to_return == 0 else share
        amount = max(min(most, left), _NOTHING)
        left -= amount
        entry.give(amount, stated if stated != amount else None)  # what was stated beyond it is capped


def most_for(order: Order, lines: Iterable[tuple[OrderItem, int]]) -> Decimal:
    """The most that so many of these lines may give back now: their price and tax, and what is left of all."""
    price, tax = worth(order, lines)
    taken = order.goods().due_back + called_off(order)
    return min(round_down(price + tax, order.currency or ""), max(_paid_for_goods(order) - taken, _NOTHING))


def share_of(order: Order, lines: Iterable[tuple[OrderItem, int]]) -> Decimal:
    """The share of so many of these lines in what was paid for the goods, without regard to what was given back before."""
    price, paid, taxed = order.goods().price(), _paid_for_goods(order), _tax_of_goods(order)
    cost, tax = worth(order, lines)
    return round_down(cost * (paid - taxed) / price + tax, order.currency or "") if price else _NOTHING


def _of_return(order: Order, back: Return) -> _Entry:
    lines, stated = order.goods().lines, None
    if back.refund_stated:
        stated = back.stated_amount if back.stated_amount is not None else back.refund_amount or _NOTHING

    def give(amount: Decimal, beyond: Decimal | None) -> None:
        if (back.refund_amount, back.stated_amount) == (amount, beyond):
            return
        goods = order.goods()
        goods.capped += (beyond is not None) - (back.stated_amount is not None)
        back.refund_amount, back.stated_amount = amount, beyond
        touch(back)
        goods.count_return(back)

    return _Entry(_place(back), [(lines[s.order_item_id], s.quantity) for s in back.shares], stated, give)


def _of_cancel(order: Order, name: str, cancel: dict[str, Any]) -> _Entry:
    lines, stated = order.goods().lines, cancel["stated"]

    def give(amount: Decimal, _beyond: Decimal | None) -> None:
        cancel["amount"] = plain(amount)

    items = [(lines[line], quantity) for line, quantity in cancel["items"].items()]
    return _Entry((time_of(cancel), name, ""), items, None if stated is None else Decimal(stated), give)


def _completed(back: Return) -> bool:
    return back.status == Status.COMPLETED


def _place(back: Return) -> Any:
    return (back.completed_at, back.reference or _FIRST, back.id) if back.completed_at is not None else ()


def worth(order: Order, lines: Iterable[tuple[OrderItem, int]]) -> tuple[Decimal, Decimal]:
    """The price, and the tax, of so many of these lines; neither is rounded, nor is a discount taken off."""
    price = tax = _NOTHING
    for line, quantity in lines:
        price += line.unit_price * quantity
        if line.tax_amount is not None and order.tax_amount:
            tax += line.tax_amount * quantity / line.quantity
    if order.tax_amount and not _taxed_by_line(order):
        whole = order.goods().price()
        tax = order.tax_amount * price / whole if whole else _NOTHING
    return price, tax


def _paid_for_goods(order: Order) -> Decimal:
    """The price of the goods less the discount, and their tax."""
    return max(order.goods().price() - order.discount_amount, _NOTHING) + _tax_of_goods(order)


def _tax_of_goods(order: Order) -> Decimal:
    """The lines' tax where any has one, and the rest is shipping's; else the order's."""
    if not order.tax_amount:
        return _NOTHING
    if not _taxed_by_line(order):
        return order.tax_amount
    return min(sum((line.tax_amount or _NOTHING for line in order.items), _NOTHING), order.tax_amount)


def _taxed_by_line(order: Order) -> bool:
    return any(line.tax_amount is not None for line in order.items)
