"""Dwell times: how long orders stay in each status, against the targets that the shop has set.

Times are those at which the steps happened, as events tell them; what came as history (held) is left out. An order that is
there still counts with the time until now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from domain.ids import first_of
from domain.legal_clock import LegalClock
from domain.order import ENDED, Status
from operations.overdue_refunds import count_overdue
from storage.pg_arrays import columns, unnest

_NAMES, _TYPES = ("status", "target"), ("text", "double precision")
# A step is a result that moved the status; its end is the next one of the same order.
_DWELL = text(f"""
    with steps as (
        select r.order_id, r.step_to as status, j.time as at,
               lead(j.time) over (partition by r.order_id order by r.apply_number) as ended
        from results r join journal j using (seq) join orders o on o.id = r.order_id
        where o.id >= cast(:oldest as uuid) and not o.held and r.apply_number is not null
          and r.step_to is not null and r.step_from is distinct from r.step_to
    ), stays as (
        select s.order_id, s.status, s.ended is null as open, v.target,
               greatest(extract(epoch from coalesce(s.ended, cast(:now as timestamptz)) - s.at), 0) as seconds
        from steps s left join {unnest(_NAMES, _TYPES)} on v.status = s.status
        where s.status <> all(cast(:ended as text[]))
    )
    select status, count(*) as stays, count(*) filter (where open) as open,
           percentile_cont(0.5) within group (order by seconds) as p50,
           percentile_cont(0.95) within group (order by seconds) as p95, max(seconds) as longest,
           max(target) as target, count(*) filter (where seconds > target) as over,
           count(*) filter (where open and seconds > target) as open_over,
           (array_agg(order_id order by seconds desc) filter (where open))[1] as longest_open
    from stays group by status
""")
_NUMBERS = text("select id, order_number from orders where id = any(cast(:ids as uuid[]))")
_RETURNS = text("""
    select count(*) as n, min(requested_at) as oldest from returns
    where status in ('requested', 'approved', 'processing') and requested_at < :before
""")


@dataclass(frozen=True, slots=True)
class Dwell:
    """The dwell times of one status, in seconds. `over`: stays longer than the target; `open_over`: of those, still there."""

    status: str
    stays: int
    open: int
    p50: float
    p95: float
    longest: float
    target: float | None
    over: int
    open_over: int
    longest_open: str | None  # the number of the order that is there longest

    def as_document(self) -> dict[str, Any]:
        """The dwell times as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Overdue:
    """Refunds, and returns that are open, longer than the legal clock allows; and since when the oldest was due."""

    refunds: int = 0
    refunds_due: datetime | None = None
    returns: int = 0
    returns_due: datetime | None = None


def dwell(conn: Connection, targets: Mapping[str, timedelta], since: datetime, now: datetime) -> list[Dwell]:
    """The dwell times of orders placed since, by status in the order of a life; one statement over their results."""
    rows: list[tuple[str, float | None]] = [(status, each.total_seconds()) for status, each in targets.items()]
    values = {
        **columns(_NAMES, _TYPES, rows or [("", None)]),
        "oldest": first_of(since),
        "now": now,
        "ended": [str(each) for each in ENDED],
    }
    found = {row["status"]: dict(row) for row in conn.execute(_DWELL, values).mappings()}
    ids = [row["longest_open"] for row in found.values() if row["longest_open"] is not None]
    numbers = {row[0]: row[1] for row in conn.execute(_NUMBERS, {"ids": [str(each) for each in ids]})}
    return [
        Dwell(**{**found[status], "longest_open": numbers.get(found[status]["longest_open"])} | _floats(found[status]))
        for status in Status
        if status in found
    ]


def overdue(conn: Connection, clock: LegalClock | None, now: datetime) -> Overdue:
    """The number of refunds and of open returns that the law wanted done by now; none without a legal clock."""
    if clock is None:
        return Overdue()
    refunds, due = count_overdue(conn, clock, now)
    row = conn.execute(_RETURNS, {"before": clock.overdue_before(now)}).one()
    return Overdue(refunds, due, row.n, None if row.oldest is None else clock.due(row.oldest))


def _floats(row: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: None if row[name] is None else float(row[name]) for name in ("p50", "p95", "longest", "target")}
