"""Pauses; and an audit that says why, and how it was before and after, and that nobody can change.

Before deployment: the audit's new columns are null in rows that older processes write, which is all that they know. Older
workers do not look at pauses: nothing is paused before the last of them is gone.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0023_pauses_and_audit"
down_revision = "0017_tracker_routes"

COLUMNS: dict[str, tuple[Any, str]] = {
    "reason": (sa.Text(), "why, in the actor's words"),
    "before": (JSONB(), "what the act changed, as it was; never personal data"),
    "after": (JSONB(), "and as it was then"),
    "order_number": (sa.Text(), "the order that it was about, where it was about one"),
}
KINDS = ("order", "event_type", "provider", "carrier", "effect", "subscription", "outward")
AUDIT_COMMENT = "Who did what, and who looked at personal data: append-only, by a trigger."
PAUSES_COMMENT = "What rests, why, until when, and by whose word. A row stays."

SEAL_FUNCTION = """
create function seal_audit() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and old.at < now() - interval '1 year' then
        return old;
    end if;
    raise exception 'audit is append-only: % refused', lower(tg_op)
        using hint = 'a row may be deleted once it is older than a year';
end $$
"""
SEAL_TRIGGER = """
create trigger audit_seal before update or delete on audit for each row execute function seal_audit()
"""
SEAL_TRUNCATE_TRIGGER = """
create trigger audit_seal_truncate before truncate on audit for each statement execute function seal_audit()
"""


def upgrade() -> None:
    for name, (kind, comment) in COLUMNS.items():
        op.add_column("audit", sa.Column(name, kind, comment=comment))
    there = sa.text("order_number is not null")
    op.create_index("audit_order_number_idx", "audit", ["order_number", "id"], postgresql_where=there)
    op.create_index("audit_target_idx", "audit", ["target", "id"])
    op.create_table_comment("audit", AUDIT_COMMENT)
    for definition in (SEAL_FUNCTION, SEAL_TRIGGER, SEAL_TRUNCATE_TRIGGER):
        op.execute(definition)
    op.create_table(
        "pauses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="of what is paused; empty: all that goes outward"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), comment="it resumes by itself then"),
        sa.Column("resumed_at", sa.DateTime(timezone=True), comment="somebody resumed it"),
        sa.Column("resumed_by", sa.Text()),
        sa.Column("closed_at", sa.DateTime(timezone=True), comment="and what had waited was worked off"),
        sa.PrimaryKeyConstraint("id", name=op.f("pauses_pkey")),
        sa.CheckConstraint(f"kind in ({', '.join(repr(each) for each in KINDS)})", name=op.f("pauses_kind_check")),
        comment=PAUSES_COMMENT,
    )
    standing = sa.text("closed_at is null")
    op.create_index("pauses_open_idx", "pauses", ["kind", "name"], unique=True, postgresql_where=standing)


def downgrade() -> None:
    op.drop_table("pauses")
    op.execute("drop trigger audit_seal_truncate on audit")
    op.execute("drop trigger audit_seal on audit")
    op.execute("drop function seal_audit()")
    op.drop_table_comment("audit")
    op.drop_index("audit_target_idx", "audit")
    op.drop_index("audit_order_number_idx", "audit")
    for name in COLUMNS:
        op.drop_column("audit", name)
