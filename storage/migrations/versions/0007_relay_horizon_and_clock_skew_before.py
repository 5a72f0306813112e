"""Appenders are known by a lock, marks pass what is open, and processes say how far their clocks are off.

Before deployment: older workers go on with the columns that they know, which mean what they meant. The trigger waits
for transactions that have written to the journal, so that from its commit on every appender holds the lock.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0007_horizon"
down_revision = "0006_leases"

UNDECIDED = """
create view undecided as
select j.seq, j.shard, j.type, j.subject, j.data, j.accepted_at from relay_marks m cross join lateral (
    select o.seq, o.shard, o.type, o.subject, o.data, o.accepted_at from journal o
    where o.seq = any(m.open) and o.seq > m.seq and o.seq <= m.above
    union all
    select n.seq, n.shard, n.type, n.subject, n.data, n.accepted_at from journal n
    where n.shard = m.shard and n.seq > m.above
) j where (select true from results r where r.seq = j.seq) is null
"""
FUNCTION = """
create function note_appender() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(77002, 0);
    return null;
end $$
"""
TRIGGER = (
    "create trigger journal_appenders before insert on journal for each statement execute function note_appender()"
)


def upgrade() -> None:
    op.execute(FUNCTION)
    op.execute(TRIGGER)
    _marks()
    _horizon()
    op.execute(UNDECIDED)
    op.add_column(
        "heartbeats",
        sa.Column(
            "skew",
            sa.Double,
            comment="seconds that a process's host is ahead of PostgreSQL; null: no process's row",
        ),
    )


def _marks() -> None:
    op.add_column(
        "relay_marks",
        sa.Column(
            "looked",
            sa.BigInteger,
            nullable=False,
            server_default="0",
            comment="and above that, up to here, all but `open`: while seq is not below where it was then",
        ),
    )
    op.add_column(
        "relay_marks",
        sa.Column("open", ARRAY(sa.BigInteger), nullable=False, server_default="{}", comment="undecided, sorted"),
    )
    op.add_column(
        "relay_marks",
        sa.Column(
            "above",
            sa.BigInteger,
            sa.Computed("case when seq >= open[1] - 1 then greatest(looked, seq) else seq end", persisted=True),
            comment="from here on nobody has looked",
        ),
    )


def _horizon() -> None:
    op.add_column(
        "relay_horizon",
        sa.Column(
            "drawn",
            sa.BigInteger,
            nullable=False,
            server_default="0",
            comment="becomes safe once none of `appenders` runs; next_seq and next_at are older workers'",
        ),
    )
    op.add_column(
        "relay_horizon",
        sa.Column(
            "appenders",
            ARRAY(sa.Text),
            nullable=False,
            server_default="{}",
            comment="virtual ids of the transactions that were appending right after `drawn` was the last number",
        ),
    )


def downgrade() -> None:
    op.execute("delete from heartbeats where skew is not null")
    op.drop_column("heartbeats", "skew")
    op.execute("drop view undecided")
    for column in ("appenders", "drawn"):
        op.drop_column("relay_horizon", column)
    for column in ("above", "open", "looked"):
        op.drop_column("relay_marks", column)
    op.execute("drop trigger journal_appenders on journal")
    op.execute("drop function note_appender()")
