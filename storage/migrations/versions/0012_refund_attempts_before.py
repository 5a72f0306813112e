"""Time at which the attempt of a refund first went out: a provider keeps its idempotency key for some hours or days only.

Before deployment: the column is null at first, and whoever does not know it never touches it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012_attempts"
down_revision = "0011_facts"


def upgrade() -> None:
    comment = "when that attempt's key went out first: providers forget keys"
    op.add_column("effects", sa.Column("attempted_at", sa.DateTime(timezone=True), comment=comment))


def downgrade() -> None:
    op.drop_column("effects", "attempted_at")
