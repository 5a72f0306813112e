"""Refunds that are late by the legal clock, whatever keeps them: a provider, a setting, a bank account, a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from domain.legal_clock import LegalClock

# What is owed is the payment's to say: a refund that is done may have failed since. But where all that was made has gone
# back, and it is done all the same, the rest lies below the provider's step: it stays on the payment, and nobody owes it.
OWED = "(t.refund_target > t.refunded_amount and (e.state <> 'done' or t.refunded_amount < e.made))"
# History is paid back by nobody.
_OWED = f"""
    from transactions t join effects e on e.transaction_id = t.id join orders o on o.id = t.order_id
    where {OWED} and e.state <> 'held'
      and coalesce(e.due_since, e.created_at) < :before
"""
_COUNT = text(f"select count(*) as n, min(coalesce(e.due_since, e.created_at)) as oldest {_OWED}")
_LIST = text(f"""
    select e.id, o.order_number, t.payment_id, t.provider, e.currency, t.refund_target - t.refunded_amount as amount,
           coalesce(e.due_since, e.created_at) as due_since, e.state, e.last_error as error
    {_OWED} order by due_since, e.id limit :most
""")


@dataclass(frozen=True, slots=True)
class OverdueRefund:
    """The rest of one payment's refund that is overdue; `state` is where it stands (`domain.refunds.RefundState`). Times are UTC."""

    id: str
    order_number: str
    payment_id: str
    provider: str | None
    currency: str
    amount: Decimal  # in major units
    due_since: datetime
    state: str
    error: str | None
    due_by: datetime


def overdue(conn: Connection, clock: LegalClock, now: datetime, limit: int) -> list[OverdueRefund]:
    """Refunds that are overdue at `now`, at most `limit`, the longest due first."""
    found = conn.execute(_LIST, {"before": clock.overdue_before(now), "most": limit}).mappings()
    return [OverdueRefund(**row, due_by=clock.due(row["due_since"])) for row in found]


def count_overdue(conn: Connection, clock: LegalClock, now: datetime) -> tuple[int, datetime | None]:
    """The number of overdue refunds, and the time by which the longest due had to go out."""
    row = conn.execute(_COUNT, {"before": clock.overdue_before(now)}).one()
    return row.n, None if row.oldest is None else clock.due(row.oldest)
