"""The money of one order, added up: what came, what is due back, and what of that went back or is still owed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from domain.dues import settled, unanswered
from domain.movements import REFUNDS, UNDER_WAY, amount_of
from domain.refunds import due, payable

if TYPE_CHECKING:
    from domain.order import Order

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Balance:
    """Sums over all payments of an order, in its currency, major units.

    captured − lost is what is there. `due` of it is due back; `refunded`, `refunding` and `settled` count toward that,
    whoever made them. `owed` has yet to go back, and `failed` of it was tried in vain: a person tries again.
    """

    captured: Decimal
    reversed: Decimal  # captured once, and taken back by a bank
    lost: Decimal  # in disputes
    contested: Decimal  # in disputes that are open
    payable: Decimal  # the price of what the payers keep
    due: Decimal
    refunded: Decimal  # arrived, as far as is known
    refunding: Decimal  # made, and on its way
    settled: Decimal  # paid back past the providers
    failed: Decimal
    owed: Decimal

    @property
    def given_back(self) -> Decimal:
        """The sum that was given back, arrived or on its way, by a provider or by hand."""
        return self.refunded + self.refunding + self.settled


def balance(order: Order) -> Balance:
    """The balance of an order as it is known now."""
    payments, is_due, by_hand = order.payments(), due(order), settled(order)
    made = (each for t in order.transactions if t.facts is not None for each in t.facts.get(REFUNDS, {}).values())
    on_its_way = sum((amount_of(refund) for refund in made if refund["status"] in UNDER_WAY), _NOTHING)
    owed = max(is_due - payments.refunded - by_hand, _NOTHING)
    return Balance(
        captured=payments.captured,
        reversed=payments.ever_captured() - payments.captured,
        lost=payments.lost,
        contested=payments.contested,
        payable=_NOTHING if order.canceled_at is not None else payable(order),
        due=is_due,
        refunded=payments.refunded - on_its_way,
        refunding=on_its_way,
        settled=by_hand,
        failed=min(unanswered(order), owed),
        owed=owed,
    )
