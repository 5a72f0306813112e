"""Tables of operators: who did what and who looked at personal data; and what rests until somebody resumes it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Index, Table, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.columns import METADATA, at, one_of, uuid

PAUSE_KINDS = ("order", "event_type", "provider", "carrier", "effect", "subscription", "outward")

audit = Table(
    "audit",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    at("at", nullable=False, server_default=func.clock_timestamp()),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", JSONB, nullable=False, server_default="{}"),
    Column("reason", Text, comment="why, in the actor's words"),
    Column("before", JSONB, comment="what the act changed, as it was; never personal data"),
    Column("after", JSONB, comment="and as it was then"),
    Column("order_number", Text, comment="the order that it was about, where it was about one"),
    Index("audit_order_number_idx", "order_number", "id", postgresql_where=text("order_number is not null")),
    Index("audit_target_idx", "target", "id"),
    Index("audit_at_idx", "at"),
    comment="Who did what, and who looked at personal data: append-only, by a trigger.",
)

pauses = Table(
    "pauses",
    METADATA,
    uuid("id", primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False, comment="of what is paused; empty: all that goes outward"),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    at("at", nullable=False, server_default=func.clock_timestamp()),
    at("until", comment="it resumes by itself then"),
    at("resumed_at", comment="somebody resumed it"),
    Column("resumed_by", Text),
    at("closed_at", comment="and what had waited was worked off"),
    one_of("kind", PAUSE_KINDS),
    Index("pauses_open_idx", "kind", "name", unique=True, postgresql_where=text("closed_at is null")),
    comment="What rests, why, until when, and by whose word. A row stays.",
)
