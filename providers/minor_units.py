"""Whole numbers as amounts: how a provider writes money, which is not always as ISO 4217 has it.

Stripe sends 5,000 UGX as 500000, and takes no fils but those that end in a zero. So each provider that writes whole
numbers has a table of its own beside its adapter, with the page that it was taken from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

from events.money import Money, MoneyError, exponent, round_down


@dataclass(frozen=True, slots=True, eq=False)
class MinorUnits:
    """One provider's table: decimals by currency, and the steps that amounts must be a multiple of.

    A currency that is not named has `default` decimals; None: as many as ISO 4217 gives it.
    """

    source: str  # the page of the provider's documentation, and its date
    decimals: Mapping[str, int] = field(default_factory=dict)
    steps: Mapping[str, int] = field(default_factory=dict)  # in units; 1 where not named
    default: int | None = None

    def money(self, units: int, currency: str) -> Money:
        """Units as Money. MoneyError for what the currency cannot express."""
        code = currency.upper()
        return Money(Decimal(units).scaleb(-self._decimals(code)), code)

    def units(self, money: Money) -> int:
        """Money as units. MoneyError for what this provider cannot express: ask `payable` before."""
        units = money.amount.scaleb(self._decimals(money.currency))
        if units != units.to_integral_value() or units % self.steps.get(money.currency, 1):
            raise MoneyError(f"{money} cannot be sent: the least that moves is {self.least(money.currency)}")
        return int(units)

    def payable(self, amount: Decimal, currency: str) -> Decimal:
        """The part of an amount that can move there: what lies below the provider's step is not owed."""
        least = self.least(currency).amount
        return round_down((amount / least).to_integral_value(ROUND_DOWN) * least, currency)

    def least(self, currency: str) -> Money:
        """The smallest amount that can move."""
        step = Decimal(self.steps.get(currency, 1)).scaleb(-self._decimals(currency))
        return Money(max(step, Decimal(1).scaleb(-exponent(currency))), currency)

    def _decimals(self, code: str) -> int:
        found = self.decimals.get(code, self.default)
        return exponent(code) if found is None else found


ISO_4217 = MinorUnits("ISO 4217, List One: the decimals of each currency")
