"""An order's timeline finds what was given up before it reached the order by an index, also where that was discarded since.

Before deployment: the new code asks by it, and would only be slower without. The index that it takes the place of goes once it is there:
what asked by that finds the same here. It is built beside the workers; what a killed try left is built anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028_unreached_and_discarded"
down_revision = "0027_trackers_by_account"

NEW = ("results_without_order_idx", "order_id is null and (outcome = 'dead' or reason = 'discarded')")
OLD = ("results_unreached_idx", "outcome = 'dead' and order_id is null")


def upgrade() -> None:
    _replace(OLD, NEW)


def downgrade() -> None:
    _replace(NEW, OLD)


def _replace(one: tuple[str, str], other: tuple[str, str]) -> None:
    index, where = other
    with op.get_context().autocommit_block():
        op.drop_index(index, "results", postgresql_concurrently=True, if_exists=True)
        op.create_index(index, "results", ["seq"], postgresql_concurrently=True, postgresql_where=sa.text(where))
        op.drop_index(one[0], "results", postgresql_concurrently=True, if_exists=True)
