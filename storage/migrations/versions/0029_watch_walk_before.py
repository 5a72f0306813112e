"""A row that keeps for which routes open parcels were looked for that nobody watches, and how far that has come.

Before deployment: the table is new, and empty; older workers watch what they always did. The first look makes the row, and goes through
all orders once.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029_watch_walk"
down_revision = "0028_unreached_and_discarded"


def upgrade() -> None:
    op.create_table(
        "watch_walk",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column(
            "routes",
            sa.Text,
            nullable=False,
            comment="the fingerprint of who is polled for which carrier, which orders are looked at for",
        ),
        sa.Column("walked", sa.Uuid(as_uuid=False), comment="the last order that was looked at; null: none yet"),
        sa.Column("finished", sa.Boolean, nullable=False, server_default="false", comment="all orders were looked at"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        comment="One row: how far open parcels were looked for that somebody is polled for by these routes, and nobody watches.",
    )


def downgrade() -> None:
    op.drop_table("watch_walk")
