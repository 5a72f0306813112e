"""Trackers of carriers that karrio asks are of the one account that each has: `karrio:fedex`, no longer of `karrio`.

Before deployment: older workers find them no more, and whoever is deployed asks for them. What was kept of karrio as one whole is of no
use: each carrier's breaker begins closed.
"""

from __future__ import annotations

from alembic import op

revision = "0027_trackers_by_account"
down_revision = "0026_one_tracker"


def upgrade() -> None:
    op.execute("update trackers set provider = provider || ':' || carrier_id where provider = 'karrio'")
    op.execute("delete from polled_carriers where name = 'karrio'")


def downgrade() -> None:
    op.execute("update trackers set provider = 'karrio' where starts_with(provider, 'karrio:')")
    op.execute("delete from polled_carriers where starts_with(name, 'karrio:')")
