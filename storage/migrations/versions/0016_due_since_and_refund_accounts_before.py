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
    op.create_index(
        "refund_accounts_erase_at_idx",
        "refund_accounts",
        ["erase_at"],
        postgresql_where=sa.text("erase_at is not null"),
    )
    with op.get_context().autocommit_block():
        op.drop_index("transactions_owed_idx", "transactions", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "transactions_owed_idx",
            "transactions",
            ["id"],
            postgresql_where=sa.text("refund_target > refunded_amount"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index("transactions_owed_idx", "transactions")
    op.drop_table("refund_accounts")
    op.execute("update effects set state = 'staff' where state = 'account_needed'")
    op.drop_constraint(STATES, "effects")
    op.create_check_constraint(op.f(STATES), "effects", f"state in ({_KNOWN})")
    op.drop_column("effects", "account_asked_at")
    op.drop_column("effects", "asked_tax")
    op.drop_column("effects", "due_since")
