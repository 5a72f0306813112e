"""The clients that one makes and holds: one for a customer's page, one for the shop's backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, overload

from order_lifecycle_client import client_factory
from order_lifecycle_client._async.api import AsyncServerApi
from order_lifecycle_client._async.collection import AsyncCollection
from order_lifecycle_client._async.connection import AsyncConnection
from order_lifecycle_client._async.customer_api import AsyncCustomerApi
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

Self = TypeVar("Self", bound="AsyncClient")


class AsyncClient:
    """A customer's client: read their own orders, ask for a return. Made by `create_async_client`.

    Use it as a context manager, or `aclose()` it. It may be shared by tasks.
    """

    api: AsyncCustomerApi

    def __init__(self, base_url: str, headers: Mapping[str, str], timeout: float, retries: int) -> None:
        self._connection = AsyncConnection(base_url, headers, timeout, retries)
        self.api = AsyncCustomerApi(self._connection)

    @overload
    def from_(self, collection: Literal["orders"]) -> AsyncCollection[Order]: ...
    @overload
    def from_(self, collection: Literal["order-items", "order-products"]) -> AsyncCollection[OrderItem]: ...
    @overload
    def from_(self, collection: Literal["transactions"]) -> AsyncCollection[Transaction]: ...
    @overload
    def from_(self, collection: Literal["fulfillments"]) -> AsyncCollection[Fulfillment]: ...
    @overload
    def from_(self, collection: Literal["fulfillment-items"]) -> AsyncCollection[FulfillmentItem]: ...
    @overload
    def from_(self, collection: Literal["returns"]) -> AsyncCollection[Return]: ...
    @overload
    def from_(self, collection: Literal["return-items", "return-products"]) -> AsyncCollection[ReturnItem]: ...
    @overload
    def from_(self, collection: Literal["refunds"]) -> AsyncCollection[Refund]: ...
    @overload
    def from_(self, collection: Literal["findings"]) -> AsyncCollection[Finding]: ...
    @overload
    def from_(self, collection: Literal["carts"]) -> AsyncCollection[Cart]: ...
    @overload
    def from_(self, collection: Literal["cart-items"]) -> AsyncCollection[CartItem]: ...
    @overload
    def from_(self, collection: Literal["products"]) -> AsyncCollection[Product]: ...
    @overload
    def from_(self, collection: Literal["product-variants"]) -> AsyncCollection[ProductVariant]: ...
    @overload
    def from_(self, collection: Literal["product-options"]) -> AsyncCollection[ProductOption]: ...

    def from_(self, collection: str) -> AsyncCollection[Any]:
        """The collection of that name. Errors: ValueError where there is none."""
        model: type[Document] = client_factory.model_of(collection)
        return AsyncCollection(self._connection, collection, model)

    async def timeline(self, order_id: str, *, limit: int = 10, page: int = 1) -> Page[TimelineEntry]:
        """Every event of an order with what became of it, newest last; `limit` 0 is all. Errors: NotFound."""
        path = f"/api/orders/{segment(order_id)}/timeline"
        return await self._connection.send(ask(path, timeline, query_string(limit=limit, page=page)))

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._connection.aclose()

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class AsyncServerClient(AsyncClient):
    """A backend's client: it may do everything. Made by `create_async_server_client`; keep it off customers' devices."""

    api: AsyncServerApi

    def __init__(self, base_url: str, headers: Mapping[str, str], timeout: float, retries: int) -> None:
        super().__init__(base_url, headers, timeout, retries)
        self.api = AsyncServerApi(self._connection)


def create_async_client(
    *,
    publishable_key: str,
    customer_token: str,
    base_url: str = BASE_URL,
    timeout: float = TIMEOUT_S,
    retries: int = RETRIES,
) -> AsyncClient:
    """A client that sees what is `customer_token`'s customer's; your backend makes the token (`api.customer_token`).

    `timeout` is seconds an attempt, `retries` how often it may be repeated. Errors: ValueError, naming the argument.
    """
    headers = client_factory.customer_headers(publishable_key, customer_token)
    return AsyncClient(client_factory.host_of(base_url), headers, timeout, retries)


def create_async_server_client(
    *,
    secret_key: str,
    publishable_key: str | None = None,
    base_url: str = BASE_URL,
    timeout: float = TIMEOUT_S,
    retries: int = RETRIES,
) -> AsyncServerClient:
    """A client for a shop's backend. The secret key is enough; a `publishable_key` is taken, as the documented SDK takes
    it, and only checked.

    `timeout` is seconds an attempt, `retries` how often it may be repeated. Errors: ValueError, naming the argument.
    """
    headers = client_factory.server_headers(secret_key, publishable_key)
    return AsyncServerClient(client_factory.host_of(base_url), headers, timeout, retries)
