"""Items may be canceled: a line shows how many of it were taken out of its order again. Holds may end by a timer.

Before deployment: the column is 0 at first, and whoever does not know it never touches it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014_corrections"
down_revision = "0013_refunds"

KIND = "timers_kind_check"


def upgrade() -> None:
    op.add_column("order_items", sa.Column("canceled_quantity", sa.Integer, nullable=False, server_default="0"))
    op.drop_constraint(op.f(KIND), "timers")
    op.create_check_constraint(op.f(KIND), "timers", "kind in ('unpaid', 'confirm', 'hold')")


def downgrade() -> None:
    op.execute("delete from timers where kind = 'hold'")
    op.drop_constraint(op.f(KIND), "timers")
    op.create_check_constraint(op.f(KIND), "timers", "kind in ('unpaid', 'confirm')")
    op.drop_column("order_items", "canceled_quantity")
