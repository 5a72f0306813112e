"""Operators of the console, their sessions and failed logins; and indexes of orders with flags, and of parcels by their numbers.

Before deployment: the tables are new, and whoever does not know them never touches them. The indexes are partial: an update
that leaves an order's flags, or a parcel's number, as they are stays in place as before. They are built beside the workers;
what a killed try left is built anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024_operators"
down_revision = "0022_given_up"

INDEXES = (
    ("orders_flagged_idx", "orders", [sa.text("placed_at desc"), sa.text("id desc")], "flags <> '{}'"),
    ("fulfillments_tracking_number_idx", "fulfillments", ["tracking_number"], "tracking_number is not null"),
)
NOW = sa.text("now()")


def upgrade() -> None:
    at = sa.DateTime(timezone=True)
    op.create_table(
        "operators",
        sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("password", sa.Text, comment="its Argon2id hash; null: none was set, and a link is the only way in"),
        sa.Column("link_digest", sa.LargeBinary, unique=True, comment="SHA-256 of the one-time link's token"),
        sa.Column("link_until", at),
        sa.Column("created_at", at, nullable=False, server_default=NOW),
        sa.Column("disabled_at", at),
        sa.CheckConstraint("role in ('viewer', 'operator', 'admin')", "role"),
        comment="People who may log in to the console.",
        if_not_exists=True,
    )
    op.create_table(
        "operator_sessions",
        sa.Column("digest", sa.LargeBinary, primary_key=True, comment="SHA-256 of the cookie's token"),
        sa.Column("operator_id", sa.Uuid(as_uuid=False), sa.ForeignKey("operators.id"), nullable=False, index=True),
        sa.Column("way", sa.Text, nullable=False),
        sa.Column("created_at", at, nullable=False, server_default=NOW),
        sa.Column("seen_at", at, nullable=False, server_default=NOW),
        sa.Column("expires_at", at, nullable=False),
        sa.CheckConstraint("way in ('password', 'link')", "way"),
        sa.Index("operator_sessions_expires_at_idx", "expires_at"),
        comment="Logins that are under way; a row goes when its session ends.",
        if_not_exists=True,
    )
    op.create_table(
        "login_failures",
        sa.Column(
            "digest", sa.LargeBinary, primary_key=True, comment="SHA-256 of the name, or of the address, that was tried"
        ),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", at, nullable=False, index=True),
        sa.Column("until", at, nullable=False, comment="no password is looked at before"),
        comment="Logins that failed in a row, per name and per address; a success, or a day, forgets them.",
        if_not_exists=True,
    )
    with op.get_context().autocommit_block():
        for index, table, columns, where in INDEXES:
            op.drop_index(index, table, postgresql_concurrently=True, if_exists=True)
            op.create_index(index, table, columns, postgresql_concurrently=True, postgresql_where=sa.text(where))


def downgrade() -> None:
    for index, table, _, _ in INDEXES:
        op.drop_index(index, table)
    for table in ("login_failures", "operator_sessions", "operators"):
        op.drop_table(table)
