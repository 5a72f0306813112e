"""Tax-free part and VAT of what is due back, for providers that ask for them apart.

Korean payments tell tax-free goods and VAT apart, and PortOne and Toss Payments take an omitted tax-free amount for none:
an order with tax-free lines must say how much of a refund is of those. VAT is told where the order has tax of its own on
top of the prices; where prices contain it, the provider computes it. All of it follows from the order's state.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from domain.goods_row import worth
from domain.item_cancels import item_cancels
from domain.refunds import due
from domain.returns import Status
from events.money import round_down

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.order import Order, OrderItem

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class TaxParts:
    """Parts of a sum, in its currency, major units."""

    tax_free: Decimal
    vat: Decimal | None = None  # None: the provider computes it

    def share(self, of: Decimal, whole: Decimal, currency: str) -> TaxParts:
        """The parts of a payment that gives back `of` of the `whole`, rounded down."""
        if of == whole or not whole:
            return self
        vat = None if self.vat is None else round_down(self.vat * of / whole, currency)
        return TaxParts(round_down(self.tax_free * of / whole, currency), vat)


def parts_due(order: Order) -> TaxParts | None:
    """The parts of all that is due back, whether it has gone back or not; None where no line is tax-free.

    A completed return and canceled items have those of their lines; the whole order, and what is given back without a return,
    those of all lines. Never more than the order has. Shipping is taxed.
    """
    price = order.goods().price()
    if not price or not order.total_amount or not any(line.tax_free for line in order.items):
        return None
    kept = max(price - order.discount_amount, _NOTHING) / price  # of a price, after the discount
    free, tax = _of(order, [(line, line.quantity) for line in order.items], kept)[0], order.tax_amount
    left, tax_free, vat = due(order), _NOTHING, _NOTHING
    for lines, given in _parts(order) if order.canceled_at is None else ():
        its_free, its_tax, whole = _of(order, lines, kept)
        amount = min(given, left)
        left -= amount
        if whole:
            tax_free += amount * its_free / whole
            vat += amount * its_tax / whole
    tax_free += left * free / order.total_amount
    vat += left * tax / order.total_amount
    currency = order.currency or ""
    return TaxParts(round_down(min(tax_free, free), currency), round_down(min(vat, tax), currency) if tax else None)


def _parts(order: Order) -> Iterator[tuple[list[tuple[OrderItem, int]], Decimal]]:
    """The lines and the amount of each completed return and item cancel."""
    lines = order.goods().lines
    for back in order.returns:
        if back.status == Status.COMPLETED and back.refund_amount:
            yield [(lines[share.order_item_id], share.quantity) for share in back.shares], back.refund_amount
    for cancel in item_cancels(order).values():
        yield [(lines[name], quantity) for name, quantity in cancel["items"].items()], Decimal(cancel["amount"])


def _of(order: Order, lines: list[tuple[OrderItem, int]], kept: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    """(tax-free, tax, all) of so many of these lines, after the discount."""
    price, tax = worth(order, lines)
    free = sum((line.unit_price * quantity for line, quantity in lines if line.tax_free), _NOTHING)
    return free * kept, tax, price * kept + tax
