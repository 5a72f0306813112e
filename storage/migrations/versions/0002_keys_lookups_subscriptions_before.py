"""The doors: API keys, kept answers, the inbox of thin webhooks, subscriptions and their deliveries.

Before deployment: only new tables, which nothing older reads. `storage.tables` says why a column or an
index is as it is; this file is never edited again.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0002_doors"
down_revision = "0001_initial"

TABLES = ("api_keys", "answers", "inbox", "subscriptions", "deliveries")


def upgrade() -> None:
    op.create_table(
        "api_keys",
        _uuid("id", primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column(
            "digest", sa.LargeBinary, nullable=False, unique=True, comment="SHA-256 of the key; the key is shown once"
        ),
        sa.Column("hint", sa.Text, nullable=False, comment="its last characters, to tell one from another"),
        sa.Column("label", sa.Text),
        _at("created_at", nullable=False, server_default=sa.func.now()),
        _at("revoked_at"),
        _check("api_keys_kind_check", "kind in ('secret', 'publishable')"),
    )
    op.create_table(
        "answers",
        _uuid("api_key_id", sa.ForeignKey("api_keys.id"), primary_key=True),
        sa.Column("idempotency_key", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of method, path and body"),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        _at("created_at", nullable=False, server_default=sa.func.now()),
        comment="The first response to each idempotency key, kept for a day with the write that it answers.",
    )
    op.create_index("answers_created_at_idx", "answers", ["created_at"])
    op.create_table(
        "inbox",
        _uuid("id", primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("journal.seq"), nullable=False, unique=True),
        *_work(),
        *_stamps(),
        _check("inbox_state_check", "state in ('due', 'done', 'dead')"),
        comment="Webhooks that only say where to look: accepted and journaled, to be asked for at the provider.",
    )
    op.create_index("inbox_next_at_idx", "inbox", ["next_at"], postgresql_where=sa.text("state = 'due'"))
    op.create_table(
        "subscriptions",
        _uuid("id", primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("collections", ARRAY(sa.Text), nullable=False),
        sa.Column("operations", ARRAY(sa.Text), nullable=False),
        sa.Column(
            "secrets",
            ARRAY(sa.Text),
            nullable=False,
            comment="newest first; older ones sign too while they rotate",
        ),
        sa.Column("state", sa.Text, nullable=False, server_default="active"),
        _at("failing_since", comment="the first failure since the last success"),
        sa.Column("notice", sa.Text, comment="why it was disabled"),
        *_stamps(),
        _check("subscriptions_state_check", "state in ('active', 'disabled')"),
    )
    op.create_table(
        "deliveries",
        _uuid("id", primary_key=True, comment="the stable webhook-id"),
        sa.Column("number", sa.BigInteger, sa.Identity(), nullable=False, unique=True, comment="their order"),
        _uuid("subscription_id", sa.ForeignKey("subscriptions.id"), nullable=False),
        _uuid("order_id", sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("collection", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column(
            "document",
            JSONB,
            nullable=False,
            comment="without personal fields: those are laid over it when it is sent",
        ),
        _uuid("personal_id"),
        _at("at", nullable=False, comment="when the change was made"),
        *_work(sa.Column("last_status", sa.SmallInteger)),
        *_stamps(),
        _check("deliveries_operation_check", "operation in ('create', 'update')"),
        _check("deliveries_state_check", "state in ('due', 'done', 'dead')"),
        comment="Outgoing webhooks: one row a change and subscription, recorded with the change.",
    )
    op.create_index(
        "deliveries_waiting_idx",
        "deliveries",
        ["subscription_id", "order_id", "number"],
        postgresql_where=sa.text("state = 'due'"),
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _work(*more: sa.Column[Any]) -> tuple[sa.Column[Any], ...]:
    """What is tried until it is done or given up."""
    return (
        sa.Column("state", sa.Text, nullable=False, server_default="due"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        _at("next_at", nullable=False, server_default=sa.func.now()),
        *more,
        sa.Column("last_error", sa.Text),
    )


def _uuid(name: str, *extra: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Uuid(as_uuid=False), *extra, **options)


def _at(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def _stamps() -> tuple[sa.Column[Any], sa.Column[Any]]:
    return (
        _at("created_at", nullable=False, server_default=sa.func.now()),
        _at("updated_at", nullable=False, server_default=sa.func.now()),
    )


def _check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(name))
