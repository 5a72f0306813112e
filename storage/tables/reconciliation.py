"""Tables of the comparison with what payment providers list: its runs, what they have seen, and what differs."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from storage.tables.columns import METADATA, at, one_of, stamps, uuid

FINDING_STATES = ("open", "healed", "resolved", "gone")

reconciliations = Table(
    "reconciliations",
    METADATA,
    uuid("id", primary_key=True),
    Column("provider", Text, nullable=False),
    at("since", nullable=False),
    at("until", nullable=False),
    Column("scheduled", Boolean, nullable=False),
    Column("state", Text, nullable=False, server_default="running"),
    Column("stage", Text, nullable=False, server_default="theirs", comment="whose list is gone through"),
    Column("cursor", Text, comment="where the next page of that list begins; null: at its beginning"),
    Column("counts", JSONB, nullable=False, server_default="{}"),
    Column("remarks", ARRAY(Text), nullable=False, server_default="{}", comment="what the provider does not tell"),
    Column("attempts", Integer, nullable=False, server_default="0", comment="of the next page"),
    Column("last_error", Text),
    at("next_at", comment="when the provider is asked again, after it did not answer"),
    *stamps(),
    one_of("state", ("running", "done")),
    one_of("stage", ("theirs", "ours")),
    Index("reconciliations_running_idx", "provider", unique=True, postgresql_where=text("state = 'running'")),
    Index("reconciliations_provider_until_idx", "provider", text("until desc")),
    comment="Comparisons with a provider's list: one row a window, with how far it has come.",
)
reconciliation_seen = Table(
    "reconciliation_seen",
    METADATA,
    uuid("run_id", ForeignKey("reconciliations.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    comment="What a running comparison has seen there, so that it can tell what is here alone; gone at its end.",
)
findings = Table(
    "findings",
    METADATA,
    uuid("id", primary_key=True),
    Column("provider", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="the payment, refund or dispute, by the provider's id"),
    Column("digest", LargeBinary, nullable=False, comment="of both sides: what differs otherwise is another finding"),
    Column("payment_id", Text, nullable=False),
    Column("order_number", Text),
    Column("theirs", JSONB, nullable=False),
    Column("ours", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("done", Text, nullable=False, comment="what was done, or is to be done"),
    Column(
        "events", ARRAY(Text), nullable=False, server_default="{}", comment="that heal it: SOURCE/ID in the journal"
    ),
    Column("note", Text),
    Column("resolved_by", Text),
    *stamps(),
    UniqueConstraint("provider", "kind", "subject", "digest"),
    one_of("state", FINDING_STATES),
    Index("findings_open_idx", "provider", "subject", postgresql_where=text("state = 'open'")),
    comment="What differs between a provider and us, and what became of it.",
)
