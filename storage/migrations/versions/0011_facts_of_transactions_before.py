"""A transaction keeps what the fold needs of its events besides, and shows the payment that is under way.

Before deployment: the columns are null at first, and whoever does not know them never touches them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011_facts"
down_revision = "0010_timeline"


def upgrade() -> None:
    op.add_column("transactions", sa.Column("facts", JSONB, comment="what the fold keeps of events besides"))
    op.add_column("transactions", sa.Column("pending_kind", sa.Text))
    op.add_column("transactions", sa.Column("pending_until", sa.DateTime(timezone=True)))


def downgrade() -> None:
    for name in ("pending_until", "pending_kind", "facts"):
        op.drop_column("transactions", name)
