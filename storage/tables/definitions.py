"""The schema's parts besides tables: three views, and triggers: by which appenders are known, letters named, the audit sealed, refunds' changes told."""

from __future__ import annotations

APPENDERS = 77_002  # first key of an advisory lock, the second is 0: shared by all transactions that append

TIMELINE_VIEW = """
create view timeline as
select r.order_id, j.seq, j.source, j.event_id, j.type, j.time, j.accepted_at, r.decided_at,
       r.outcome, r.reason, r.detail, r.apply_number, r.step_from, r.step_to, r.implied, j.data
from results r join journal j using (seq)
"""

# Looks at what the relay has not looked at yet, and at what it has found open: the cost is what is open, not what was
# decided since the oldest of it. Results are looked up row by row, whatever the planner thinks of the journal's size. The shard is
# the mark's: whoever asks for one looks at no other's.
UNDECIDED_VIEW = """
create view undecided as
select j.seq, m.shard, j.type, j.subject, j.data, j.accepted_at from relay_marks m cross join lateral (
    select o.seq, o.shard, o.type, o.subject, o.data, o.accepted_at from journal o
    where o.seq = any(m.open) and o.seq > m.seq and o.seq <= m.above
    union all
    select n.seq, n.shard, n.type, n.subject, n.data, n.accepted_at from journal n
    where n.shard = m.shard and n.seq > m.above
) j where (select true from results r where r.seq = j.seq) is null
"""

# A statement's trigger fires before the statement draws its first number. A lock that is let go of is let go of after
# the commit: whoever holds none then has nothing left to show.
APPENDERS_FUNCTION = f"""
create function note_appender() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared({APPENDERS}, 0);
    return null;
end $$
"""
APPENDERS_TRIGGER = """
create trigger journal_appenders before insert on journal for each statement execute function note_appender()
"""

# What has ended or was told of stands in `refunds`; what has yet to go back of a payment is its effect, under the id of
# the row that it will become. One whose row is there already (it is open at its provider, or was refused) is shown once.
REFUND_DOCUMENTS_VIEW = """
create view refund_documents as
select r.id, r.order_id, r.transaction_id, r.reference, r.amount, r.currency, r.reasons, r.origin, r.status,
       case when r.status in ('pending', 'requires_action') then 'provider' when r.attention = 'open' then 'person'
       end as waits_for,
       r.return_id, r.personal_id, r.failure, r.settled_method, r.requested_at, r.ended_at, r.created_at, r.updated_at,
       cast(null as uuid) as effect_id, case when r.attention = 'open' then (
           select coalesce(e.due_since, e.created_at) from effects e where e.transaction_id = r.transaction_id
       ) end as due_since
from refunds r
union all
select e.refund_id, e.order_id, e.transaction_id, null,
       coalesce(e.asked, e.target - greatest(e.made, t.refunded_amount)), e.currency, coalesce(e.reasons, '[]'), 'ours',
       case when e.state = 'dead' and e.idempotency_key is null then 'failed' else 'pending' end,
       case when e.state in ('staff', 'dead') then 'person' when e.state = 'held' then 'nobody'
            when e.state = 'account_needed' then 'account'
            when e.idempotency_key is not null then 'provider' else 'turn' end,
       e.return_id, e.personal_id, e.last_error, null, e.attempted_at, null, e.created_at, e.updated_at, e.id,
       coalesce(e.due_since, e.created_at)
from effects e join transactions t on t.id = e.transaction_id
where e.state <> 'done' and e.refund_id is not null
  and (e.idempotency_key is not null or e.target > greatest(e.made, t.refunded_amount))
  and not exists (select from refunds r where r.id = e.refund_id)
"""

# Whatever buries an event, its letter is found by what the event names: also where that never reached an order, or no order knows it.
# An index takes 2,700 bytes of an entry at most, and what was given up may be anything.
LETTER_FUNCTION = """
create function name_letter() returns trigger language plpgsql as $$
begin
    select left(coalesce(j.subject, 'payment:' || (j.data ->> 'paymentId')), 255) into new.names from journal j where j.seq = new.seq;
    return new;
end $$
"""
LETTER_TRIGGER = """
create trigger dead_letters_named before insert on dead_letters for each row when (new.seq is not null)
execute function name_letter()
"""

# What was done stays told: nobody changes a row, nor takes one away before its year is over, the tables' owner included.
SEAL_FUNCTION = """
create function seal_audit() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and old.at < now() - interval '1 year' then
        return old;
    end if;
    raise exception 'audit is append-only: % refused', lower(tg_op)
        using hint = 'a row may be deleted once it is older than a year';
end $$
"""
SEAL_TRIGGER = """
create trigger audit_seal before update or delete on audit for each row execute function seal_audit()
"""
SEAL_TRUNCATE_TRIGGER = """
create trigger audit_seal_truncate before truncate on audit for each statement execute function seal_audit()
"""

# A refund changes in many places; each notes its payment for those who subscribed to refunds (outbound/webhooks/refund_changes.py).
REFUND_CHANGE_FUNCTION = """
create function note_refund_change() returns trigger language plpgsql as $$
begin
    if exists (select from subscriptions where state = 'active' and 'refunds' = any(collections)) then
        insert into refund_changes (transaction_id) select distinct transaction_id from changed;
    end if;
    return null;
end $$
"""
REFUND_CHANGE_TRIGGERS = tuple(
    f"""
create trigger {table}_{operation}_told after {operation} on {table} referencing new table as changed
for each statement execute function note_refund_change()
"""
    for table in ("effects", "refunds")
    for operation in ("insert", "update")
)

DEFINITIONS = (
    TIMELINE_VIEW,
    UNDECIDED_VIEW,
    REFUND_DOCUMENTS_VIEW,
    APPENDERS_FUNCTION,
    APPENDERS_TRIGGER,
    LETTER_FUNCTION,
    LETTER_TRIGGER,
    SEAL_FUNCTION,
    SEAL_TRIGGER,
    SEAL_TRUNCATE_TRIGGER,
    REFUND_CHANGE_FUNCTION,
    *REFUND_CHANGE_TRIGGERS,
)
