"""The audit is found by time: what happened since an hour ago, and what is older than it is kept for.

Before deployment: the new code asks by it, and would only be slower without. It is built beside the workers; what a killed try left is
built anew.
"""

from __future__ import annotations

from alembic import op

revision = "0030_audit_times"
down_revision = "0029_watch_walk"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("audit_at_idx", "audit", postgresql_concurrently=True, if_exists=True)
        op.create_index("audit_at_idx", "audit", ["at"], postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("audit_at_idx", "audit", postgresql_concurrently=True, if_exists=True)
