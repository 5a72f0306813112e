"""The condition `overdue` on refunds: by the legal clock, which is counted here in times and asked of SQL as one time.

It stands in a `where` as a field would, and becomes conditions on fields that there are.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from domain.legal_clock import LegalClock
from queries.errors import wrong
from queries.filters import Condition, Every, Some, Where
from queries.parser import Query

FIELD = "overdue"
DUE_SINCE, WAITS_FOR = "dueSince", "waitsFor"
_YES, _NO = (True, "true"), (False, "false")


def with_overdue(query: Query, clock: LegalClock | None, now: datetime) -> Query:
    """The query with `overdue` in the words of fields. Errors: QueryError where it is asked otherwise, or nothing can be."""
    return replace(query, where=_read(query.where, clock, now))


def _read(where: Where, clock: LegalClock | None, now: datetime) -> Where:
    if not isinstance(where, Condition):
        return replace(where, parts=tuple(_read(part, clock, now) for part in where.parts))
    if where.field != FIELD:
        return where
    if where.operator != "equals" or where.value not in (*_YES, *_NO):
        raise wrong(FIELD, "takes equals with true or false alone")
    if clock is None:
        raise wrong(FIELD, "cannot be told: ORDERS_REFUND_WITHIN is off, so that nothing is ever overdue")
    before = clock.overdue_before(now).isoformat()
    if where.value in _YES:
        return Every((Condition(DUE_SINCE, "less_than", before), Condition(WAITS_FOR, "not_equals", "nobody")))
    return Some(
        (
            Condition(DUE_SINCE, "exists", False),
            Condition(DUE_SINCE, "greater_than_equal", before),
            Condition(WAITS_FOR, "equals", "nobody"),
        )
    )
