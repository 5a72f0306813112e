"""Rows that wait or were given up, as SQL: one meaning for all who count them.

The console's figures, Prometheus' gauges and the doctor's checks each count what stands here, in their own grouping; so what
has its end (made, taken, discarded) is left out by all of them or by none. Each is what follows `from`, of few rows: its
table has an index of them, however much has ended.
"""

from __future__ import annotations

PARKED = "parked"
EARLY = (
    "parked p join results r using (seq) where p.reason <> 'paused'"  # they wait for something that did not come yet
)
LETTERS = "dead_letters where state = 'open'"  # of events (`seq`) and refunds
REFUNDS = "effects where state <> 'done'"
LOOKUPS = "inbox where (state = 'due' or state = 'dead')"  # as its partial indexes have it: of `in` they are no part
# Refunds that wait for a person, those given up too: what the list of refunds has under that filter (`refund_documents`).
FOR_PERSON = """(
    select r.id from refunds r join orders o on o.id = r.order_id and o.placed_at is not null
    where r.attention = 'open' and r.status not in ('pending', 'requires_action')
    union all
    select e.refund_id from effects e join transactions t on t.id = e.transaction_id
    join orders o on o.id = e.order_id and o.placed_at is not null
    where e.state <> 'done' and e.state in ('staff', 'dead') and e.refund_id is not null
      and (e.idempotency_key is not null or e.target > greatest(e.made, t.refunded_amount))
      and not exists (select from refunds r where r.id = e.refund_id)
) for_person"""
DELIVERIES = "deliveries where (state = 'due' or state = 'dead' and discarded_at is null)"
PARCELS = "trackers where not finished"
PAUSES = "pauses where closed_at is null"

DEAD_BY_REASON = f"select reason, count(*) as n from {LETTERS} group by reason order by 2 desc, 1"


def undecided(most: int) -> str:
    """The accepted events without a result, counted up to `most`, and the age in seconds of the oldest: `n`, `age_s`."""
    return (
        "select count(*) as n, coalesce(extract(epoch from clock_timestamp() - min(accepted_at)), 0) as age_s "
        f"from (select accepted_at from undecided limit {most}) u"
    )


def of_letters(kind: str) -> str:
    """The count of open letters of events (`event`) or of refunds (`refund`)."""
    return f"select count(*) from {LETTERS} and {'seq' if kind == 'event' else 'effect_id'} is not null"
