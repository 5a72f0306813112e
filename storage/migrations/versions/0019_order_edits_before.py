"""Orders may be edited: a row of personal fields that was put together of several events' names the order that shows it.

Before deployment: the column is null at first, and whoever does not know it never touches it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019_order_edits"
down_revision = "0023_pauses_and_audit"

INDEX = "personal_order_id_idx"
BEFORE = "Names, addresses and notes: journal bodies and orders only refer to them; erase a row to forget."
SINCE = (
    "Names, addresses and notes: journal bodies and orders only refer to them. To forget, erase the rows that the "
    "order's events name, and those of its `order_id`."
)


def upgrade() -> None:
    shows = "of a row that was put together of several events' rows: the order that shows it"
    op.add_column("personal", sa.Column("order_id", sa.Uuid, comment=shows))
    op.create_index(INDEX, "personal", ["order_id"], postgresql_where=sa.text("order_id is not null"))
    op.create_table_comment("personal", SINCE)


def downgrade() -> None:
    op.create_table_comment("personal", BEFORE)
    op.drop_index(INDEX, "personal")
    op.drop_column("personal", "order_id")
