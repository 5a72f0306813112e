"""Refunds as a person looks at them: the newest first, page by page along their ids, which begin with the time they were made at.

The view of refunds puts two tables together and cannot be read in the order of its ids; so the newest ids are taken from
each table's own index, and the view is asked for those alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from storage.pg_arrays import array

SHOWN = 50
SCANNED = 2_000  # refunds that a page looks at for those that fit
_LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff"

_NEWEST = text("""
    select id from (
        (select id from refunds where id < cast(:before as uuid) order by id desc limit :most)
        union
        (select refund_id from effects
         where state <> 'done' and refund_id is not null and refund_id < cast(:before as uuid) order by refund_id desc limit :most)
    ) newest order by id desc limit :most
""")
_ROWS = text("""
    select d.id, d.amount, d.currency, d.status, d.waits_for, d.order_id, o.order_number, t.payment_id, d.origin, d.failure,
           d.created_at
    from refund_documents d join orders o on o.id = d.order_id and o.placed_at is not null
    join transactions t on t.id = d.transaction_id
    where d.id = any(cast(:ids as uuid[])) and (cast(:status as text) is null or d.status = :status)
      and (cast(:waits_for as text) is null or d.waits_for = :waits_for)
    order by d.id desc limit :most
""")


@dataclass(frozen=True, slots=True)
class RefundRow:
    """A refund in the list; times are UTC."""

    id: str
    amount: Decimal
    currency: str
    status: str
    waits_for: str | None
    order_id: str
    order_number: str
    payment_id: str
    origin: str
    failure: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Refunds, and the id after which the next page begins; None at the end."""

    rows: list[RefundRow]
    further: str | None


def listed(
    conn: Connection,
    status: str | None = None,
    waits_for: str | None = None,
    before: str | None = None,
    most: int = SHOWN,
) -> Page:
    """The refunds made before that of the id `before`; with a condition those of SCANNED alone, which may be fewer than `most`."""
    looks = SCANNED if status or waits_for else most
    ids = list(conn.execute(_NEWEST, {"before": before or _LAST, "most": looks}).scalars())
    asked = {"ids": array(ids, "uuid"), "status": status, "waits_for": waits_for, "most": most}
    rows = [RefundRow(*row) for row in conn.execute(_ROWS, asked)]
    if len(rows) == most:
        return Page(rows, rows[-1].id)
    return Page(rows, ids[-1] if len(ids) == looks else None)
