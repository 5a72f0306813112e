"""Ends of returns that had waited for their requests: a request looks at them, so whoever folds anew has to know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from sqlalchemy import Connection, text

from domain.policy import CameBack
from events.body import Shares
from storage.pg_arrays import array

# One that is applied no more waited until its time was up, or still waits.
_WAITED = text("""
    select r.order_id, coalesce(c.data, j.data) ->> 'return' as name, r.parked_number, r.apply_number,
           case when r.apply_number is null and r.outcome <> 'parked' then r.decided_at end as ended,
           case j.type when 'ReturnCompleted' then coalesce(c.data, j.data) -> 'items' end as items
    from results r join journal j using (seq) left join corrections c using (seq)
    where r.order_id = any(cast(:ids as uuid[])) and r.parked_number is not null
    and (j.type = 'ReturnRejected' or j.type = 'ReturnCompleted' and coalesce(c.data, j.data) ? 'items')
    order by r.seq
""")
_SHARES: TypeAdapter[Any] = TypeAdapter(Shares)


class _Wait(NamedTuple):
    """One end of a return that waited: from after which number of its order, and until when."""

    since: int
    until: int | None  # the number that it took
    ended: datetime | None  # when it was given up
    items: Any  # of a completion

    def waited(self, number: int, at: datetime) -> bool:
        """True where it waited when the event of that number was applied."""
        return (
            self.since < number
            and (self.until is None or number < self.until)
            and (self.ended is None or at < self.ended)
        )


@dataclass(frozen=True, slots=True)
class Waits:
    """The ends of returns that waited: rejections, and completions that list what really came back."""

    _of: dict[tuple[str, str], list[_Wait]] = field(default_factory=dict)

    def at(self, order_id: str, name: str, number: int, at: datetime) -> tuple[tuple[str, ...], CameBack | None]:
        """(the return's name where its rejection waited, what the completion that waited lists) at that number and time."""
        found = [each.items for each in self._of.get((order_id, name), ()) if each.waited(number, at)]
        came_back: CameBack | None = next(({name: items} for items in found if items is not None), None)
        return ((name,) if any(items is None for items in found) else ()), came_back


def waits_of(conn: Connection, ids: Sequence[str]) -> Waits:
    """The ends that had waited for the returns of these orders."""
    found: dict[tuple[str, str], list[_Wait]] = {}
    for row in conn.execute(_WAITED, {"ids": array(ids, "uuid")}):
        items = None if row.items is None else _SHARES.validate_python(row.items)
        wait = _Wait(row.parked_number, row.apply_number, row.ended, items)
        found.setdefault((row.order_id, row.name), []).append(wait)
    return Waits(found)
