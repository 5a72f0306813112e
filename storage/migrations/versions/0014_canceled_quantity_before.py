"""Items may be canceled: a line shows how many of it were taken out of its order again.

Before deployment: the column is 0 at first, and whoever does not know it never touches it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014_corrections"
down_revision = "0012_attempts"


def upgrade() -> None:
    op.add_column("order_items", sa.Column("canceled_quantity", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("order_items", "canceled_quantity")
