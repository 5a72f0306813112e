"""All that was given up of an order is found by indexes, also what names the order and never reached it.

Before deployment: the new code asks by them, and would only be slower without. Both are small: dead events that reached no
order, and corrections that name one. They are built beside the workers; what a killed try left is built anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025_given_up_by_order"
down_revision = "0018_parcel_facts"

INDEXES = (
    ("results_unreached_idx", "results", ["seq"], "outcome = 'dead' and order_id is null"),
    ("corrections_subject_idx", "corrections", ["subject"], "subject is not null"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for index, table, columns, where in INDEXES:
            op.drop_index(index, table, postgresql_concurrently=True, if_exists=True)
            op.create_index(index, table, columns, postgresql_concurrently=True, postgresql_where=sa.text(where))


def downgrade() -> None:
    for index, table, _, _ in INDEXES:
        op.drop_index(index, table)
