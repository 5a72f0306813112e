"""Columns and checks that many tables have."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, MetaData, Numeric, Uuid, func

METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)
HOT: dict[str, Any] = {"postgresql_with": {"fillfactor": 70}}  # room for updates in place: 50 B of log less an event


def uuid(name: str, *extra: Any, **options: Any) -> Column[Any]:
    """A UUID, text in Python."""
    return Column(name, Uuid(as_uuid=False), *extra, **options)


def at(name: str, **options: Any) -> Column[Any]:
    """A moment, in UTC."""
    return Column(name, DateTime(timezone=True), **options)


def stamps() -> tuple[Column[Any], Column[Any]]:
    """The columns that say when a row was made and last changed."""
    now = func.now()
    return at("created_at", nullable=False, server_default=now), at("updated_at", nullable=False, server_default=now)


def of_order(*, index: bool = True) -> Column[Any]:
    """The order it belongs to; `index` False where a unique key begins with it."""
    return uuid("order_id", ForeignKey("orders.id"), nullable=False, index=index)


def one_of(column: str, values: Any, name: str | None = None) -> CheckConstraint:
    """The column has one of these values."""
    return CheckConstraint(f"{column} in ({', '.join(repr(str(v)) for v in values)})", name or column)


def money(name: str, **options: Any) -> Column[Any]:
    """An amount in major units, 0 unless it is given."""
    return Column(name, Numeric, nullable=False, server_default="0", **options)
