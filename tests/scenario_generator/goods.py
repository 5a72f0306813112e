"""Items of an order, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field
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
    tax: Decimal | None = None  # on top
    line_tax: dict[str, Decimal] = field(default_factory=dict)  # of some lines, within `tax`
    digital: frozenset[str] = frozenset()  # the lines that need no shipping

    @property
    def to_ship(self) -> dict[str, int]:
        """All that a parcel may hold."""
        return {item: n for item, n in self.ordered.items() if item not in self.digital}

    @property
    def total(self) -> Decimal:
        return self.worth(self.ordered) + self.shipping + (self.tax or 0) - self.discount

    @property
    def tax_of_goods(self) -> Decimal:
        """With the tax of any line the rest is shipping's."""
        return sum(self.line_tax.values(), Decimal(0)) if self.line_tax else self.tax or Decimal(0)

    def tax_on(self, items: dict[str, int]) -> Decimal:
        """Each line's own, else by price; not rounded."""
        if self.line_tax:
            return sum(
                (self.line_tax.get(item, Decimal(0)) * n / self.ordered[item] for item, n in items.items()), Decimal(0)
            )
        price = self.worth(self.ordered)
        return self.worth(items) * (self.tax or 0) / price if price else Decimal(0)

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
                    **({"taxAmount": written(self.line_tax[item])} if item in self.line_tax else {}),
                    **({"requiresShipping": False} if item in self.digital else {}),
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
        if self.tax is not None:
            data["taxAmount"] = written(self.tax)
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
    digital = frozenset(name for name in names if choices.chance(60)) if choices.chance(15) else frozenset()
    if free or not choices.chance(20):
        return Goods(currency, coin, ordered, price, discount, shipping, digital=digital)
    line_tax = (
        {name: coin * choices.number(0, 900) for name in names if choices.chance(60)} if choices.chance(50) else {}
    )
    tax = sum(line_tax.values(), Decimal(0)) + coin * choices.number(0, 900)
    return Goods(currency, coin, ordered, price, discount, shipping, tax, line_tax, digital)


def written(amount: Decimal) -> str:
    """An amount as it travels."""
    return format(amount, "f")


def _price(choices: Choices) -> int:
    return 0 if choices.chance(4) else choices.number(1, 20_000)
