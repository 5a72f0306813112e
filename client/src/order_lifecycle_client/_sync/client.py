# Written by client/write_sync.py from _async; change that.
"""The clients that one makes and holds: one for a customer's page, one for the shop's backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, overload

from order_lifecycle_client import client_factory
from order_lifecycle_client._sync.api import ServerApi
from order_lifecycle_client._sync.collection import Collection
from order_lifecycle_client._sync.connection import Connection
from order_lifecycle_client._sync.customer_api import CustomerApi
from order_lifecycle_client.client_factory import BASE_URL
from order_lifecycle_client.codec import query_string, segment
from order_lifecycle_client.models import (
    Cart,
    CartItem,
    Document,
    Finding,
    Fulfillment,
    FulfillmentItem,
    Order,
    OrderItem,
    Page,
    Product,
    ProductOption,
    ProductVariant,
    Refund,
    Return,
    ReturnItem,
    TimelineEntry,
    Transaction,
)
from order_lifecycle_client.retry_policy import RETRIES, TIMEOUT_S, ask, timeline

Self = TypeVar("Self", bound="Client")


class Client:
    """A customer's client: read their own orders, ask for a return. Made by `create_client`.

    Use it as a context manager, or `close()` it. It may be shared by threads.
    """

    api: CustomerApi

    def __init__(self, base_url: str, headers: Mapping[str, str], timeout: float, retries: int) -> None:
        self._connection = Connection(base_url, headers, timeout, retries)
        self.api = CustomerApi(self._connection)

    @overload
    def from_(self, collection: Literal["orders"]) -> Collection[Order]: ...
    @overload
    def from_(self, collection: Literal["order-items", "order-products"]) -> Collection[OrderItem]: ...
    @overload
    def from_(self, collection: Literal["transactions"]) -> Collection[Transaction]: ...
    @overload
    def from_(self, collection: Literal["fulfillments"]) -> Collection[Fulfillment]: ...
    @overload
    def from_(self, collection: Literal["fulfillment-items"]) -> Collection[FulfillmentItem]: ...
    @overload
    def from_(self, collection: Literal["returns"]) -> Collection[Return]: ...
    @overload
    def from_(self, collection: Literal["return-items", "return-products"]) -> Collection[ReturnItem]: ...
    @overload
    def from_(self, collection: Literal["refunds"]) -> Collection[Refund]: ...
    @overload
    def from_(self, collection: Literal["findings"]) -> Collection[Finding]: ...
    @overload
    def from_(self, collection: Literal["carts"]) -> Collection[Cart]: ...
    @overload
    def from_(self, collection: Literal["cart-items"]) -> Collection[CartItem]: ...
    @overload
    def from_(self, collection: Literal["products"]) -> Collection[Product]: ...
    @overload
    def from_(self, collection: Literal["product-variants"]) -> Collection[ProductVariant]: ...
    @overload
    def from_(self, collection: Literal["product-options"]) -> Collection[ProductOption]: ...

    def from_(self, collection: str) -> Collection[Any]:
        """The collection of that name. Errors: ValueError where there is none."""
        model: type[Document] = client_factory.model_of(collection)
        return Collection(self._connection, collection, model)

    def timeline(self, order_id: str, *, limit: int = 10, page: int = 1) -> Page[TimelineEntry]:
        """Every event of an order with what became of it, newest last; `limit` 0 is all. Errors: NotFound."""
        path = f"/api/orders/{segment(order_id)}/timeline"
        return self._connection.send(ask(path, timeline, query_string(limit=limit, page=page)))

    def close(self) -> None:
        """Let go of the connections."""
        self._connection.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ServerClient(Client):
    """A backend's client: it may do everything. Made by `create_server_client`; keep it off customers' devices."""

    api: ServerApi

    def __init__(self, base_url: str, headers: Mapping[str, str], timeout: float, retries: int) -> None:
        super().__init__(base_url, headers, timeout, retries)
        self.api = ServerApi(self._connection)


def create_client(
    *,
    publishable_key: str,
    customer_token: str,
    base_url: str = BASE_URL,
    timeout: float = TIMEOUT_S,
    retries: int = RETRIES,
) -> Client:
    """A client that sees what is `customer_token`'s customer's; your backend makes the token (`api.customer_token`).

    `timeout` is seconds an attempt, `retries` how often it may be repeated. Errors: ValueError, naming the argument.
    """
    headers = client_factory.customer_headers(publishable_key, customer_token)
    return Client(client_factory.host_of(base_url), headers, timeout, retries)


def create_server_client(
    *,
    secret_key: str,
    publishable_key: str | None = None,
    base_url: str = BASE_URL,
    timeout: float = TIMEOUT_S,
    retries: int = RETRIES,
) -> ServerClient:
    """A client for a shop's backend. The secret key is enough; a `publishable_key` is taken, as the documented SDK takes
    it, and only checked.

    `timeout` is seconds an attempt, `retries` how often it may be repeated. Errors: ValueError, naming the argument.
    """
    headers = client_factory.server_headers(secret_key, publishable_key)
    return ServerClient(client_factory.host_of(base_url), headers, timeout, retries)
