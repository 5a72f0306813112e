"""Parked events: examined again, as a net, and given up when their time is over.

Nothing should wait for the sweep: what makes an event applicable retries it in its own transaction. So it looks
where something may have been missed: at orders that changed since it last looked, at keys that an order has claimed
while an event still waits under them, and by turns at a few of all others. What somebody else holds it leaves for
its next run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from random import randrange
from typing import Any

from sqlalchemy import Engine, Row, text

from domain.outcome import Reason
from domain.policy import Context, Policy
from journal import pauses
from journal.apart import together_or_apart
from journal.batch import Clash, Deferral, Retry, Shop, clock, settle
from journal.times_ahead import TAKEN
from storage.pg_arrays import array
from storage.tables.given_up import DIED_AGAIN

log = logging.getLogger(__name__)
AT_ONCE = 200  # orders a transaction
A_RUN = 2_000  # orders a run; the next one goes on
TURNS = 512  # runs in which each order has its turn once, whether it changed or not; a power of two

# Orders that events wait for, with the keys where an event still waits under one that was claimed.
_ORDERS = text("""
    select order_id, array_remove(array_agg(key), null) as keys from (
        select p.order_id, null as key from parked p join orders o on o.id = p.order_id
        where o.examined is distinct from o.version or hashtext(cast(o.id as text)) & (:turns - 1) = :turn
        union all
        select c.order_id, p.key from parked p join correlations c on c.key = p.key
        where p.order_id is null and c.order_id is not null
        union all
        select p.order_id, null from parked p join journal j using (seq)
        where p.reason = 'ahead' and p.order_id is not null and j.time <= :taken
    ) waiting group by order_id order by order_id limit :most
""")
_FREE = text("select id from orders where id = any(cast(:ids as uuid[])) order by id for update skip locked")
_EXAMINED = text("update orders set examined = version where id = any(cast(:ids as uuid[]))")
_EXPIRED = text(
    "select seq, order_id, key from parked p where until < :now and seq > :after "
    f"and not {pauses.PARKED_RESTS} order by seq limit :most"
)
# Cancels: what has been delivered settles them at the end of their time.
_OVERDUE = text(
    "select seq, order_id from parked p where until < :now and seq > :after and order_id is not null "
    f"and reason in ('{Reason.PARCEL_OUT}', '{Reason.ITEMS_OUT}') and not {pauses.PARKED_RESTS} order by seq limit :most"
)
# The locks that everyone else takes before they touch a parked event, in the same order.
_FREE_KEYS = text(
    "select key from correlations where key = any(cast(:keys as text[])) order by key for update skip locked"
)
_GIVE_UP = text(f"""
    with gone as (delete from parked where seq = any(cast(:seqs as bigint[])) and until < :now returning seq, reason),
    buried as (
        insert into dead_letters (id, seq, reason, detail)
        select gen_random_uuid(), seq, 'parked_too_long', 'it waited for: ' || reason from gone
        on conflict (seq) do update set {DIED_AGAIN}
    )
    update results r set outcome = 'dead', reason = 'parked_too_long', detail = 'it waited for: ' || gone.reason,
        decided_at = :now from gone where r.seq = gone.seq
""")


def sweep(engine: Engine, policy: Policy, shop: Shop) -> tuple[int, int]:
    """(events that applied after all, events whose time was up). The first should be zero.

    Shape:  one look for a run, then a transaction per 200 orders that changed; none where nothing did.
    Locks:  the orders it examines; what is locked is skipped.
    """
    with engine.connect() as conn:
        turn = {"turn": randrange(TURNS), "turns": TURNS, "most": A_RUN, "taken": clock() + TAKEN}
        waiting = conn.execute(_ORDERS, turn).all()
    applied = 0
    for first in range(0, len(waiting), AT_ONCE):
        rows = waiting[first : first + AT_ONCE]
        applied += together_or_apart(
            lambda rows: _examine(engine, policy, shop, rows), rows, lambda row, error: _leave(engine, row, error)
        )
    settled, skipped = _settle_overdue(engine, policy, shop)
    return applied, settled + _give_up(engine, skipped)


def _examine(engine: Engine, policy: Policy, shop: Shop, rows: Sequence[Row[tuple[str, list[str]]]]) -> int:
    """How many events of these orders applied after all."""
    while True:
        try:
            with engine.begin() as conn:
                named = {"ids": array([row.order_id for row in rows], "uuid")}
                free = set(conn.execute(_FREE, named).scalars())
                if not free:
                    return 0
                keys = {key for row in rows if row.order_id in free for key in row.keys}
                resting, going = pauses.going(conn, free)
                deferral = Deferral(resting=resting)
                report = settle(conn, [], Context(clock(), policy), shop, deferral, Retry(going, keys))
                conn.execute(_EXAMINED, {"ids": array(sorted(free), "uuid")})
                return sum(report.outcomes.values())
        except Clash:
            continue


def _leave(engine: Engine, row: Row[tuple[str, list[str]]], error: Exception) -> None:
    """Leave what waits for an order until that changes, or has its turn."""
    log.error("order %s: what waits for it is refused: %s", row.order_id, error)
    with engine.begin() as conn:
        conn.execute(_EXAMINED, {"ids": array([row.order_id], "uuid")})


def _settle_overdue(engine: Engine, policy: Policy, shop: Shop) -> tuple[int, set[int]]:
    """Settle cancels that waited for goods which were delivered meanwhile.

    → how many did not have to be given up; the numbers of those whose order was locked, which have their turn in the next run.
    """
    settled = after = 0
    skipped: set[int] = set()
    while True:
        with engine.begin() as conn:
            rows = conn.execute(_OVERDUE, {"now": clock(), "after": after, "most": AT_ONCE}).all()
        if not rows:
            return settled, skipped
        after = rows[-1].seq
        settled += together_or_apart(
            lambda rows: _settle_these(engine, policy, shop, rows, skipped),
            rows,
            lambda row, error: log.error(
                "order %s: its cancel is given up instead of settled: %s", row.order_id, error
            ),
        )


def _settle_these(engine: Engine, policy: Policy, shop: Shop, rows: Sequence[Row[Any]], skipped: set[int]) -> int:
    """How many of these cancels are settled; `skipped` learns of those whose order somebody else has locked."""
    with engine.begin() as conn:
        free = set(conn.execute(_FREE, {"ids": array(sorted({r.order_id for r in rows}), "uuid")}).scalars())
        only = [row.seq for row in rows if row.order_id in free]
        skipped.update(row.seq for row in rows if row.order_id not in free)
        if not only:
            return 0
        resting, going = pauses.going(conn, free)
        deferral = Deferral(resting=resting)
        report = settle(conn, [], Context(clock(), policy, overdue=True), shop, deferral, Retry(going, only=only))
        return sum(report.outcomes.values())


def _give_up(engine: Engine, skipped: set[int]) -> int:
    """Dead-letter what is parked past its time, but for what was `skipped` a moment ago."""
    given_up = after = 0
    while True:
        with engine.begin() as conn:
            now = clock()
            rows = conn.execute(_EXPIRED, {"now": now, "after": after, "most": 1000}).all()
            if not rows:
                return given_up
            after = rows[-1].seq
            keys = {"keys": array(sorted({r.key for r in rows if r.key}), "text")}
            ids = {"ids": array(sorted({r.order_id for r in rows if r.order_id}), "uuid")}
            free = {*conn.execute(_FREE_KEYS, keys).scalars(), *conn.execute(_FREE, ids).scalars(), None}
            seqs = [r.seq for r in rows if r.key in free and r.order_id in free and r.seq not in skipped]
            conn.execute(_GIVE_UP, {"seqs": array(seqs, "bigint"), "now": now})
            given_up += len(seqs)
