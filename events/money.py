"""Money: a Decimal with its currency's exponent (ISO 4217), never a float.

Amounts are in major units everywhere (12000 KRW, 12.50 BRL). Providers that speak minor units are
converted at the rim by `Money.from_minor`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from functools import lru_cache

from events.errors import OrdersError

# ISO 4217, the currencies whose exponent is not 2.
EXPONENTS = (
    dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
    | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
    | dict.fromkeys("CLF UYW".split(), 4)
)

_CODE = re.compile(r"[A-Z]{3}")


class MoneyError(OrdersError, ValueError):
    """An amount or a currency that cannot be money; the message names it."""

    code = "amount_refused"
    remedy = "Send plain decimal digits, no more decimals than the currency has, and a code of ISO 4217."
    status = 400


@lru_cache(maxsize=256)
def exponent(currency: str) -> int:
    """Decimals of `currency`; MoneyError unless it looks like an ISO 4217 code."""
    if not _CODE.fullmatch(currency):
        raise MoneyError(f"{currency!r} is no currency; use a code of ISO 4217 such as KRW")
    return EXPONENTS.get(currency, 2)


@lru_cache(maxsize=256)
def _least(currency: str) -> Decimal:
    """The smallest amount of `currency` there is."""
    return Decimal(1).scaleb(-exponent(currency))


def round_down(amount: Decimal, currency: str) -> Decimal:
    """`amount` cut to what `currency` can express."""
    return amount.quantize(_least(currency), rounding=ROUND_DOWN)


def check(amount: Decimal, currency: str) -> Decimal:
    """`amount` itself, or MoneyError where it has more decimals than `currency`."""
    if amount != amount.quantize(_least(currency)):
        raise MoneyError(f"{amount} {currency} has more than {exponent(currency)} decimals")
    return amount


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in major units of one currency."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        try:
            check(self.amount, self.currency)
        except InvalidOperation as error:
            raise MoneyError(f"{self.amount} is no amount of money") from error

    @classmethod
    def from_minor(cls, units: int, currency: str) -> Money:
        """Minor units (Stripe's cents) to Money: 1250 of USD are 12.50, 1250 of KRW are 1250."""
        code = currency.upper()
        return cls(Decimal(units).scaleb(-exponent(code)), code)

    def to_minor(self) -> int:
        """The amount in minor units: 12.50 USD are 1250."""
        return int(self.amount.scaleb(exponent(self.currency)))

    def as_data(self) -> dict[str, str]:
        """The two fields of an event's data: amounts travel as decimal strings."""
        return {"amount": format(self.amount, "f"), "currency": self.currency}

    def __str__(self) -> str:
        return f"{self.amount:,} {self.currency}"
