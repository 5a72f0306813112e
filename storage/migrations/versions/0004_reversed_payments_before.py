"""A payment may be reversed, and captured anew.

Before deployment: older workers leave the new columns alone. A target may now be above the amount, where more
had been captured, was due back, and then was reversed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0004_reversed"
down_revision = "0003_lean"

TARGET = "transactions_refund_target_check"


def upgrade() -> None:
    op.add_column("transactions", sa.Column("reversed_at", sa.DateTime(timezone=True)))
    op.add_column(
        "transactions",
        sa.Column(
            "captures",
            ARRAY(sa.Text),
            nullable=False,
            server_default="{}",
            comment="empty: paid_at and amount say all",
        ),
    )
    op.drop_constraint(TARGET, "transactions")
    op.create_check_constraint(op.f(TARGET), "transactions", "refund_target >= 0")


def downgrade() -> None:
    op.drop_constraint(TARGET, "transactions")
    op.create_check_constraint(op.f(TARGET), "transactions", "refund_target between 0 and amount")
    op.drop_column("transactions", "captures")
    op.drop_column("transactions", "reversed_at")
