"""Orders may be edited: a row of personal fields that was put together of several events' names the order that shows it.
Lines of orders and carts may need no shipping. Returns show when they were received, and who rejected them; fulfillments, which one
they replace.

Before deployment: every line needs shipping at first, the rest is null; whoever does not know the columns never touches them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

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
    for lines in ("order_items", "cart_items"):
        op.add_column(lines, sa.Column("requires_shipping", sa.Boolean, nullable=False, server_default="true"))
    replaced = "the name of the fulfillment that it is sent in place of"
    op.add_column("fulfillments", sa.Column("replaces", sa.Text, comment=replaced))
    for column in ("carrier", "tracking_number", "tracking_status"):
        op.add_column("returns", sa.Column(column, sa.Text))
    op.add_column("returns", sa.Column("received_at", sa.DateTime(timezone=True)))
    op.add_column("returns", sa.Column("rejected_by", sa.Text, comment="customer: it was withdrawn"))
    op.add_column("returns", sa.Column("facts", JSONB, comment="what the fold keeps of events besides"))


def downgrade() -> None:
    for column in ("facts", "rejected_by", "received_at", "tracking_status", "tracking_number", "carrier"):
        op.drop_column("returns", column)
    op.drop_column("fulfillments", "replaces")
    for lines in ("cart_items", "order_items"):
        op.drop_column(lines, "requires_shipping")
    op.create_table_comment("personal", BEFORE)
    op.drop_index(INDEX, "personal")
    op.drop_column("personal", "order_id")
