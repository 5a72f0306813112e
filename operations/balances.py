"""The money of all orders, added up by currency: what `domain.balance` says of each, summed, in one statement.

PostgreSQL adds it up from what the fold has stored, so no order is loaded, however many gave money back; a property test
holds it against the orders' own balances. Facts are read as `domain.movements` and `domain.dues` lay them down.
"""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal

from sqlalchemy import Connection, text

from domain.balance import Balance
from domain.dues import ALLOCATED, AS_DUE, CANCELED, GRANTS, SETTLED
from domain.movements import CAME_TO_NOTHING, INQUIRY, LOST, UNDER_WAY, WON
from domain.returns import Status as ReturnStatus
from storage.engine import plan_freely
from storage.pg_arrays import array

Sums = dict[str, dict[str, Decimal]]  # currency → orders, and each sum of `Balance`

_SUMS = tuple(each.name for each in fields(Balance))
_PLACE = 4  # values of a fact stand behind its place

# `untried`: what failed adds to what is left of failures, what was made afterwards takes from it, and never below 0. The
# sum of a walk that is stopped at 0 is its last place less the lowest that it would have come to.
_ADDED_UP = text(f"""
with refunds as (
    select t.order_id, t.id as payment, r.key as name, r.value ->> 'status' = any(cast(:on_its_way as text[])) as on_its_way,
           r.value ->> 'status' = any(cast(:nothing as text[])) as failed, coalesce(cast(r.value -> 'amount' ->> -1 as numeric), 0) as amount,
           r.value ->> 'requested' as requested_at, r.value ->> 'failed' as failed_at
    from transactions t cross join lateral jsonb_each(t.facts -> 'refunds') r where t.facts is not null
), by_hand as (
    select o.id as order_id, s.key as name, cast(s.value ->> {_PLACE + 1} as numeric) as stated,
           cast(o.facts -> '{GRANTS}' -> s.key ->> {_PLACE} as numeric) as granted
    from orders o cross join lateral jsonb_each(o.facts -> '{SETTLED}') s where o.facts is not null
), settled as (
    select order_id, sum(coalesce(made, granted, stated)) as amount from (
        select distinct on (h.order_id, h.name) h.*, case when r.failed then r.amount when r.payment is not null then 0 end as made
        from by_hand h left join refunds r using (order_id, name) order by h.order_id, h.name, r.payment desc nulls last
    ) of_each group by order_id
), steps as (
    select order_id, payment, case when failed then amount else - amount end as step,
           row_number() over (partition by payment order by
               case when failed then failed_at else requested_at end collate "C", not failed, amount) as place
    from refunds left join by_hand h using (order_id, name)
    where case when failed then h.name is null else requested_at is not null end
), walked as (
    select order_id, payment, place, sum(step) over (partition by payment order by place) as at from steps
), untried as (
    select order_id, sum(left_over) as amount from (
        select order_id, (array_agg(at order by place desc))[1] - least(0, min(at)) as left_over
        from walked group by order_id, payment
    ) of_each group by order_id
), moved as (
    select r.order_id, sum(r.amount) filter (where r.on_its_way) as on_its_way,
           sum(r.amount) filter (where not r.failed and o.facts -> '{ALLOCATED}' -> r.name ->> {_PLACE} <> '{AS_DUE}') as allocated
    from refunds r join orders o on o.id = r.order_id group by r.order_id
), contests as (
    select id, least(lost, amount) as lost, least(contested, amount - least(lost, amount)) as contested from (
        select t.id, t.amount,
            coalesce(sum(d.amount) filter (where d.status = '{LOST}'), 0) as lost,
            coalesce(sum(d.amount) filter (where d.status not in ('{LOST}', '{WON}', '{INQUIRY}')), 0) as contested
        from transactions t cross join lateral (
            select value ->> 'status' as status, coalesce(cast(value -> 'amount' ->> -1 as numeric), t.amount) as amount
            from jsonb_each(t.facts -> 'disputes')
        ) d where t.facts is not null and t.paid_at is not null group by t.id, t.amount
    ) of_each
), paid as (
    select t.order_id, sum(t.refunded_amount) as refunded, sum(c.lost) as lost, sum(c.contested) as contested,
           sum(t.amount) filter (where t.paid_at is not null) as captured,
           sum(case when t.captures <> '{{}}' then (
                   select max(cast(split_part(of_each, ' ', 2) as numeric)) from unnest(t.captures) of_each)
               when t.paid_at is not null then t.amount end) as ever
    from transactions t left join contests c on c.id = t.id group by t.order_id
), back as (
    select order_id, sum(refund_amount) as amount from returns where status = '{ReturnStatus.COMPLETED}' group by order_id
), decided as (
    select o.id,
           least(o.total_amount, greatest(cast(o.facts ->> 'accepted' as numeric), coalesce(p.captured, 0))) as accepted,
           (select sum(cast(value ->> 'amount' as numeric)) from jsonb_each(o.facts -> '{CANCELED}')) as called_off,
           (select sum(cast(value ->> {_PLACE} as numeric)) from jsonb_each(o.facts -> '{GRANTS}')) as granted
    from orders o left join paid p on p.order_id = o.id where o.facts is not null
), priced as (
    select o.id, o.currency, o.canceled_at is not null as canceled, coalesce(p.captured, 0) as captured,
           coalesce(p.ever, 0) as ever, coalesce(p.lost, 0) as lost, coalesce(p.contested, 0) as contested,
           coalesce(p.refunded, 0) as refunded, coalesce(m.on_its_way, 0) as refunding, coalesce(s.amount, 0) as settled,
           coalesce(u.amount, 0) as untried,
           case when o.canceled_at is not null then 0 else greatest(0,
               case when o.facts ? 'accepted' then d.accepted else o.total_amount end - coalesce(b.amount, 0)
               - coalesce(d.called_off, 0) - coalesce(d.granted, 0) - coalesce(m.allocated, 0)) end as payable
    from orders o left join paid p on p.order_id = o.id left join back b on b.order_id = o.id
    left join decided d on d.id = o.id left join moved m on m.order_id = o.id
    left join settled s on s.order_id = o.id left join untried u on u.order_id = o.id
    where o.placed_at is not null
), weighed as (
    select *, greatest(0, captured - lost - payable) as due,
           greatest(0, greatest(0, captured - lost - payable) - refunded - settled) as owed from priced
)
select currency, count(*) as orders, sum(captured) as captured, sum(ever - captured) as reversed, sum(lost) as lost,
       sum(contested) as contested, sum(payable) as payable, sum(due) as due, sum(refunded - refunding) as refunded,
       sum(refunding) as refunding, sum(settled) as settled, sum(least(untried, owed)) as failed, sum(owed) as owed
from weighed group by currency order by currency
""")


def balances(conn: Connection) -> Sums:
    """The sums over all orders by currency, as of the instant at which the statement begins."""
    plan_freely(conn)
    values = {"on_its_way": array(sorted(UNDER_WAY), "text"), "nothing": array(sorted(CAME_TO_NOTHING), "text")}
    return {
        row.currency: {name: getattr(row, name) for name in ("orders", *_SUMS)}
        for row in conn.execute(_ADDED_UP, values)
    }
