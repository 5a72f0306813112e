"""The schema's parts besides tables: two views, and the trigger by which appenders are known."""

from __future__ import annotations

APPENDERS = 77_002  # first key of an advisory lock, the second is 0: shared by all transactions that append

TIMELINE_VIEW = """
create view timeline as
select r.order_id, j.seq, j.source, j.event_id, j.type, j.time, j.accepted_at, r.decided_at,
       r.outcome, r.reason, r.detail, r.apply_number, r.step_from, r.step_to, r.implied, j.data
from results r join journal j using (seq)
"""

# Looks at what the relay has not looked at yet, and at what it has found open: the cost is what is open, not what was
# decided since the oldest of it. Results are looked up row by row, whatever the planner thinks of the journal's size.
UNDECIDED_VIEW = """
create view undecided as
select j.seq, j.shard, j.type, j.subject, j.data, j.accepted_at from relay_marks m cross join lateral (
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

DEFINITIONS = (TIMELINE_VIEW, UNDECIDED_VIEW, APPENDERS_FUNCTION, APPENDERS_TRIGGER)
