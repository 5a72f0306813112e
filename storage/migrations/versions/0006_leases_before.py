"""Leases, in place of advisory locks of a session.

Before deployment: older dispatchers take their advisory lock and know nothing of the lease; two may run side by side
for a while, and the deliveries' own leases keep them apart.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_leases"
down_revision = "0005_room"


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False, comment="of one run; it renews while it works"),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False, comment="by PostgreSQL's clock"),
    )


def downgrade() -> None:
    op.drop_table("leases")
