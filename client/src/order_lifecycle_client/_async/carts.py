"""Carts, and the shop's catalogue: two parts of the Server API."""

from __future__ import annotations

from collections.abc import Sequence

from order_lifecycle_client._async.connection import AsyncConnection
from order_lifecycle_client.codec import segment
from order_lifecycle_client.models import Cart, Product, ProductOption, ProductVariant
from order_lifecycle_client.request_types import Amount, ProductInput, ProductOptionInput, ProductVariantInput
from order_lifecycle_client.retry_policy import doc, docs, write


class AsyncCarts:
    """Carts: what a customer is about to order. Every change answers the cart as it is then.

    Errors: NotFound for no such cart or line; Conflict for a cart that became an order.
    """

    _connection: AsyncConnection

    async def create_cart(
        self, *, customer: str | None = None, currency: str | None = None, idempotency_key: str | None = None
    ) -> Cart:
        """A new cart, empty."""
        body = {"customer": customer, "currency": currency}
        return await self._connection.send(
            write("POST", "/api/carts", doc(Cart), body, idempotency_key=idempotency_key)
        )

    async def add_cart_item(
        self,
        cart_id: str,
        *,
        product: str,
        quantity: int,
        unit_price: Amount,
        variant: str | None = None,
        option: str | None = None,
        requires_shipping: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Cart:
        """Add a line to a cart; with `requires_shipping` False it is delivered once the order is paid."""
        body = {
            "product": product,
            "variant": variant,
            "option": option,
            "quantity": quantity,
            "unit_price": unit_price,
            "requires_shipping": requires_shipping,
        }
        path = f"/api/carts/{segment(cart_id)}/items"
        return await self._connection.send(write("POST", path, doc(Cart), body, idempotency_key=idempotency_key))

    async def update_cart_item(
        self, cart_id: str, item_id: str, *, quantity: int, idempotency_key: str | None = None
    ) -> Cart:
        """So many of a line."""
        path = f"/api/carts/{segment(cart_id)}/items/{segment(item_id)}"
        body = {"quantity": quantity}
        return await self._connection.send(write("PATCH", path, doc(Cart), body, idempotency_key=idempotency_key))

    async def remove_cart_item(self, cart_id: str, item_id: str, *, idempotency_key: str | None = None) -> Cart:
        """Remove a line from a cart."""
        path = f"/api/carts/{segment(cart_id)}/items/{segment(item_id)}"
        return await self._connection.send(write("DELETE", path, doc(Cart), idempotency_key=idempotency_key))


class AsyncCatalogue:
    """Thin copies of what the shop sells, so that order items can show it. A field that is left out becomes empty."""

    _connection: AsyncConnection

    async def put_product(
        self,
        id: str,
        *,
        title: str,
        sku: str | None = None,
        price: Amount | None = None,
        image: str | None = None,
        idempotency_key: str | None = None,
    ) -> Product:
        """A product, new or in place of what was there."""
        body = {"title": title, "sku": sku, "price": price, "image": image}
        path = f"/api/products/{segment(id)}"
        return await self._connection.send(write("PUT", path, doc(Product), body, idempotency_key=idempotency_key))

    async def put_products(
        self, products: Sequence[ProductInput], *, idempotency_key: str | None = None
    ) -> list[Product]:
        """Many products: all of them or none. At most 1000."""
        call = write("PUT", "/api/products", docs(Product), list(products), idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def put_product_variant(
        self,
        id: str,
        *,
        product: str,
        title: str,
        sku: str | None = None,
        price: Amount | None = None,
        image: str | None = None,
        idempotency_key: str | None = None,
    ) -> ProductVariant:
        """A variant of a product, new or in place of what was there."""
        body = {"product": product, "title": title, "sku": sku, "price": price, "image": image}
        path = f"/api/product-variants/{segment(id)}"
        call = write("PUT", path, doc(ProductVariant), body, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def put_product_variants(
        self, variants: Sequence[ProductVariantInput], *, idempotency_key: str | None = None
    ) -> list[ProductVariant]:
        """Many variants: all of them or none. At most 1000."""
        path, body = "/api/product-variants", list(variants)
        call = write("PUT", path, docs(ProductVariant), body, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def put_product_option(
        self,
        id: str,
        *,
        variant: str,
        title: str,
        sku: str | None = None,
        price: Amount | None = None,
        image: str | None = None,
        idempotency_key: str | None = None,
    ) -> ProductOption:
        """An option of a variant, new or in place of what was there."""
        body = {"variant": variant, "title": title, "sku": sku, "price": price, "image": image}
        path = f"/api/product-options/{segment(id)}"
        call = write("PUT", path, doc(ProductOption), body, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def put_product_options(
        self, options: Sequence[ProductOptionInput], *, idempotency_key: str | None = None
    ) -> list[ProductOption]:
        """Many options: all of them or none. At most 1000."""
        path, body = "/api/product-options", list(options)
        call = write("PUT", path, docs(ProductOption), body, idempotency_key=idempotency_key)
        return await self._connection.send(call)
