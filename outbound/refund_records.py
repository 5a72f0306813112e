"""Rows of `refunds` that our own attempts leave, and what becomes of a refund that failed after it had gone out.

What of a payment has yet to go back is shown under `effects.refund_id`. Once it is at its provider, or has come to its
end, a row of that id stands in `refunds`, and stays; what is due afterwards has an id of its own. A report of the
provider that overtakes the answer has made a row by the provider's id: the answer takes its place.

A refund that fails days later is not made again by itself: `effects.made` counts it, so that what else is due goes out.
A dead letter tells a person, who tries again (`refunds.release`) or settles it by hand.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from domain.ids import format_id, fresh
from outbound.refund_attempt import FAILED, Claim
from providers.movements import CAME_TO_NOTHING, OPEN, RefundMovement
from storage.pg_arrays import array
from storage.tables.given_up import DIED_AGAIN

AT_ONCE = 500  # failures of one round

log = logging.getLogger(__name__)

_OVERTAKEN = text("""
    delete from refunds r using effects e where e.id = :effect and r.transaction_id = e.transaction_id
      and r.reference = :reference and r.id <> e.refund_id
""")
_RECORD = text("""
    insert into refunds (id, order_id, transaction_id, reference, amount, currency, reasons, origin, status, attention,
        return_id, personal_id, failure, requested_at, ended_at)
    select e.refund_id, e.order_id, e.transaction_id, :reference, :amount, e.currency, coalesce(e.reasons, '[]'), 'ours',
           :status, :attention, e.return_id, e.personal_id, :failure, :requested_at, :ended_at
    from effects e where e.id = :effect and e.refund_id is not null
    on conflict (id) do update set reference = coalesce(excluded.reference, refunds.reference),
        amount = excluded.amount, status = excluded.status, attention = excluded.attention, failure = excluded.failure,
        ended_at = excluded.ended_at, updated_at = now()
""")
_NEXT = text("update effects set refund_id = :next where id = :effect and refund_id is not null")


def record(conn: Connection, claim: Claim, ours: RefundMovement | None, failure: str | None, now: datetime) -> None:
    """Record that the attempt is at its provider (`ours`), or that it came to its end without ever being there.

    In the transaction that settles it. What is due of the payment afterwards is another refund.
    """
    values = {
        "effect": claim.id,
        "reference": None,
        "amount": claim.asked,
        "status": "failed",
        "requested_at": claim.attempted_at,
    }
    if ours is not None:
        conn.execute(_OVERTAKEN, {"effect": claim.id, "reference": ours.refund_id})
        values |= {"reference": ours.refund_id, "amount": ours.amount, "status": ours.status, "requested_at": ours.time}
    failed = ours is None or ours.status in CAME_TO_NOTHING
    is_open = ours is not None and ours.status in OPEN
    more = {"attention": "open" if failed else None, "failure": failure if failed else None}
    conn.execute(_RECORD, {**values, **more, "ended_at": None if is_open else now})
    if not is_open and not failed:
        conn.execute(_NEXT, {"effect": claim.id, "next": fresh(now)})


# -- what failed afterwards ------------------------------------------------------------------------------------

_FAILED = text("""
    select e.id from refunds r join effects e on e.transaction_id = r.transaction_id
    where r.attention = 'new' and e.idempotency_key is null order by e.id limit :most for update of e skip locked
""")
_WEIGH = text("""
    select e.id, e.currency, o.order_number, e.payment_id, t.provider,
           e.state not in ('dead', 'held') and e.target > t.refunded_amount as is_news,
           e.state <> 'held' and e.target > t.refunded_amount as owed, e.target - t.refunded_amount as sum_owed,
           r.reference, r.amount, coalesce(r.failure, 'it says no reason') as failure
    from effects e join transactions t on t.id = e.transaction_id join orders o on o.id = e.order_id
    join lateral (select * from refunds where transaction_id = e.transaction_id and attention = 'new'
                  order by ended_at desc limit 1) r on true
    where e.id = any(cast(:ids as uuid[])) order by e.id
""")
_WEIGHED = text("""
    update refunds r set attention = case when cast(:owed as boolean) then 'open' end, updated_at = now()
    from effects e where e.id = :id and r.transaction_id = e.transaction_id and r.attention = 'new'
""")
_OF_NOBODY = text("""
    update refunds r set attention = null where r.attention = 'new'
    and not exists (select from effects e where e.transaction_id = r.transaction_id)
""")
_BURY = text(f"""
    insert into dead_letters (id, effect_id, reason, detail) values (:letter, :id, :reason, :detail)
    on conflict (effect_id) do update set {DIED_AGAIN}
""")
_ATTENDED = text("""
    update refunds r set attention = null, updated_at = now() from effects e
    where e.id = any(cast(:ids as uuid[])) and r.transaction_id = e.transaction_id and r.attention is not null
""")


def weigh_failures(conn: Connection, now: datetime) -> int:
    """Make dead letters of refunds that failed after they had gone out, as far as their money is owed; how many.

    Shape:  two statements where nothing failed since the last round; they read an index of what is not weighed.
    Locks:  effects, dead letters, refunds, in this order; what somebody else holds is left for the next round.
    """
    ids = list(dict.fromkeys(conn.execute(_FAILED, {"most": AT_ONCE}).scalars()))
    if not ids:
        conn.execute(_OF_NOBODY)
        return 0
    news = 0
    for row in conn.execute(_WEIGH, {"ids": array(ids, "uuid")}).all():
        if row.is_news:
            bury(conn, row.id, FAILED, _detail(row), now)
            news += 1
        conn.execute(_WEIGHED, {"id": row.id, "owed": row.owed})
    return news


def attended(conn: Connection, effect_ids: list[str]) -> None:
    """Note that a person has done something about the failed refunds of these effects, or that it is needless."""
    conn.execute(_ATTENDED, {"ids": array(sorted(effect_ids), "uuid")})


def bury(conn: Connection, effect_id: str, reason: str, detail: str, now: datetime) -> None:
    """Open the dead letter of an effect, or open it anew."""
    conn.execute(_BURY, {"letter": fresh(now), "id": effect_id, "reason": reason, "detail": detail})


def _detail(row: Row[Any]) -> str:
    told = (
        f"{row.provider or 'the provider'}: refund {row.reference} of {row.amount:,} {row.currency}, payment "
        f"{row.payment_id} of order {row.order_number}, failed after it had gone out: {row.failure}. {row.sum_owed:,} "
        f"{row.currency} are owed. See at the provider why; then `orders given-up replay {format_id('effects', row.id)} --why …` tries "
        f"again, and `orders refunds settle {row.reference} --method HOW` notes that you paid it back by hand; if you "
        "refund at the provider, its report closes this."
    )
    log.warning("%s: %s", FAILED, told)
    return told
