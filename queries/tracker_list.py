"""Trackers as a person looks at them: those that fail, or whose turn comes next, page by page along an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

SHOWN = 50
SCANNED = 10_000  # trackers that a page looks at for those that fail

_LIST = text("""
    with looked as (
        select * from trackers where not finished and (next_at, id) > (
            coalesce(cast(:after as timestamptz), '-infinity'),
            coalesce(cast(:after_id as uuid), '00000000-0000-0000-0000-000000000000'))
        order by next_at, id limit :scanned
    )
    select t.id, o.order_number, c.order_id, coalesce(cardinality(c.members), 0) as others, t.carrier, t.provider, t.tracking_number, t.status, t.failures, t.last_error,
           t.next_at
    from (select * from looked where not cast(:failing as boolean) or failures > 0 order by next_at, id limit :most) t
    left join correlations c on c.key = t.key left join orders o on o.id = c.order_id order by t.next_at, t.id
""")


@dataclass(frozen=True, slots=True)
class TrackerRow:
    """A tracker that is not finished; times are UTC."""

    id: str
    order_number: str | None  # of the order that named it first; None: of an order that is gone
    order_id: str | None
    others: int  # orders that share it
    carrier: str
    provider: str | None  # who is asked; None: the carrier by its own name
    tracking_number: str
    status: str | None
    failures: int  # in a row
    last_error: str | None
    next_at: datetime


def listed(
    conn: Connection, *, failing: bool = False, after: tuple[datetime, str] | None = None, most: int = SHOWN
) -> list[TrackerRow]:
    """Trackers by when they are asked for next, from `after` (time, id) on; `failing`: those of the next SCANNED alone."""
    asked = {
        "after": after and after[0], "after_id": after and after[1], "failing": failing,
        "scanned": SCANNED if failing else most, "most": most,
    }  # fmt: skip
    return [TrackerRow(*row) for row in conn.execute(_LIST, asked)]
