"""Webhooks that anybody may have sent: which payment they name, and an end of their own.

Before deployment: older processes enter rows without the new columns, which are asked for one by one as before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008_unsigned"
down_revision = "0007_horizon"

STATES = "inbox_state_check"


def upgrade() -> None:
    op.add_column("inbox", sa.Column("payment", sa.Text, comment="one answer about it settles all rows before"))
    op.add_column("inbox", sa.Column("unsigned", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("inbox", sa.Column("leased_until", sa.DateTime(timezone=True), comment="being asked for"))
    op.drop_constraint(STATES, "inbox")
    op.create_check_constraint(op.f(STATES), "inbox", "state in ('due', 'done', 'dead', 'expired')")
    op.create_index("inbox_payment_idx", "inbox", ["provider", "payment"], postgresql_where=sa.text("state = 'due'"))
    op.create_index("inbox_unsigned_idx", "inbox", ["provider"], postgresql_where=sa.text("state = 'due' and unsigned"))


def downgrade() -> None:
    op.execute("update inbox set state = 'done' where state = 'expired'")
    op.drop_index("inbox_unsigned_idx", "inbox")
    op.drop_index("inbox_payment_idx", "inbox")
    op.drop_constraint(STATES, "inbox")
    op.create_check_constraint(op.f(STATES), "inbox", "state in ('due', 'done', 'dead')")
    op.drop_column("inbox", "leased_until")
    op.drop_column("inbox", "unsigned")
    op.drop_column("inbox", "payment")
