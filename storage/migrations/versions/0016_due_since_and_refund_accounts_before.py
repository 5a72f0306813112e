"""Refunds know since when they are due, and wait for a bank account where one is needed, which is kept encrypted.

Before deployment: the new column is null at first, the new table empty, and no older process writes the new state. The
index of what is owed is built beside the workers; what a killed try left is built anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016_accounts"
down_revision = "0014_corrections"

STATES = "effects_state_check"
_KNOWN = "'due', 'in_flight', 'unknown', 'done', 'held', 'staff', 'dead'"


def upgrade() -> None:
    # First, since it commits: a try that is killed here leaves nothing but an index that the next one drops.
    with op.get_context().autocommit_block():
        op.drop_index("transactions_owed_idx", "transactions", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "transactions_owed_idx",
            "transactions",
            ["id"],
            postgresql_where=sa.text("refund_target > refunded_amount"),
            postgresql_concurrently=True,
        )
    op.add_column("effects", sa.Column("due_since", sa.DateTime(timezone=True), comment="null: since it was made"))
    comment = "tax-free part and VAT that the attempt was told with, of all that is to go back"
    op.add_column("effects", sa.Column("asked_tax", JSONB, comment=comment))
    comment = "when the payer's bank account was asked for; one of before is no good"
    op.add_column("effects", sa.Column("account_asked_at", sa.DateTime(timezone=True), comment=comment))
    op.drop_constraint(STATES, "effects")
    op.create_check_constraint(op.f(STATES), "effects", f"state in ({_KNOWN}, 'account_needed')")
    op.create_table(
        "refund_accounts",
        sa.Column("order_id", sa.Uuid(as_uuid=False), sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("sealed", sa.Text, nullable=False, comment="bank, number and holder as a Fernet token"),
        sa.Column("masked", JSONB, nullable=False, comment="what of it may be shown"),
        sa.Column("erase_at", sa.DateTime(timezone=True), comment="null: it may be needed"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        comment="Bank accounts that refunds go to; encrypted, and erased once they are not needed.",
    )
    _view("when e.state = 'account_needed' then 'account'")
    op.create_index(
        "refund_accounts_erase_at_idx",
        "refund_accounts",
        ["erase_at"],
        postgresql_where=sa.text("erase_at is not null"),
    )


def _view(waits: str) -> None:
    """Make the view of refunds' documents anew; `waits` says what one that lacks its account waits for."""
    op.execute("drop view refund_documents")
    op.execute(f"""
create view refund_documents as
select r.id, r.order_id, r.transaction_id, r.reference, r.amount, r.currency, r.reasons, r.origin, r.status,
       case when r.status in ('pending', 'requires_action') then 'provider' when r.attention = 'open' then 'person'
       end as waits_for,
       r.return_id, r.personal_id, r.failure, r.settled_method, r.requested_at, r.ended_at, r.created_at, r.updated_at,
       cast(null as uuid) as effect_id
from refunds r
union all
select e.refund_id, e.order_id, e.transaction_id, null,
       coalesce(e.asked, e.target - greatest(e.made, t.refunded_amount)), e.currency, coalesce(e.reasons, '[]'), 'ours',
       case when e.state = 'dead' and e.idempotency_key is null then 'failed' else 'pending' end,
       case when e.state in ('staff', 'dead') then 'person' when e.state = 'held' then 'nobody' {waits}
            when e.idempotency_key is not null then 'provider' else 'turn' end,
       e.return_id, e.personal_id, e.last_error, null, e.attempted_at, null, e.created_at, e.updated_at, e.id
from effects e join transactions t on t.id = e.transaction_id
where e.state <> 'done' and e.refund_id is not null
  and (e.idempotency_key is not null or e.target > greatest(e.made, t.refunded_amount))
  and not exists (select from refunds r where r.id = e.refund_id)
""")


def downgrade() -> None:
    op.drop_index("transactions_owed_idx", "transactions")
    op.drop_table("refund_accounts")
    _view("")
    op.execute("update effects set state = 'staff' where state = 'account_needed'")
    op.drop_constraint(STATES, "effects")
    op.create_check_constraint(op.f(STATES), "effects", f"state in ({_KNOWN})")
    op.drop_column("effects", "account_asked_at")
    op.drop_column("effects", "asked_tax")
    op.drop_column("effects", "due_since")
