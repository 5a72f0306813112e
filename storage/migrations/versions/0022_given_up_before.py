"""One list of what was given up: versions of edited events, replays and their items, why and how often things died.

Before deployment: the tables are new, and what workers of the release before write leaves the new columns at their
defaults. The index finds deliveries that were given up; it is built beside the workers, and what a killed try left is
built anew.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0022_given_up"
down_revision = "0019_order_edits"

INDEX = "deliveries_given_up_idx"


def _moment(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def _uuid(name: str, *more: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Uuid(as_uuid=False), *more, **options)


def upgrade() -> None:
    op.add_column(
        "dead_letters",
        sa.Column(
            "history", JSONB, nullable=False, server_default="[]",
            comment="every death, once there were several: [{at, reason, detail} …]",
        ),
        if_not_exists=True,
    )  # fmt: skip
    said = "why it was given up; null: not, or by a release that did not say"
    op.add_column("inbox", sa.Column("reason", sa.Text, comment=said), if_not_exists=True)
    let_be = "a person let it be after it was given up"
    op.add_column("deliveries", _moment("discarded_at", comment=let_be), if_not_exists=True)
    _versions()
    _replays()
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, "deliveries", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            INDEX, "deliveries", ["updated_at"], postgresql_concurrently=True,
            postgresql_where=sa.text("state = 'dead' and discarded_at is null"),
        )  # fmt: skip


def _versions() -> None:
    op.create_table(
        "correction_versions",
        sa.Column(
            "seq", sa.BigInteger, sa.ForeignKey("journal.seq", name="correction_versions_seq_fkey"),
            primary_key=True, autoincrement=False,
        ),
        sa.Column(
            "version", sa.Integer, primary_key=True, autoincrement=False,
            comment="1 is the first edit; 0 is the journal's",
        ),
        sa.Column("subject", sa.Text),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("diff", JSONB, nullable=False, comment="JSON Patch (RFC 6902) from the version before"),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        _moment("at", nullable=False, server_default=sa.text("clock_timestamp()")),
        comment="Every version of an edited event, append-only; `corrections` has the one that counts.",
        if_not_exists=True,
    )  # fmt: skip


def _replays() -> None:
    now = sa.func.now()
    op.create_table(
        "replays",
        _uuid("id", primary_key=True),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("chosen", JSONB, nullable=False, comment="the filter or the names that it was begun with"),
        sa.Column("state", sa.Text, nullable=False, server_default="running"),
        sa.Column("step", sa.Integer, nullable=False, server_default="0", comment="the step under way; 0: none yet"),
        sa.Column("size", sa.Integer, nullable=False, server_default="0", comment="of that step, in items"),
        sa.Column("rate", sa.Integer, comment="items per second; null: as fast as it goes"),
        sa.Column(
            "halt_above",
            sa.Double,
            nullable=False,
            comment="share of a step's items that may fail; more stop the replay",
        ),
        sa.Column("note", sa.Text, comment="why it stopped, in words"),
        _moment("created_at", nullable=False, server_default=now),
        _moment("updated_at", nullable=False, server_default=now),
        sa.CheckConstraint("state in ('running', 'stopped', 'halted', 'done')", "state"),
        comment="Replays of what was given up: one row each, with how far it has come.",
        if_not_exists=True,
    )
    running = sa.text("state = 'running'")
    op.create_index("replays_running_idx", "replays", ["id"], postgresql_where=running, if_not_exists=True)
    op.create_table(
        "replay_items",
        _uuid("replay_id", sa.ForeignKey("replays.id", name="replay_items_replay_id_fkey"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False, comment="in which they are taken"),
        sa.Column("kind", sa.Text, nullable=False),
        _uuid("target", nullable=False, comment="the dead letter, effect, look-up or delivery"),
        sa.Column("seq", sa.BigInteger, comment="the event's number in the journal"),
        sa.Column("order_number", sa.Text),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, comment="why it had been given up"),
        sa.Column("field", sa.Text, comment="the field at fault then"),
        sa.Column(
            "later", sa.Boolean, nullable=False, server_default="false",
            comment="taken along: it came later of its order",
        ),
        sa.Column("state", sa.Text, nullable=False, server_default="waiting"),
        sa.Column("step", sa.Integer, comment="that took it"),
        sa.Column("outcome", sa.Text, comment="what became of it"),
        sa.Column("new_reason", sa.Text, comment="why it was given up again"),
        sa.Column("detail", sa.Text),
        _moment("taken_at"),
        _moment("ended_at"),
        sa.CheckConstraint("kind in ('event', 'refund', 'lookup', 'delivery')", "kind"),
        sa.CheckConstraint("state in ('waiting', 'taken', 'ended')", "state"),
        comment="Items of replays: what each was given up for, and what its replay came to.",
        if_not_exists=True,
    )  # fmt: skip


def downgrade() -> None:
    for name in ("replay_items", "replays", "correction_versions"):
        op.drop_table(name)
    op.drop_index(INDEX, "deliveries")
    op.drop_column("deliveries", "discarded_at")
    op.drop_column("inbox", "reason")
    op.drop_column("dead_letters", "history")
