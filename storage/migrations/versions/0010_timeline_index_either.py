"""A page of an order's timeline is read out of an index, however long the history.

Before or after deployment: the new index serves all that the old one did, which goes once it is there. It is built
beside the workers; what a killed try left is built anew.
"""

from __future__ import annotations

from alembic import op

revision = "0010_timeline"
down_revision = "0009_examined"

NEW, OLD = "results_order_id_decided_at_idx", "results_order_id_idx"


def upgrade() -> None:
    _replace(OLD, NEW, ["order_id", "decided_at"])


def downgrade() -> None:
    _replace(NEW, OLD, ["order_id"])


def _replace(old: str, new: str, columns: list[str]) -> None:
    with op.get_context().autocommit_block():
        op.drop_index(new, "results", postgresql_concurrently=True, if_exists=True)
        op.create_index(new, "results", columns, postgresql_concurrently=True)
        op.drop_index(old, "results", postgresql_concurrently=True, if_exists=True)
