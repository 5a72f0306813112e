"""Bodies of requests that tell the shop's catalogue."""

from __future__ import annotations

from pydantic import BaseModel

from api.commands.request_models import like
from events.field_types import Amount, Name, Url


class CatalogueEntry(BaseModel):
    """A thing that the shop sells, as far as an order item shows it. A field that is left out becomes empty."""

    model_config = like(title="Blue mug", sku="MUG-1", price=10000, image="https://shop.example/mug.png")
    title: Name
    sku: Name | None = None
    price: Amount | None = None
    image: Url | None = None


class Product(CatalogueEntry):
    """A product of the shop."""


class ProductVariant(CatalogueEntry):
    """A variant of a product."""

    model_config = like(product="mug", title="Blue", sku="MUG-1-B")
    product: Name


class ProductOption(CatalogueEntry):
    """An option of a variant."""

    model_config = like(variant="mug-blue", title="Gift wrap", price=1000)
    variant: Name


class _WithId(BaseModel):
    id: Name


class BulkProduct(Product, _WithId):
    """A product, with its id."""

    model_config = like(id="mug", title="Mug", price=10000)


class BulkProductVariant(ProductVariant, _WithId):
    """A variant, with its id."""

    model_config = like(id="mug-blue", product="mug", title="Blue")


class BulkProductOption(ProductOption, _WithId):
    """An option, with its id."""

    model_config = like(id="wrap", variant="mug-blue", title="Gift wrap", price=1000)
