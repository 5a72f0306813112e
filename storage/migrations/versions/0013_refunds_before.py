"""Refunds as the outside sees them: a table of what was told or has ended, and a view that adds what is yet to be made.

Before deployment: the table is new, the columns are null at first, and whoever does not know them never touches them.
What providers told of refunds by their ids is filled in from the transactions' facts.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013_refunds"
down_revision = "0012_attempts"

VIEW = """
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
       case when e.state in ('staff', 'dead') then 'person' when e.state = 'held' then 'nobody'
            when e.idempotency_key is not null then 'provider' else 'turn' end,
       e.return_id, e.personal_id, e.last_error, null, e.attempted_at, null, e.created_at, e.updated_at, e.id
from effects e join transactions t on t.id = e.transaction_id
where e.state <> 'done' and e.refund_id is not null
  and (e.idempotency_key is not null or e.target > greatest(e.made, t.refunded_amount))
  and not exists (select from refunds r where r.id = e.refund_id)
"""
# Whatever id a row has from now on, it keeps.
FILL = """
insert into refunds (id, order_id, transaction_id, reference, amount, currency, origin, status, requested_at, ended_at)
select gen_random_uuid(), t.order_id, t.id, f.key, coalesce(cast(f.value #>> '{amount,-1}' as numeric), 0), t.currency,
       'provider', f.value ->> 'status', cast(f.value ->> 'requested' as timestamptz),
       case when f.value ->> 'status' not in ('pending', 'requires_action')
       then cast(f.value #>> '{at,0}' as timestamptz) end
from transactions t cross join lateral jsonb_each(t.facts -> 'refunds') f where t.facts ? 'refunds'
"""


def upgrade() -> None:
    _refunds()
    comment = "of the row of `refunds` that what has yet to go back will be"
    op.add_column("effects", sa.Column("refund_id", sa.Uuid, comment=comment))
    op.add_column("effects", sa.Column("reasons", JSONB, comment="why it goes back: [{reason, amount} …]"))
    op.add_column("effects", sa.Column("return_id", sa.Uuid))
    op.add_column("effects", sa.Column("personal_id", sa.Uuid, comment="of the note of whoever asked for it"))
    open_ones = sa.text("state <> 'done'")
    op.create_index("effects_refund_id_idx", "effects", ["refund_id"], unique=True, postgresql_where=open_ones)
    op.execute("update effects set refund_id = gen_random_uuid() where state <> 'done'")
    op.execute(FILL)
    op.execute(VIEW)


def _refunds() -> None:
    now = sa.func.now()
    op.create_table(
        "refunds",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("order_id", sa.Uuid, sa.ForeignKey("orders.id"), nullable=False),
        sa.Column(
            "transaction_id",
            sa.Uuid,
            sa.ForeignKey("transactions.id"),
            nullable=False,
        ),
        sa.Column("reference", sa.Text, comment="the provider's id of it; null where it never came to be there"),
        sa.Column("amount", sa.Numeric, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("reasons", JSONB, nullable=False, server_default="[]"),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column(
            "attention",
            sa.Text,
            comment="new: came to nothing, not weighed yet; open: a person tries again or settles it",
        ),
        sa.Column("return_id", sa.Uuid),
        sa.Column("personal_id", sa.Uuid),
        sa.Column("failure", sa.Text),
        sa.Column("settled_method", sa.Text, comment="how a person paid it back past the provider"),
        sa.Column("requested_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=now),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=now),
        sa.UniqueConstraint("reference", "transaction_id"),
        sa.CheckConstraint("origin in ('ours', 'provider')", name=op.f("refunds_origin_check")),
        sa.CheckConstraint(
            "status in ('pending', 'requires_action', 'succeeded', 'canceled', 'failed')",
            name=op.f("refunds_status_check"),
        ),
        sa.CheckConstraint("attention in ('new', 'open')", name=op.f("refunds_attention_check")),
        sa.CheckConstraint("amount >= 0", name=op.f("refunds_amount_check")),
        comment="Refunds by their provider's ids, and those of ours that ended: a projection of facts and attempts.",
    )
    op.create_index("refunds_order_id_idx", "refunds", ["order_id"])
    to_weigh = sa.text("attention is not null")
    op.create_index("refunds_attention_idx", "refunds", ["transaction_id"], postgresql_where=to_weigh)


def downgrade() -> None:
    op.execute("drop view refund_documents")
    op.drop_index("effects_refund_id_idx", "effects")
    for name in ("personal_id", "return_id", "reasons", "refund_id"):
        op.drop_column("effects", name)
    op.drop_table("refunds")
