"""Our side of a comparison: payments by the names that a provider lists, payments of a time, and what was seen there.

Every question is keyed, and of a page: the memory that a comparison takes does not grow with its window.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from domain.ids import first_of
from domain.movements import LOST, UNDER_WAY, WON
from outbound.reconciliation.comparison import KnownOrder, Ours
from storage.pg_arrays import array, columns, unnest

PAGE = 200  # payments of ours that are looked at together
BEFORE = timedelta(days=180)  # an order that is older when it is paid is compared by the provider's list alone
PAYMENT, REFUND, DISPUTE = "payment", "refund", "dispute"  # what was seen
ARRIVING = "arriving"  # payments that an event of this comparison brings

_COLUMNS = (
    "t.id, t.payment_id, o.order_number, t.provider, t.currency, t.status, t.amount, t.paid_at, t.facts "
    "from transactions t join orders o on o.id = t.order_id"
)
_BY_NAME = text(f"select {_COLUMNS} where t.payment_id = any(cast(:ids as text[]))")
_ORDERS = text("""
    select o.order_number, o.currency,
           exists(select from transactions t where t.order_id = o.id and t.paid_at is not null) as is_paid
    from orders o where o.order_number = any(cast(:numbers as text[])) and o.placed_at is not null
""")
# Ids begin with the time that we first heard of the payment (UUIDv7), so the primary key leads through them in their
# order. No index has paid_at: the drain's updates would pay for it.
# Some providers list a payment, refund or dispute by the time that it was begun: what was begun before a window and ends in
# it stands in no window. So whatever was still open when the window before ended is asked for by itself; a payment whose
# order names no provider only where one alone is compared.
_STILL_OPEN = """
    t.paid_at is null and t.status = 'pending' and t.created_at < :since
    and (o.canceled_at is null or t.pending_kind is not null)
"""
_OF_TIME = text(f"""
    select {_COLUMNS} where t.id > cast(:after as uuid)
      and (lower(t.provider) = :provider or (t.provider is null and t.paid_at is null
           and not exists (select from reconciliations r where r.provider <> :provider)))
      and (
        ({_STILL_OPEN})
        or (t.paid_at >= :since and t.paid_at < :until and t.amount > 0)
        or (t.facts is not null and exists (
            select from jsonb_each(t.facts -> 'refunds') r
            where cast(coalesce(r.value ->> 'requested', r.value -> 'at' ->> 0) as timestamptz) < :until
              and (cast(coalesce(r.value ->> 'requested', r.value -> 'at' ->> 0) as timestamptz) >= :since
                   or r.value ->> 'status' = any(cast(:under_way as text[])))))
        or (t.facts is not null and exists (
            select from jsonb_each(t.facts -> 'disputes') d
            where cast(d.value -> 'at' ->> 0 as timestamptz) < :until
              and (cast(d.value -> 'at' ->> 0 as timestamptz) >= :since
                   or d.value ->> 'status' <> all(cast(:decided as text[])))))
    ) order by t.id limit {PAGE}
""")
_NAMES = ("kind", "name"), ("text", "text")
_NOTE = text(
    "insert into reconciliation_seen (run_id, kind, name) "
    f"select cast(:run as uuid), v.kind, v.name from {unnest(*_NAMES)} on conflict do nothing"
)
_SEEN = text(
    f"select s.kind, s.name from reconciliation_seen s join {unnest(*_NAMES)} using (kind, name) "
    "where s.run_id = cast(:run as uuid)"
)


def by_name(conn: Connection, payment_ids: Collection[str]) -> dict[str, Ours]:
    """Payments of ours by the provider's id."""
    if not payment_ids:
        return {}
    found = conn.execute(_BY_NAME, {"ids": array(sorted(payment_ids), "text")})
    return {row.payment_id: _ours(row) for row in found}


def orders(conn: Connection, numbers: Collection[str]) -> dict[str, KnownOrder]:
    """Orders by number, and whether they are paid."""
    if not numbers:
        return {}
    found = conn.execute(_ORDERS, {"numbers": array(sorted(numbers), "text")})
    return {row.order_number: KnownOrder(row.currency, row.is_paid) for row in found}


def of_time(
    conn: Connection, provider: str, since: datetime, until: datetime, after: str | None
) -> tuple[list[Ours], str | None]:
    """A page of a provider's payments that were paid, given back or disputed in a time, or where such is open since before it.

    → the page, and where the next begins, None behind the last; `after`: that of the page before.
    """
    first = first_of(since - BEFORE)
    asked = {
        **{"after": after or first, "provider": provider, "since": since, "until": until},
        **{"under_way": array(sorted(UNDER_WAY), "text"), "decided": array((LOST, WON), "text")},
    }
    rows = conn.execute(_OF_TIME, asked).all()
    return [_ours(row) for row in rows], rows[-1].id if len(rows) == PAGE else None


def note_seen(conn: Connection, run_id: str, seen: Iterable[tuple[str, str]]) -> None:
    """Note what a comparison has seen there, (kind, name) each."""
    rows = sorted(set(seen))
    if rows:
        conn.execute(_NOTE, {"run": run_id, **columns(*_NAMES, rows)})


def seen_of(conn: Connection, run_id: str, wanted: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these (kind, name) that a comparison has seen there."""
    rows = sorted(set(wanted))
    if not rows:
        return set()
    return {(row.kind, row.name) for row in conn.execute(_SEEN, {"run": run_id, **columns(*_NAMES, rows)})}


def _ours(row: Row[Any]) -> Ours:
    return Ours(
        row.payment_id,
        row.order_number,
        row.provider,
        row.currency,
        row.status,
        row.amount,
        row.paid_at,
        row.facts or {},
    )
