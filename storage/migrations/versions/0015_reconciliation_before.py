"""Comparisons with what payment providers list, and what differs.

Before deployment: the tables are new, and whoever does not know them never touches them.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0015_reconciliation"
down_revision = "0016_accounts"


def _moment(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def _stamps() -> tuple[sa.Column[Any], sa.Column[Any]]:
    now = sa.func.now()
    return _moment("created_at", nullable=False, server_default=now), _moment(
        "updated_at", nullable=False, server_default=now
    )


def upgrade() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        _moment("since", nullable=False),
        _moment("until", nullable=False),
        sa.Column("scheduled", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="running"),
        sa.Column("stage", sa.Text, nullable=False, server_default="theirs", comment="whose list is gone through"),
        sa.Column("cursor", sa.Text, comment="where the next page of that list begins; null: at its beginning"),
        sa.Column("counts", JSONB, nullable=False, server_default="{}"),
        sa.Column(
            "remarks", ARRAY(sa.Text), nullable=False, server_default="{}", comment="what the provider does not tell"
        ),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0", comment="of the next page"),
        sa.Column("last_error", sa.Text),
        _moment("next_at", comment="when the provider is asked again, after it did not answer"),
        *_stamps(),
        sa.CheckConstraint("state in ('running', 'done')", "state"),
        sa.CheckConstraint("stage in ('theirs', 'ours')", "stage"),
        comment="Comparisons with a provider's list: one row a window, with how far it has come.",
    )
    running = sa.text("state = 'running'")
    op.create_index(
        "reconciliations_running_idx", "reconciliations", ["provider"], unique=True, postgresql_where=running
    )
    op.create_index("reconciliations_provider_until_idx", "reconciliations", ["provider", sa.text("until desc")])
    op.create_table(
        "reconciliation_seen",
        sa.Column(
            "run_id",
            sa.Uuid(as_uuid=False),
            sa.ForeignKey("reconciliations.id", name="reconciliation_seen_run_id_fkey", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        comment="What a running comparison has seen there, so that it can tell what is here alone; gone at its end.",
    )
    op.create_table(
        "findings",
        sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False, comment="the payment, refund or dispute, by the provider's id"),
        sa.Column(
            "digest", sa.LargeBinary, nullable=False, comment="of both sides: what differs otherwise is another finding"
        ),
        sa.Column("payment_id", sa.Text, nullable=False),
        sa.Column("order_number", sa.Text),
        sa.Column("theirs", JSONB, nullable=False),
        sa.Column("ours", JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("done", sa.Text, nullable=False, comment="what was done, or is to be done"),
        sa.Column(
            "events",
            ARRAY(sa.Text),
            nullable=False,
            server_default="{}",
            comment="that heal it: SOURCE/ID in the journal",
        ),
        sa.Column("note", sa.Text),
        sa.Column("resolved_by", sa.Text),
        *_stamps(),
        sa.UniqueConstraint("provider", "kind", "subject", "digest", name="findings_provider_kind_subject_digest_key"),
        sa.CheckConstraint("state in ('open', 'healed', 'resolved', 'gone')", "state"),
        comment="What differs between a provider and us, and what became of it.",
    )
    op.create_index(
        "findings_open_idx", "findings", ["provider", "subject"], postgresql_where=sa.text("state = 'open'")
    )


def downgrade() -> None:
    for name in ("findings", "reconciliation_seen", "reconciliations"):
        op.drop_table(name)
