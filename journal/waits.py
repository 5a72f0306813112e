"""Ends of returns that had waited for their requests: a request looks at them, so whoever folds anew has to know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, text

from domain.policy import CameBack
from events.body import Shares
from storage.pg_arrays import array

_WAITED = text("""
    select r.order_id, coalesce(c.data, j.data) ->> 'return' as name, r.parked_number, r.apply_number,
           case j.type when 'ReturnCompleted' then coalesce(c.data, j.data) -> 'items' end as items
    from results r join journal j using (seq) left join corrections c using (seq)
    where r.order_id = any(cast(:ids as uuid[])) and r.parked_number is not null and r.apply_number is not null
    and (j.type = 'ReturnRejected' or j.type = 'ReturnCompleted' and coalesce(c.data, j.data) ? 'items')
    order by r.seq
""")
_SHARES: TypeAdapter[Any] = TypeAdapter(Shares)


@dataclass(frozen=True, slots=True)
class Waits:
    """The ends of returns that waited: from after which number of their order to before which, and what had come back."""

    _of: dict[tuple[str, str], list[tuple[int, int, Any]]] = field(default_factory=dict)

    def at(self, order_id: str, name: str, number: int) -> tuple[tuple[str, ...], CameBack | None]:
        """(names of returns whose rejection waited, what the completion that waited says came back) at that number."""
        waited = [items for since, until, items in self._of.get((order_id, name), ()) if since < number < until]
        came_back: CameBack | None = next(({name: items} for items in waited if items is not None), None)
        return ((name,) if any(items is None for items in waited) else ()), came_back


def waits_of(conn: Connection, ids: Sequence[str]) -> Waits:
    """The ends that had waited for the returns of these orders."""
    found: dict[tuple[str, str], list[tuple[int, int, Any]]] = {}
    for row in conn.execute(_WAITED, {"ids": array(ids, "uuid")}):
        items = None if row.items is None else _SHARES.validate_python(row.items)
        found.setdefault((row.order_id, row.name), []).append((row.parked_number, row.apply_number, items))
    return Waits(found)
