"""Orders as a person looks for them: by a name of theirs, or through a list that a key pages through.

A name (an order's number or its beginning, an id, a payment's, a parcel's number) is looked up by indexes alone. A list is
read along the index of when orders were placed, newest first; what a filter leaves out is read and passed over, SCANNED orders
at most per page. So a page's cost is bounded whatever matches: a rare status takes several pages, of which each says
how far back it has come (`Page.further`). No status stands in an index: updates of orders stay heap-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, TextClause, text

from domain.ids import uuid_of
from storage.pg_arrays import array

SHOWN = 50  # orders of a page
SCANNED = 10_000  # orders that a page looks at
NAMED = 20  # orders that one name may mean

_COLUMNS = "o.id, o.order_number, o.status, o.flags, o.customer, o.total_amount, o.currency, o.placed_at"
_BY_NAME = text("""
    with wanted(name, uuid) as (values (cast(:name as text), cast(:uuid as uuid))),
    keyed(key) as (select 'payment:' || name from wanted)
    select id from orders, wanted where order_number = name
    union select o.id from orders o, wanted where o.id = uuid
    union select t.order_id from transactions t, wanted where t.payment_id = name or t.id = uuid
    union select f.order_id from fulfillments f, wanted where f.id = uuid
    union select r.order_id from returns r, wanted where r.id = uuid
    union select c.order_id from correlations c, keyed where c.key = keyed.key and c.order_id is not null
    union select f.order_id from fulfillments f, wanted where f.tracking_number = name
    union select r.order_id from refunds r, wanted where r.reference = name or r.id = uuid
    limit :most
""")
_BEGINNING = text("""
    select id from (select id, order_number from orders where order_number >= :name and placed_at is not null
        order by order_number limit :most) beside where starts_with(order_number, :name)
""")
_OF_CUSTOMER = text("""
    select id from orders where customer = :name and placed_at is not null order by placed_at desc limit :most
""")
_ROWS = text(f"""
    select {_COLUMNS} from orders o where o.id = any(cast(:ids as uuid[])) and o.placed_at is not null
    order by o.placed_at desc, o.id desc
""")


def _listed(flagged: bool) -> TextClause:
    """The statement of one page; with `flagged` along the index of those alone."""
    only = "and o.flags <> '{}'" if flagged else ""
    return text(f"""
        with looked as (
            select {_COLUMNS} from orders o
            where o.placed_at is not null {only}
              and (o.placed_at, o.id) < (coalesce(cast(:before as timestamptz), 'infinity'),
                                         coalesce(cast(:before_id as uuid), 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
              and (cast(:since as timestamptz) is null or o.placed_at >= :since)
            order by o.placed_at desc, o.id desc limit :scanned
        )
        select * from looked o
        where (cast(:status as text) is null or o.status = :status)
          and (cast(:flag as text) is null or cast(:flag as text) = any(o.flags))
        order by placed_at desc, id desc limit :most
    """)


_LISTED, _FLAGGED = _listed(flagged=False), _listed(flagged=True)
_LAST_LOOKED = """
    select placed_at, id from orders o where o.placed_at is not null {only}
      and (o.placed_at, o.id) < (coalesce(cast(:before as timestamptz), 'infinity'),
                                 coalesce(cast(:before_id as uuid), 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
      and (cast(:since as timestamptz) is null or o.placed_at >= :since)
    order by o.placed_at desc, o.id desc offset :scanned - 1 limit 1
"""
_LAST, _LAST_FLAGGED = text(_LAST_LOOKED.format(only="")), text(_LAST_LOOKED.format(only="and o.flags <> '{}'"))


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as a list shows it; money in its currency, times in UTC."""

    id: str
    order_number: str
    status: str
    flags: list[str]
    customer: str | None
    total_amount: Decimal
    currency: str
    placed_at: datetime


@dataclass(frozen=True, slots=True)
class Key:
    """A place in the list: orders before it come next."""

    placed_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `further` is where the next one begins, None at the end; `passed_over` if this one ended by SCANNED."""

    rows: list[OrderRow]
    further: Key | None
    passed_over: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """The conditions of a list; None: any."""

    status: str | None = None
    flag: str | None = None
    flagged: bool = False  # only orders that have some flag
    since: datetime | None = None


def named(conn: Connection, name: str) -> list[OrderRow]:
    """Orders that a name may mean, NAMED at most: what it names exactly, else whose number begins so, else a customer's."""
    if not name or "\x00" in name:
        return []
    asked: dict[str, Any] = {"name": name, "uuid": uuid_of(name), "most": NAMED}
    for statement in (_BY_NAME, _BEGINNING, _OF_CUSTOMER):
        if ids := conn.execute(statement, asked).scalars().all():
            return rows_of(conn, ids)
    return []


def rows_of(conn: Connection, ids: Sequence[str]) -> list[OrderRow]:
    """The orders of these ids, the newest first; what was only named by events is left out."""
    return [OrderRow(*row) for row in conn.execute(_ROWS, {"ids": array(list(ids), "uuid")})]


def listed(conn: Connection, wanted: Filter, before: Key | None = None, most: int = SHOWN) -> Page:
    """A page of the orders that fit, the newest first, from `before` on.

    Shape:  one statement; another where SCANNED orders had fewer matches than the page has room.
    """
    flagged = wanted.flagged or wanted.flag is not None
    place = {"before": before and before.placed_at, "before_id": before and before.id, "since": wanted.since}
    asked = {**place, "scanned": SCANNED, "status": wanted.status, "flag": wanted.flag, "most": most + 1}
    rows = [OrderRow(*row) for row in conn.execute(_FLAGGED if flagged else _LISTED, asked)]
    if len(rows) > most:
        return Page(rows[:most], Key(rows[most - 1].placed_at, rows[most - 1].id))
    if wanted.status is None and wanted.flag is None:
        return Page(rows, None)
    last = conn.execute(_LAST_FLAGGED if flagged else _LAST, {**place, "scanned": SCANNED}).one_or_none()
    return Page(rows, None if last is None else Key(last.placed_at, last.id), passed_over=last is not None)
