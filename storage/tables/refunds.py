"""Refunds as the outside sees them: rows of what was told or has ended, and a view that adds what is yet to be made.

A row is a refund as its provider tells it, ours or not, or one of ours that came to an end. It is a projection: the
drain writes it in its one statement when what was told of the refund changes, and never reads it. What of a payment
has yet to go back stands in `effects` alone, and the view shows it under the id that its row will have.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from domain.movements import RefundStatus
from storage.tables.columns import METADATA, at, of_order, one_of, stamps, uuid

ORIGINS = ("ours", "provider")
ATTENTION = ("new", "open")
# account: the customer's, of a bank; nobody: its order came as history
WAITS_FOR = ("turn", "provider", "account", "person", "nobody")
VIEWS = MetaData()  # the migrations make views by their text

refunds = Table(
    "refunds",
    METADATA,
    uuid("id", primary_key=True),
    of_order(),
    uuid("transaction_id", ForeignKey("transactions.id"), nullable=False),
    Column("reference", Text, comment="the provider's id of it; null where it never came to be there"),
    Column("amount", Numeric, nullable=False),
    Column("currency", Text, nullable=False),
    Column("reasons", JSONB, nullable=False, server_default="[]"),
    Column("origin", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column(
        "attention", Text, comment="new: came to nothing, not weighed yet; open: a person tries again or settles it"
    ),
    uuid("return_id"),
    uuid("personal_id"),
    Column("failure", Text),
    Column("settled_method", Text, comment="how a person paid it back past the provider"),
    at("requested_at"),
    at("ended_at"),
    *stamps(),
    UniqueConstraint("reference", "transaction_id"),
    one_of("origin", ORIGINS),
    one_of("status", RefundStatus),
    one_of("attention", ATTENTION),
    CheckConstraint("amount >= 0", "amount"),
    Index("refunds_attention_idx", "transaction_id", postgresql_where=text("attention is not null")),
    comment="Refunds by their provider's ids, and those of ours that ended: a projection of facts and attempts.",
)

# Columns of the view `refund_documents`; its text stands in storage/tables/definitions.py.
refund_documents = Table(
    "refund_documents",
    VIEWS,
    uuid("id", primary_key=True),
    uuid("order_id", nullable=False),
    uuid("transaction_id", nullable=False),
    Column("reference", Text),
    Column("amount", Numeric, nullable=False),
    Column("currency", Text, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("origin", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("waits_for", Text),
    uuid("return_id"),
    uuid("personal_id"),
    Column("failure", Text),
    Column("settled_method", Text),
    at("requested_at"),
    at("ended_at"),
    at("created_at", nullable=False),
    at("updated_at", nullable=False),
    uuid("effect_id"),
    at("due_since"),
)

refund_changes = Table(
    "refund_changes",
    METADATA,
    Column("seq", BigInteger, Identity(), primary_key=True),
    uuid("transaction_id", nullable=False),
    comment="Payments of which a refund changed, until those who subscribed to refunds are told.",
)
refund_tellings = Table(
    "refund_tellings",
    METADATA,
    uuid("refund_id", primary_key=True),
    Column("digest", LargeBinary, nullable=False, comment="of the document that was told last"),
    comment="Refunds of which subscribers were told, and what they were told last.",
)
