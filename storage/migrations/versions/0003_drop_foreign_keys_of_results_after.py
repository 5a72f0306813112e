"""Drop foreign keys to rows that are for ever, and three indexes: each event paid for them and nobody used them.

After deployment: older workers do not notice. `results.seq` comes out of the journal, which is append-only, and
no policy is ever deleted; their foreign keys locked two rows for each result. The indexes on `order_id` repeat
the unique keys that begin with it. One comes: the newest orders of the whole shop are what staff looks at.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_lean"
down_revision = "0002_doors"

INDEXED = ("order_items", "fulfillments", "returns")


def upgrade() -> None:
    op.drop_constraint("results_seq_fkey", "results")
    op.drop_constraint("results_policy_id_fkey", "results")
    op.alter_column("results", "seq", existing_type=sa.BigInteger, comment="the journal's; its rows are for ever")
    op.alter_column(
        "results", "policy_id", existing_type=sa.SmallInteger, comment="of policies, whose rows are for ever"
    )
    for table in INDEXED:
        op.drop_index(f"{table}_order_id_idx", table)
    op.create_index("orders_placed_at_idx", "orders", [sa.text("placed_at desc"), sa.text("id desc")])


def downgrade() -> None:
    op.drop_index("orders_placed_at_idx", "orders")
    for table in INDEXED:
        op.create_index(f"{table}_order_id_idx", table, ["order_id"])
    op.alter_column("results", "seq", existing_type=sa.BigInteger, comment=None)
    op.alter_column("results", "policy_id", existing_type=sa.SmallInteger, comment=None)
    op.create_foreign_key("results_policy_id_fkey", "results", "policies", ["policy_id"], ["id"])
    op.create_foreign_key("results_seq_fkey", "results", "journal", ["seq"], ["seq"])
