"""Provider that is polled for a parcel, and the carrier's id there: a service follows the parcels of many carriers.

Before deployment: both columns are null at first, which means the carrier by its own name, as before; whoever does not
know them never touches them. The index finds the parcel that a service says has changed; it is built beside the workers.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017_tracker_routes"
down_revision = "0015_reconciliation"

INDEX = "trackers_tracking_number_idx"


def upgrade() -> None:
    asked = "who is polled; null: the carrier, by its own name"
    named = "the carrier's id there; null where the provider is the carrier"
    op.add_column("trackers", sa.Column("provider", sa.Text, comment=asked), if_not_exists=True)
    op.add_column("trackers", sa.Column("carrier_id", sa.Text, comment=named), if_not_exists=True)
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, "trackers", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            INDEX,
            "trackers",
            ["tracking_number"],
            postgresql_concurrently=True,
            postgresql_where=sa.text("not finished"),
        )


def downgrade() -> None:
    op.drop_index(INDEX, "trackers")
    op.drop_column("trackers", "carrier_id")
    op.drop_column("trackers", "provider")
