"""The bodies of requests. Keys are snake_case; the API's own camelCase is taken as well."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, Required, TypedDict

Amount = Decimal | int | str  # money; never a float, whose digits are not those that you wrote
Where = Mapping[str, Any]  # {"status": {"equals": "paid"}, "or": [{…}, {…}]}
Select = Mapping[str, bool]
Joins = Mapping[str, Any] | Literal[False]  # {"products": {"limit": 5}, "returns": False}; False: no joins at all

OrderStatus = Literal["preparing", "shipped", "delivered", "confirmed", "canceled"]
TransactionStatus = Literal["paid", "failed", "canceled"]
FulfillmentStatus = Literal["packed", "shipped", "delivered", "failed"]
CorrectedStatus = Literal["pending", "packed", "shipped", "delivered", "failed"]
ReturnStatus = Literal["approved", "rejected", "processing", "completed"]
RefundReason = Literal["goodwill", "shipping", "other"]
Allocation = Literal["goodwill", "shipping", "other", "due"]
Reason = Literal["change_of_mind", "defective", "wrong_delivery", "damaged", "other"]


class CustomerSnapshotInput(TypedDict, total=False):
    """The customer who orders, as of now."""

    name: str | None
    email: str | None
    phone: str | None


class ShippingAddressInput(TypedDict, total=False):
    """The address that the order goes to."""

    recipient_name: str | None
    phone: str | None
    postal_code: str | None
    address1: str | None
    address2: str | None
    delivery_message: str | None


class OrderProductInput(TypedDict, total=False):
    """A line of a new order. Ids are those of the shop's catalogue."""

    product: Required[str]
    variant: str | None
    option: str | None
    quantity: Required[int]
    unit_price: Required[Amount]
    requires_shipping: bool | None  # False: it is delivered once the order is paid


class OrderedProductInput(OrderProductInput, total=False):
    """A line of a new order, with the tax on top of its price, for all of the line."""

    tax_amount: Amount | None
    tax_free: bool | None


class RefundAccountInput(TypedDict, total=False):
    """The bank account that a refund goes to; `bank` is the code of the payment's provider."""

    bank: Required[str]
    number: Required[str]
    holder_name: Required[str]
    holder_phone_number: str | None


class ItemInput(TypedDict):
    """So many of one order item, by its `reference` or its id."""

    order_item: str
    quantity: int


class ProductInput(TypedDict, total=False):
    """A product as the shop tells it. A field that is left out becomes empty."""

    id: Required[str]
    title: Required[str]
    sku: str | None
    price: Amount | None
    image: str | None


class ProductVariantInput(ProductInput, total=False):
    """A variant of `product`, as the shop tells it."""

    product: Required[str]


class ProductOptionInput(ProductInput, total=False):
    """An option of `variant`, as the shop tells it."""

    variant: Required[str]
