"""A row for each carrier that is polled (what it may still be asked, whether it answers), and indexes of what is due.

Before deployment: the new column is null at first, which means that nothing new was told since the parcel is watched; the new
table is filled by whoever polls. The indexes are built beside the workers, first, since that commits: what a killed try left
is built anew. The index that older workers claim by stays.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_tracker_pace"
down_revision = "0021_refund_changes"

DUE, RETIRED = "trackers_due_idx", "trackers_retired_idx"


def _moment(name: str, comment: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), comment=comment)


def _stamp(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def _count(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0", comment=comment)


def _build(name: str, columns: list[str | sa.TextClause | sa.ColumnElement[object]], where: str) -> None:
    op.drop_index(name, "trackers", postgresql_concurrently=True, if_exists=True)
    op.create_index(name, "trackers", columns, postgresql_concurrently=True, postgresql_where=sa.text(where))


def upgrade() -> None:
    with op.get_context().autocommit_block():
        _build(DUE, [sa.text("coalesce(provider, carrier)"), "next_at"], "not finished")
        _build(RETIRED, ["updated_at"], "finished and last_error is not null")
    heard = "when something new was told last; null: never, since it is watched"
    op.add_column("trackers", _moment("heard_at", heard), if_not_exists=True)
    op.create_table(
        "polled_carriers",
        sa.Column(
            "name", sa.Text, primary_key=True, comment="who is polled: a carrier, or a service that follows many"
        ),
        _moment("spent_until", "how far ahead the rate is spent"),
        sa.Column("month", sa.Date, comment="that polls are counted in, its first day, UTC"),
        _count("polls", "in that month"),
        sa.Column("state", sa.Text, nullable=False, server_default="closed", comment="of its circuit breaker"),
        _count("failures", "in a row"),
        _count("opened", "how often in a row the breaker was opened"),
        _moment("until", "open: when one parcel is tried; probing: when that one counts as lost"),
        _moment("paused_until", "it asked for fewer questions"),
        sa.Column("last_error", sa.Text, comment="of what opened the breaker, or asked for the pause"),
        _stamp("created_at"),
        _stamp("updated_at"),
        sa.CheckConstraint("state in ('closed', 'open', 'probing')", "state"),
        comment="Who is polled for parcels, as all workers know him: what he may still be asked, and whether he answers.",
        if_not_exists=True,
    )


def downgrade() -> None:
    op.drop_table("polled_carriers")
    op.drop_index(RETIRED, "trackers")
    op.drop_index(DUE, "trackers")
    op.drop_column("trackers", "heard_at")
