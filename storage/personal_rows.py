"""Rows of personal fields that are put together: an edited order shows fields that came with several events.

Each event's personal fields stand in a row of its own (journal/append.py). The order names one row, so that whoever shows
it reads one. Its id follows from those of its sources (domain/edits.py): what was put together once is never written again.
"""

from __future__ import annotations

from collections.abc import Sequence

from domain.edits import PERSONAL, sources
from domain.order import Order
from storage.pg_arrays import cast, unnest
from storage.raw_sql import Write, Writes

_NAMES = ("id", "order_id", *(name.lower() for name in PERSONAL))
_KINDS = ("uuid",) * len(_NAMES)
_FIELDS = ", ".join(
    f"'{name}', (select p.fields -> '{name}' from personal p where p.id = {cast(name.lower(), 'uuid')})"
    for name in PERSONAL
)
_MERGE = Write(
    "merged_personal",
    _NAMES,
    _KINDS,
    f"insert into personal (id, order_id, fields) select {cast('id', 'uuid')}, {cast('order_id', 'uuid')}, "
    f"jsonb_strip_nulls(jsonb_build_object({_FIELDS})) from {unnest(_NAMES, _KINDS)} on conflict (id) do nothing",
)


def merge(writes: Writes, orders: Sequence[Order]) -> None:
    """Add the rows that these orders name and that no event brought. A source that was erased adds nothing."""
    rows = []
    for order in orders:
        found = sources(order)
        if found is not None and order.personal_id is not None and order.personal_id not in found.values():
            rows.append((order.personal_id, order.id, *found.values()))
    writes.add(_MERGE, rows)
