"""Tables of keys, first answers, payment look-ups, subscriptions and deliveries."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from storage.tables.columns import METADATA, at, one_of, stamps, uuid

api_keys = Table(
    "api_keys",
    METADATA,
    uuid("id", primary_key=True),
    Column("kind", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the key; the key is shown once"),
    Column("hint", Text, nullable=False, comment="its last characters, to tell one from another"),
    Column("label", Text),
    at("created_at", nullable=False, server_default=func.now()),
    at("revoked_at"),
    one_of("kind", ("secret", "publishable")),
)
answers = Table(
    "answers",
    METADATA,
    uuid("api_key_id", ForeignKey("api_keys.id"), primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of method, path and body"),
    Column("status", SmallInteger, nullable=False),
    Column("body", Text, nullable=False),
    at("created_at", nullable=False, server_default=func.now(), index=True),
    comment="The first response to each idempotency key, kept for a day with the write that it answers.",
)
inbox = Table(
    "inbox",
    METADATA,
    uuid("id", primary_key=True),
    Column("provider", Text, nullable=False),
    Column("seq", BigInteger, ForeignKey("journal.seq"), nullable=False, unique=True),
    Column("state", Text, nullable=False, server_default="due"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    at("next_at", nullable=False, server_default=func.now()),
    Column("last_error", Text),
    *stamps(),
    Column("payment", Text, comment="one answer about it settles all rows before"),
    Column("unsigned", Boolean, nullable=False, server_default=false()),
    at("leased_until", comment="being asked for"),
    Column("reason", Text, comment="why it was given up; null: not, or by a release that did not say"),
    one_of("state", ("due", "done", "dead", "expired")),
    Index("inbox_payment_idx", "provider", "payment", postgresql_where=text("state = 'due'")),
    Index("inbox_unsigned_idx", "provider", postgresql_where=text("state = 'due' and unsigned")),
    Index("inbox_next_at_idx", "next_at", postgresql_where=text("state = 'due'")),
    Index("inbox_dead_idx", "updated_at", postgresql_where=text("state = 'dead'")),
    comment="Webhooks that only say where to look: accepted and journaled, to be asked for at the provider.",
)
subscriptions = Table(
    "subscriptions",
    METADATA,
    uuid("id", primary_key=True),
    Column("url", Text, nullable=False),
    Column("collections", ARRAY(Text), nullable=False),
    Column("operations", ARRAY(Text), nullable=False),
    Column("secrets", ARRAY(Text), nullable=False, comment="newest first; older ones sign too while they rotate"),
    Column("state", Text, nullable=False, server_default="active"),
    at("failing_since", comment="the first failure since the last success"),
    Column("notice", Text, comment="why it was disabled"),
    *stamps(),
    one_of("state", ("active", "disabled")),
)
deliveries = Table(
    "deliveries",
    METADATA,
    uuid("id", primary_key=True, comment="the stable webhook-id"),
    Column("number", BigInteger, Identity(), nullable=False, unique=True, comment="their order"),
    uuid("subscription_id", ForeignKey("subscriptions.id"), nullable=False),
    uuid("order_id", ForeignKey("orders.id"), nullable=False),
    Column("collection", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column(
        "document", JSONB, nullable=False, comment="without personal fields: those are laid over it when it is sent"
    ),
    uuid("personal_id"),
    at("at", nullable=False, comment="when the change was made"),
    Column("state", Text, nullable=False, server_default="due"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    at("next_at", nullable=False, server_default=func.now()),
    Column("last_status", SmallInteger),
    Column("last_error", Text),
    *stamps(),
    at("discarded_at", comment="a person let it be after it was given up"),
    one_of("operation", ("create", "update")),
    one_of("state", ("due", "done", "dead")),
    Index("deliveries_waiting_idx", "subscription_id", "order_id", "number", postgresql_where=text("state = 'due'")),
    Index("deliveries_given_up_idx", "updated_at", postgresql_where=text("state = 'dead' and discarded_at is null")),
    Index(
        "deliveries_given_up_order_idx", "order_id", postgresql_where=text("state = 'dead' and discarded_at is null")
    ),
    comment="Outgoing webhooks: one row a change and subscription, recorded with the change.",
)
