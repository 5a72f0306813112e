"""The shop's catalogue and carts: thin copies, so that an order item can show what was bought."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Integer, Numeric, Table, Text

from storage.tables.columns import METADATA, money, stamps, uuid

products = Table(
    "products",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("sku", Text),
    Column("price", Numeric),
    Column("image", Text),
    *stamps(),
    CheckConstraint("price >= 0", "price"),
)
product_variants = Table(
    "product_variants",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("product", Text, nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("sku", Text),
    Column("price", Numeric),
    Column("image", Text),
    *stamps(),
    CheckConstraint("price >= 0", "price"),
)
product_options = Table(
    "product_options",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("variant", Text, nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("sku", Text),
    Column("price", Numeric),
    Column("image", Text),
    *stamps(),
    CheckConstraint("price >= 0", "price"),
)
carts = Table(
    "carts",
    METADATA,
    uuid("id", primary_key=True),
    Column("customer", Text, index=True),
    Column("currency", Text, nullable=False),
    uuid("order_id", ForeignKey("orders.id"), unique=True, comment="the order it became, once"),
    *stamps(),
)
cart_items = Table(
    "cart_items",
    METADATA,
    uuid("id", primary_key=True),
    uuid("cart_id", ForeignKey("carts.id"), nullable=False, index=True),
    Column("product", Text, nullable=False),
    Column("variant", Text),
    Column("option", Text),
    Column("quantity", Integer, nullable=False),
    money("unit_price"),
    *stamps(),
    Column("requires_shipping", Boolean, nullable=False, server_default="true"),
    CheckConstraint("quantity > 0 and unit_price >= 0", "line"),
)
