"""Facts of parcels, from which their status, times and carrier follow, and what their carriers last said of them.

Before deployment: all columns are null at first, and whoever does not know them never touches them. `carrier_step` and
`tracking_step` stay: older workers write them, nobody reads them any more. Orders with parcels are to be folded anew once, by
`orders verify --refold`, after the workers of the release before have stopped.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

revision = "0018_parcel_facts"
down_revision = "0020_tracker_pace"

COLUMNS: tuple[tuple[str, Any], ...] = (
    ("tracking_status", sa.Text),
    ("tracking_detail", sa.Text),
    ("estimated_delivery", sa.TIMESTAMP(timezone=True)),
    ("last_scan_at", sa.TIMESTAMP(timezone=True)),
    ("last_scan_description", sa.Text),
    ("last_scan_location", sa.Text),
)
MEMBERS = "further orders that name this parcel, in no order; null: none"


def upgrade() -> None:
    op.add_column("fulfillments", sa.Column("facts", JSONB, comment="what the fold keeps of events besides"))
    for name, kind in COLUMNS:
        op.add_column("fulfillments", sa.Column(name, kind))
    op.add_column("correlations", sa.Column("members", ARRAY(UUID(as_uuid=False)), comment=MEMBERS))


def downgrade() -> None:
    op.drop_column("correlations", "members")
    for name, _ in reversed(COLUMNS):
        op.drop_column("fulfillments", name)
    op.drop_column("fulfillments", "facts")
