"""Orders and transactions keep what the fold needs of their events besides; a payment under way is shown.

Before deployment: the columns are null at first, and whoever does not know them never touches them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011_facts"
down_revision = "0010_timeline"


def upgrade() -> None:
    for table in ("orders", "transactions"):
        op.add_column(table, sa.Column("facts", JSONB, comment="what the fold keeps of events besides"))
    op.add_column("transactions", sa.Column("pending_kind", sa.Text))
    op.add_column("transactions", sa.Column("pending_until", sa.DateTime(timezone=True)))


def downgrade() -> None:
    for name in ("pending_until", "pending_kind", "facts"):
        op.drop_column("transactions", name)
    op.drop_column("orders", "facts")
