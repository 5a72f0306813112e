"""Changes of refunds are noted for those who subscribed to them, and refunds show since when they are due.

Before deployment: the view gains a column behind all others, and the triggers write only where somebody subscribed to
refunds, which no release before lets anybody do.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021_refund_changes"
down_revision = "0024_operators"

_TABLES = ("effects", "refunds")


def upgrade() -> None:
    op.execute(f"create or replace view refund_documents as {_view(', due_since')}")
    op.create_table(
        "refund_changes",
        sa.Column("seq", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("transaction_id", sa.Uuid(as_uuid=False), nullable=False),
        comment="Payments of which a refund changed, until those who subscribed to refunds are told.",
    )
    op.create_table(
        "refund_tellings",
        sa.Column("refund_id", sa.Uuid(as_uuid=False), primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="of the document that was told last"),
        comment="Refunds of which subscribers were told, and what they were told last.",
    )
    op.execute("""
create function note_refund_change() returns trigger language plpgsql as $$
begin
    if exists (select from subscriptions where state = 'active' and 'refunds' = any(collections)) then
        insert into refund_changes (transaction_id) select distinct transaction_id from changed;
    end if;
    return null;
end $$
""")
    for table in _TABLES:
        for operation in ("insert", "update"):
            op.execute(f"""
create trigger {table}_{operation}_told after {operation} on {table} referencing new table as changed
for each statement execute function note_refund_change()
""")


def _view(due: str) -> str:
    """The documents of refunds; `due` adds the last column."""
    of_row = "(select coalesce(e.due_since, e.created_at) from effects e where e.transaction_id = r.transaction_id)"
    first = f", case when r.attention = 'open' then {of_row} end as due_since" if due else ""
    second = ", coalesce(e.due_since, e.created_at)" if due else ""
    return f"""
select r.id, r.order_id, r.transaction_id, r.reference, r.amount, r.currency, r.reasons, r.origin, r.status,
       case when r.status in ('pending', 'requires_action') then 'provider' when r.attention = 'open' then 'person'
       end as waits_for,
       r.return_id, r.personal_id, r.failure, r.settled_method, r.requested_at, r.ended_at, r.created_at, r.updated_at,
       cast(null as uuid) as effect_id{first}
from refunds r
union all
select e.refund_id, e.order_id, e.transaction_id, null,
       coalesce(e.asked, e.target - greatest(e.made, t.refunded_amount)), e.currency, coalesce(e.reasons, '[]'), 'ours',
       case when e.state = 'dead' and e.idempotency_key is null then 'failed' else 'pending' end,
       case when e.state in ('staff', 'dead') then 'person' when e.state = 'held' then 'nobody'
            when e.state = 'account_needed' then 'account'
            when e.idempotency_key is not null then 'provider' else 'turn' end,
       e.return_id, e.personal_id, e.last_error, null, e.attempted_at, null, e.created_at, e.updated_at, e.id{second}
from effects e join transactions t on t.id = e.transaction_id
where e.state <> 'done' and e.refund_id is not null
  and (e.idempotency_key is not null or e.target > greatest(e.made, t.refunded_amount))
  and not exists (select from refunds r where r.id = e.refund_id)
"""


def downgrade() -> None:
    for table in _TABLES:
        for operation in ("insert", "update"):
            op.execute(f"drop trigger {table}_{operation}_told on {table}")
    op.execute("drop function note_refund_change()")
    op.drop_table("refund_tellings")
    op.drop_table("refund_changes")
    op.execute("drop view refund_documents")
    op.execute(f"create view refund_documents as {_view('')}")
