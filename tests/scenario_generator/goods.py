"""Items of an order, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from events.money import exponent
from tests.scenario_generator.choices import Choices

CURRENCIES = ("KRW", "USD", "BRL", "KWD")  # none, two, two and three decimals
NAMES = ("tea", "cup", "kettle", "spoon")


@dataclass(frozen=True)
class Goods:
    """An order's lines and amounts; money is counted in `coin`, the currency's smallest unit."""

    currency: str
    coin: Decimal
    ordered: dict[str, int]
    price: dict[str, Decimal]
    discount: Decimal
    shipping: Decimal

    @property
    def total(self) -> Decimal:
        return self.worth(self.ordered) + self.shipping - self.discount

    def worth(self, items: dict[str, int]) -> Decimal:
        """The price of these items, before any discount."""
        return sum((self.price[item] * n for item, n in items.items()), Decimal(0) * self.coin)

    def data(self, choices: Choices) -> dict[str, Any]:
        """The fields of OrderCreated that follow from the goods; what is 0 may be left out."""
        data: dict[str, Any] = {
            "items": [
                {
                    "item": item,
                    "product": f"prod_{item}",
                    "quantity": quantity,
                    "unitPrice": written(self.price[item]),
                }
                for item, quantity in self.ordered.items()
            ],
            "totalAmount": written(self.total),
        }
        if self.currency != "KRW" or choices.chance(50):  # the shop's own may stay unsaid
            data["currency"] = self.currency
        if self.discount or choices.chance(20):
            data["discountAmount"] = written(self.discount)
        if self.shipping or choices.chance(20):
            data["shippingAmount"] = written(self.shipping)
        return data


def some_goods(choices: Choices) -> Goods:
    """One to four lines; seldom none at all (a donation), seldom an order that costs nothing."""
    currency = choices.pick(CURRENCIES)
    coin = Decimal(1).scaleb(-exponent(currency))
    names = () if choices.chance(4) else NAMES[: choices.pick((1, 2, 2, 3, 4))]
    ordered = {name: choices.pick((1, 1, 2, 3)) for name in names}
    price = {name: _price(choices) * coin for name in names}
    worth = sum((price[name] * n for name, n in ordered.items()), Decimal(0))
    free = bool(names) and choices.chance(8)
    discount = worth if free else Decimal(0)
    if not free and choices.chance(35):
        discount = coin * choices.number(0, int(worth / coin))
    shipping = Decimal(0) if free or choices.chance(50) else coin * choices.number(1, 3000)
    if not names and not shipping:
        shipping = coin * choices.number(1, 3000)
    return Goods(currency, coin, ordered, price, discount, shipping)


def written(amount: Decimal) -> str:
    """An amount as it travels."""
    return format(amount, "f")


def _price(choices: Choices) -> int:
    return 0 if choices.chance(4) else choices.number(1, 20_000)
