"""Runs of the comparison, kept in the database: the window of each, how far it has come, and whose it is.

Every page is one transaction: what it came to, its events, and the place behind it. So whoever is killed costs a page,
and the next goes on from there. One run a provider is unfinished at a time, and one process has its lease; who lost that
writes nothing more.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, TextClause, text

from domain.ids import fresh
from events.errors import OrdersError
from outbound.reconciliation.judgement import Judgement, Position
from storage import leases

LEASE_S = 30  # longer than most pages; who takes longer loses it where another wants it, and nothing else
KEPT_DAYS = 90
ERROR = 500  # characters of an error that are kept

_RUNNING = text("select * from reconciliations where provider = :provider and state = 'running'")
# A lease may end unseen between two of a holder's statements: who was overtaken finds the run elsewhere.
_AS_EXPECTED = """
    id = cast(:id as uuid) and state = 'running' and stage = :at_stage and cursor is not distinct from :at_cursor
"""
_BEGIN = text("""
    insert into reconciliations (id, provider, since, until, scheduled, state)
    values (cast(:id as uuid), :provider, :since, :until, :scheduled, :state)
""")
_MOVED = text(f"""
    update reconciliations set stage = :stage, cursor = :cursor, counts = cast(:counts as jsonb),
        remarks = cast(:remarks as text[]), attempts = 0, last_error = null, next_at = null, updated_at = now()
    where {_AS_EXPECTED}
""")
_DONE = text(f"""
    update reconciliations set state = 'done', counts = cast(:counts as jsonb), remarks = cast(:remarks as text[]),
        attempts = 0, last_error = null, next_at = null, updated_at = now()
    where {_AS_EXPECTED}
""")
_FORGET_SEEN = text("delete from reconciliation_seen where run_id = cast(:id as uuid)")
_FORGET = text("""
    delete from reconciliations where provider = :provider and state = 'done' and not scheduled
      and updated_at < now() - make_interval(days => :days)
""")
_FAILED = text(f"""
    update reconciliations set attempts = attempts + 1, last_error = :error, next_at = :next_at, updated_at = now()
    where {_AS_EXPECTED}
""")
_LAST = text("""
    select max(until) from reconciliations where provider = :provider and scheduled and state = 'done'
""")


class LeaseLost(OrdersError):
    """Another process has taken the comparison over; it goes on there."""

    code = "reconciliation_elsewhere"
    remedy = "Wait: the comparison goes on in the process that has it."


def lease_name(provider: str) -> str:
    """The name of the lease of who compares with this provider."""
    return f"reconcile:{provider}"


def keep(conn: Connection, provider: str, holder: str) -> None:
    """Take or prolong the lease of a provider's comparison. Errors: LeaseLost."""
    if not leases.take(conn, lease_name(provider), holder, LEASE_S):
        raise LeaseLost(f"{provider} is being compared by another process; its lease ends {LEASE_S} s after it does")


def unfinished(conn: Connection, provider: str) -> Row[Any] | None:
    """The row of the run that was begun and not finished, if there is one."""
    return conn.execute(_RUNNING, {"provider": provider}).one_or_none()


def position(row: Row[Any]) -> Position:
    """The place that a run has come to."""
    return Position(
        row.id, row.provider, row.since, row.until, row.stage, row.cursor, Counter(row.counts), tuple(row.remarks)
    )


def begin(
    conn: Connection, provider: str, since: datetime, until: datetime, now: datetime, *, scheduled: bool
) -> Position:
    """A new run; there must be none unfinished of this provider."""
    own_id = fresh(now)
    values = {"provider": provider, "since": since, "until": until, "scheduled": scheduled, "state": "running"}
    conn.execute(_BEGIN, {"id": own_id, **values})
    return Position(own_id, provider, since, until)


def begin_to_count(conn: Connection, provider: str, now: datetime) -> None:
    """Note that a provider is compared from now on: a run of nothing, so that the first is due a pace later."""
    values = {"provider": provider, "since": now, "until": now, "scheduled": True, "state": "done"}
    conn.execute(_BEGIN, {"id": fresh(now), **values})


def last_until(conn: Connection, provider: str) -> datetime | None:
    """The end of the last window that was compared by itself, None where there was none."""
    found: datetime | None = conn.execute(_LAST, {"provider": provider}).scalar_one()
    return found


def moved(conn: Connection, at: Position, judgement: Judgement) -> None:
    """Note the place behind a page, or that this was the last. Errors: LeaseLost where the run is at another place than `at`."""
    after = judgement.after
    counts = orjson.dumps(dict(judgement.counts)).decode()
    values = {"counts": counts, "remarks": list(judgement.remarks)}
    if after is not None:
        _change(conn, _MOVED, at, stage=after.stage, cursor=after.cursor, **values)
        return
    _change(conn, _DONE, at, **values)
    conn.execute(_FORGET_SEEN, {"id": at.run_id})
    conn.execute(_FORGET, {"provider": at.provider, "days": KEPT_DAYS})


def failed(conn: Connection, at: Position, error: str, next_at: datetime) -> None:
    """Note that the provider did not answer, and when it is asked again. Errors: LeaseLost as of `moved`."""
    _change(conn, _FAILED, at, error=error.replace("\x00", "")[:ERROR], next_at=next_at)


def _change(conn: Connection, statement: TextClause, at: Position, **values: Any) -> None:
    """Change the row of a run that is where `at` says. Errors: LeaseLost."""
    place = {"id": at.run_id, "at_stage": at.stage, "at_cursor": at.cursor}
    if conn.execute(statement, {**place, **values}).rowcount == 0:
        raise LeaseLost(f"the comparison with {at.provider} has gone on in another process")
