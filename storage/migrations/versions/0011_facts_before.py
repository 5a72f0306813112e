"""Orders and transactions keep what the fold needs of their events besides; tax and payments under way are shown.

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
    op.add_column("orders", sa.Column("tax_amount", sa.Numeric, nullable=False, server_default="0"))
    comment = "on top of the price; null: the order's is spread by price"
    op.add_column("order_items", sa.Column("tax_amount", sa.Numeric, comment=comment))
    op.add_column("order_items", sa.Column("tax_free", sa.Boolean))
    comment = "where it was more than may be given back"
    op.add_column("returns", sa.Column("stated_amount", sa.Numeric, comment=comment))
    op.add_column("transactions", sa.Column("pending_kind", sa.Text))
    op.add_column("transactions", sa.Column("pending_until", sa.DateTime(timezone=True)))


def downgrade() -> None:
    for name in ("pending_until", "pending_kind", "facts"):
        op.drop_column("transactions", name)
    op.drop_column("orders", "facts")
    op.drop_column("returns", "stated_amount")
    op.drop_column("order_items", "tax_free")
    op.drop_column("order_items", "tax_amount")
    op.drop_column("orders", "tax_amount")
