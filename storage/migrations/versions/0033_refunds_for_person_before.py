"""Refunds that wait for a person are found without reading those that go out by themselves.

Before deployment: whoever watches the console's first page counts them every two seconds, and would only be slower without. It is built
beside the workers; what a killed try left is built anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033_refunds_for_person"
down_revision = "0032_undecided_by_shard"

INDEX, TABLE = "effects_for_person_idx", "effects"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, TABLE, postgresql_concurrently=True, if_exists=True)
        where = sa.text("state in ('staff', 'dead')")
        op.create_index(INDEX, TABLE, ["refund_id"], postgresql_concurrently=True, postgresql_where=where)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, TABLE, postgresql_concurrently=True, if_exists=True)
