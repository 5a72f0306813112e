"""Many orders with all their parts: locked in one statement, loaded in the next, saved with all else in one.

A single statement that locks and loads must not be: having waited for the lock it returns the new
order with its old children (reproduced). Field for column: the dataclasses of `domain` are the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

from domain.dirty_tracking import DIRTY, EDITED, FILLED, NEW, NOT_STORED, QUIET
from domain.fulfillment import Fulfillment, FulfillmentItem
from domain.order import Order, OrderItem
from domain.returns import Return, ReturnItem
from domain.transaction import Transaction
from storage import personal_rows, tables
from storage.pg_arrays import array, cast, unnest
from storage.raw_sql import Statement, Write, Writes

# An order's parts: the attribute that holds them, their class, their table, and what an update may change.
_PARTS: tuple[tuple[str, type[Any], Table, str], ...] = (
    ("items", OrderItem, tables.order_items, "shipped_quantity delivered_quantity returned_quantity canceled_quantity"),
    (
        "transactions", Transaction, tables.transactions,
        "status amount refunded_amount refund_target payment_method receipt_url provider paid_at dispute "
        "reversed_at captures facts pending_kind pending_until",
    ),
    (
        "fulfillments", Fulfillment, tables.fulfillments,
        "status planned carrier tracking_number parcels items_step shipped_at delivered_at failed_at facts "
        "tracking_status tracking_detail estimated_delivery last_scan_at last_scan_description last_scan_location replaces",
    ),
    ("fulfillment_items", FulfillmentItem, tables.fulfillment_items, "quantity"),
    (
        "returns", Return, tables.returns_,
        "status for_staff refund_amount refund_stated personal_id requested_at completed_at stated_amount "
        "carrier tracking_number tracking_status received_at rejected_by facts",
    ),
    ("return_items", ReturnItem, tables.return_items, "quantity"),
)  # fmt: skip
_ORDER_CHANGES = "status version effects_suppressed flags canceled_at confirmed_at facts"
_ORDER_FILLS = (
    f"{_ORDER_CHANGES} customer personal_id currency total_amount discount_code discount_amount "
    "shipping_amount tax_amount placed_at"
)
_FILLED = (FILLED, EDITED)
_CHANGED = (DIRTY, QUIET)
_COLUMNS = {"effects_suppressed": "held"}  # field → column, where they differ
_NOT_STORED = NOT_STORED | {name for name, *_ in _PARTS}


class _Rows:
    """How one class's objects become rows: its columns, and the writes of them."""

    def __init__(self, model: type[Any], table: Table, changes: str) -> None:
        every = [f.name for f in fields(model)]
        self.names = [name for name in every if name not in _NOT_STORED]
        if self.names != every[: len(self.names)]:
            raise TypeError(f"{model.__name__}: fields that are stored must come first; rows become objects by place")
        self.columns = [_COLUMNS.get(name, name) for name in self.names]
        self.kinds: list[str] = [_KINDS[table.name, column] for column in self.columns]
        self.read = attrgetter(*self.names)
        picked = ", ".join(cast(n, k) for n, k in zip(self.columns, self.kinds, strict=True))
        self.insert = Write(
            f"new_{table.name}",
            self.columns,
            self.kinds,
            f"insert into {table.name} ({', '.join(_q(n) for n in self.columns)}) "
            f"select {picked} from {unnest(self.columns, self.kinds)} order by v.ordinal",
        )
        self.delete = Write(
            f"gone_{table.name}", ["id"], ["uuid"], f"delete from {table.name} where id = any(cast(:id as uuid[]))"
        )
        self.update = _Update(f"changed_{table.name}", table, changes) if changes else None


class _Update:
    """A write that changes any number of rows of a table by id."""

    def __init__(self, name: str, table: Table, changes: str) -> None:
        fields_changed = ["id", *changes.split()]
        names = [_COLUMNS.get(name, name) for name in fields_changed]
        kinds = [_KINDS[table.name, column] for column in names]
        self.read = attrgetter(*fields_changed)
        changed = ", ".join(f"{_q(n)} = {cast(n, k)}" for n, k in zip(names[1:], kinds[1:], strict=True))
        self.write = Write(
            name,
            names,
            kinds,
            f"update {table.name} t set {changed}, updated_at = now() from {unnest(names, kinds)} where t.id = v.id",
        )


def _q(name: str) -> str:
    return f'"{name}"'


def _kinds() -> dict[tuple[str, str], str]:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    found = {}
    for table in tables.METADATA.tables.values():
        for column in table.c:
            kind = column.type.compile(dialect=dialect).lower()
            found[table.name, column.name] = "timestamptz" if kind.startswith("timestamp") else kind
    return found


_KINDS = _kinds()
_ORDERS = _Rows(Order, tables.orders, _ORDER_CHANGES)
_FILL = _Update("filled_orders", tables.orders, _ORDER_FILLS)
_TABLES = {name: _Rows(model, table, changes) for name, model, table, changes in _PARTS}
_MODELS = {name: model for name, model, *_ in _PARTS}
_REVIVE: dict[str, Callable[[Any], Any]] = {
    "numeric": Decimal,
    "timestamptz": datetime.fromisoformat,
}


def _part_sql(name: str, table: Table) -> str:
    """All rows of one part table as the text of a JSON array of arrays; money travels as text in it (no decimals)."""
    rows = _TABLES[name]
    picked = ", ".join(
        f"cast({_q(n)} as text)" if k == "numeric" else _q(n) for n, k in zip(rows.columns, rows.kinds, strict=True)
    )
    return (
        f"(select cast(coalesce(json_agg(json_build_array({picked}) order by id), '[]') as text) "
        f"from {table.name} where order_id = any(cast(:ids as uuid[])))"
    )


_SELECT = f"select {', '.join(_q(n) for n in _ORDERS.columns)} from orders where"
# What an order may be named by: the type of the name, and the orders of such names. None of them ever changes.
_NAMED_BY = {
    "id": ("uuid", "id = any(cast(:names as uuid[]))"),
    "number": ("text", "order_number = any(cast(:names as text[]))"),
    "payment": ("text", "id in (select order_id from transactions where payment_id = any(cast(:names as text[])))"),
    "fulfillment": ("uuid", "id in (select order_id from fulfillments where id = any(cast(:names as uuid[])))"),
    "return": ("uuid", "id in (select order_id from returns where id = any(cast(:names as uuid[])))"),
}
_PEEK = Statement(f"{_SELECT} {_NAMED_BY['id'][1]} order by id")
_LOCK = {
    by: (kind, Statement(f"{_SELECT} {which} order by id for no key update")) for by, (kind, which) in _NAMED_BY.items()
}
_LOCK_FREE = Statement(f"{_SELECT} {_NAMED_BY['id'][1]} order by id for no key update skip locked")
_LOAD = Statement(f"select {', '.join(_part_sql(name, table) for name, _, table, _ in _PARTS)}")
_REVIVALS = {
    name: [(i, _REVIVE[k]) for i, k in enumerate(rows.kinds) if k in _REVIVE] for name, rows in _TABLES.items()
}
_OWNER = {name: rows.names.index("order_id") for name, rows in _TABLES.items()}


def lock(conn: Connection, names: Collection[str], by: str = "id") -> dict[str, Order]:
    """Orders by id with all their parts, their rows locked in id order until the commit.

    `by` says what `names` are: "id", "number", or of what hangs on an order: "payment" (the provider's id of it),
    "fulfillment", "return" (our ids).

    Shape:  two statements for any number of orders. A name that no order has is left out.
    Errors: OperationalError on deadlock or lost connection: roll back, drain again.
    """
    kind, statement = _LOCK[by]
    return _loaded(conn, statement, array(sorted(names), kind)) if names else {}


def lock_free(conn: Connection, ids: Collection[str]) -> dict[str, Order]:
    """As `lock`, by id, of the orders whose rows nobody else holds; it waits for none. The others are left out."""
    return _loaded(conn, _LOCK_FREE, array(sorted(ids), "uuid")) if ids else {}


def peek(conn: Connection, ids: Collection[str]) -> dict[str, Order]:
    """As `lock`, and nothing is locked."""
    return _loaded(conn, _PEEK, array(sorted(ids), "uuid")) if ids else {}


def _loaded(conn: Connection, statement: Statement, names: str) -> dict[str, Order]:
    found: dict[str, Order] = {}
    for row in statement.run(conn, {"names": names}):
        order = Order(*row)
        found[order.id] = order
    if found:
        (parts,) = _LOAD.run(conn, {"ids": array(list(found), "uuid")})
        owners: dict[str, Any] = {}  # parcels and returns by id
        for (name, *_), rows in zip(_PARTS, parts, strict=True):
            model, revivals, owner = _MODELS[name], _REVIVALS[name], _OWNER[name]
            for row in orjson.loads(rows):
                for i, revive in revivals:
                    if row[i] is not None:
                        row[i] = revive(row[i])
                part = model(*row)  # the fields that are stored come first
                if name == "fulfillment_items":
                    owners[part.fulfillment_id].shares[part.order_item_id] = part
                elif name == "return_items":
                    owners[part.return_id].shares.append(part)
                else:
                    getattr(found[row[owner]], name).append(part)
                    owners[part.id] = part
    for order in found.values():
        order.items.sort(key=attrgetter("position"))
    return found


def save(conn: Connection, orders: Iterable[Order], writes: Writes) -> None:
    """Delete what is gone, at once; add to `writes` what else changed: at most an insert and an update a table.

    A new share of a parcel may stand for the same item as one that is gone: so deletes come in a statement before.
    """
    changed = list(orders)
    writes.add(_ORDERS.insert, [_ORDERS.read(o) for o in changed if o.change_state == NEW])
    writes.add(_FILL.write, [_FILL.read(o) for o in changed if o.change_state in _FILLED])
    personal_rows.merge(writes, [o for o in changed if o.change_state == NEW or o.change_state in _FILLED])
    if _ORDERS.update:
        writes.add(_ORDERS.update.write, [_ORDERS.update.read(o) for o in changed if o.change_state in _CHANGED])
    deleted = [part for o in changed for part in o.deleted]
    deletes = Writes()
    for name, model, *_ in _PARTS:
        rows = _TABLES[name]
        parts = [part for o in changed for part in getattr(o, name) if part.change_state]
        new = [part for part in parts if part.change_state == NEW]
        writes.add(rows.insert, list(map(rows.read, new)))
        if rows.update and len(new) < len(parts):
            writes.add(rows.update.write, [rows.update.read(part) for part in parts if part.change_state in _CHANGED])
        if deleted:
            deletes.add(rows.delete, [(part.id,) for part in deleted if type(part) is model])
    deletes.run(conn)
