"""Parked events: examined again, as a net, and given up when their time is over.

Nothing should wait for the sweep: what makes an event applicable retries it in its own transaction.
"""

from __future__ import annotations

import logging

from sqlalchemy import Engine, text

from domain.policy import Context, Policy
from journal.batch import Clash, Shop, clock, is_of_the_moment, settle
from storage.literals import array

log = logging.getLogger(__name__)
AT_ONCE = 200  # orders a transaction

# Orders that events wait for, with the key where an event still waits under one that was claimed.
_ORDERS = text("""
    select order_id, array_remove(array_agg(key), null) from (
        select p.order_id, null as key from parked p where p.order_id is not null
        union all
        select c.order_id, p.key from parked p join correlations c on c.key = p.key
        where p.order_id is null and c.order_id is not null
    ) waiting where order_id > cast(:after as uuid) group by order_id order by order_id limit :most
""")
_EXPIRED = text("select seq, order_id, key from parked where until < :now order by seq limit :most")
# The locks that everyone else takes before they touch a parked event, in the same order.
_LOCK_KEYS = text("select from correlations where key = any(cast(:keys as text[])) order by key for update")
_LOCK_ORDERS = text("select from orders where id = any(cast(:ids as uuid[])) order by id for update")
_GIVE_UP = text("""
    with gone as (delete from parked where seq = any(cast(:seqs as bigint[])) and until < :now returning seq, reason),
    buried as (
        insert into dead_letters (id, seq, reason, detail)
        select gen_random_uuid(), seq, 'parked_too_long', 'it waited for: ' || reason from gone
        on conflict (seq) do update set reason = excluded.reason, detail = excluded.detail, state = 'open',
            deaths = dead_letters.deaths + 1, updated_at = now()
    )
    update results r set outcome = 'dead', reason = 'parked_too_long', detail = 'it waited for: ' || gone.reason,
        decided_at = :now from gone where r.seq = gone.seq
""")


def sweep(engine: Engine, policy: Policy, shop: Shop) -> tuple[int, int]:
    """(events that applied after all, events given up). The first should be zero."""
    applied, after, most = 0, "00000000-0000-0000-0000-000000000000", AT_ONCE
    while True:
        try:
            with engine.begin() as conn:
                rows = conn.execute(_ORDERS, {"after": after, "most": most}).all()
                if not rows:
                    break
                ids, keys = [row[0] for row in rows], {key for row in rows for key in row[1]}
                report = settle(conn, [], Context(clock(), policy), shop, retry=ids, retry_keys=keys)
                applied += sum(report.outcomes.values())
                after = ids[-1]
        except Clash:
            continue
        except Exception as error:
            if is_of_the_moment(error):
                raise
            if most > 1:  # one of these orders is at fault: one by one from here on
                most = 1
                continue
            log.error("order %s: what waits for it is refused: %s", ids[0], error)
            after = ids[-1]
    return applied, _give_up(engine)


def _give_up(engine: Engine) -> int:
    """Dead-letter what is parked past its time."""
    given_up = 0
    while True:
        with engine.begin() as conn:
            now = clock()
            rows = conn.execute(_EXPIRED, {"now": now, "most": 1000}).all()
            if not rows:
                return given_up
            conn.execute(_LOCK_KEYS, {"keys": array(sorted({r.key for r in rows if r.key}), "text")})
            conn.execute(_LOCK_ORDERS, {"ids": array(sorted({r.order_id for r in rows if r.order_id}), "uuid")})
            conn.execute(_GIVE_UP, {"seqs": array([r.seq for r in rows], "bigint"), "now": now})
            given_up += len(rows)
