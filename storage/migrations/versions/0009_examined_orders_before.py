"""The sweep remembers at which version of an order it last looked at what waits for it.

Before deployment: the column is null at first, and whoever does not know it never touches it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_examined"
down_revision = "0008_unsigned"


def upgrade() -> None:
    comment = "the version at which the sweep last looked at what waits for it"
    op.add_column("orders", sa.Column("examined", sa.Integer, comment=comment))


def downgrade() -> None:
    op.drop_column("orders", "examined")
