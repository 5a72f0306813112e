"""Every table. Ids are UUIDv7; money is numeric in major units of the row's or its order's currency.

What an order is (collections of the contract), what happened (journal, results), what waits
(parked, timers, effects, trackers), what was given up (dead_letters, corrections, audit), and the
side table of personal fields. The timeline is a view. No status stands in an index: updates stay
heap-only, which is what lets the drain write as fast as it does.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from domain import fulfillment, order, returns, transaction

METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)
HOT: dict[str, Any] = {"postgresql_with": {"fillfactor": 70}}  # room for updates in place: 50 B of log less an event


def _uuid(name: str, *extra: Any, **options: Any) -> Column[Any]:
    return Column(name, Uuid(as_uuid=False), *extra, **options)


def _at(name: str, **options: Any) -> Column[Any]:
    return Column(name, DateTime(timezone=True), **options)


def _stamps() -> tuple[Column[Any], Column[Any]]:
    now = func.now()
    return _at("created_at", nullable=False, server_default=now), _at("updated_at", nullable=False, server_default=now)


def _of_order(*, index: bool = True) -> Column[Any]:
    """`index` False where a unique key begins with it."""
    return _uuid("order_id", ForeignKey("orders.id"), nullable=False, index=index)


def _one_of(column: str, values: Any, name: str | None = None) -> CheckConstraint:
    return CheckConstraint(f"{column} in ({', '.join(repr(str(v)) for v in values)})", name or column)


def _money(name: str, **options: Any) -> Column[Any]:
    return Column(name, Numeric, nullable=False, server_default="0", **options)


personal = Table(
    "personal",
    METADATA,
    _uuid("id", primary_key=True),
    Column("fields", JSONB, nullable=False),
    _at("created_at", nullable=False, server_default=func.now()),
    comment="Names, addresses and notes: journal bodies and orders only refer to them; erase a row to forget.",
)

orders = Table(
    "orders",
    METADATA,
    _uuid("id", primary_key=True),
    Column("order_number", Text, nullable=False, unique=True),
    Column("shard", SmallInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("held", Boolean, nullable=False, server_default="false"),
    Column("customer", Text),
    _uuid("personal_id"),
    Column("currency", Text),
    _money("total_amount"),
    Column("discount_code", Text),
    _money("discount_amount"),
    _money("shipping_amount"),
    Column("flags", ARRAY(Text), nullable=False, server_default="{}"),
    _at("placed_at"),
    _at("canceled_at"),
    _at("confirmed_at"),
    *_stamps(),
    _one_of("status", order.Status),
    CheckConstraint("total_amount >= 0 and discount_amount >= 0 and shipping_amount >= 0", "amounts"),
    CheckConstraint("(status = 'new') = (placed_at is null)", "created"),
    CheckConstraint("placed_at is null or currency is not null", "currency"),
    Index("orders_customer_placed_at_idx", "customer", text("placed_at desc")),
    Index("orders_placed_at_idx", text("placed_at desc"), text("id desc")),
    **HOT,
)

order_items = Table(
    "order_items",
    METADATA,
    _uuid("id", primary_key=True),
    _of_order(index=False),
    Column("position", SmallInteger, nullable=False),
    Column("reference", Text),
    Column("product", Text, nullable=False),
    Column("variant", Text),
    Column("option", Text),
    Column("quantity", Integer, nullable=False),
    _money("unit_price"),
    _money("total_price"),
    Column("shipped_quantity", Integer, nullable=False, server_default="0"),
    Column("delivered_quantity", Integer, nullable=False, server_default="0"),
    Column("returned_quantity", Integer, nullable=False, server_default="0"),
    *_stamps(),
    UniqueConstraint("order_id", "reference"),
    CheckConstraint("quantity > 0 and unit_price >= 0 and total_price = unit_price * quantity", "line"),
    CheckConstraint("0 <= delivered_quantity and delivered_quantity <= shipped_quantity", "delivered"),
    CheckConstraint("shipped_quantity <= quantity and returned_quantity between 0 and quantity", "quantities"),
    **HOT,
)

transactions = Table(
    "transactions",
    METADATA,
    _uuid("id", primary_key=True),
    _of_order(),
    Column("payment_id", Text, nullable=False, unique=True),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    _money("amount"),
    _money("refunded_amount"),
    _money("refund_target"),
    Column("payment_method", Text),
    Column("receipt_url", Text),
    Column("provider", Text),
    _at("paid_at"),
    Column("dispute", Text),
    *_stamps(),
    _at("reversed_at"),
    Column("captures", ARRAY(Text), nullable=False, server_default="{}", comment="empty: paid_at and amount say all"),
    _one_of("status", transaction.Status),
    CheckConstraint("amount >= 0 and refunded_amount >= 0", "amounts"),
    CheckConstraint("refund_target >= 0", "refund_target"),  # above the amount where more was captured and reversed
    CheckConstraint("status <> 'paid' or paid_at is not null", "paid"),
    **HOT,
)

fulfillments = Table(
    "fulfillments",
    METADATA,
    _uuid("id", primary_key=True),
    _of_order(index=False),
    Column("reference", Text),
    Column("status", Text, nullable=False),
    Column("planned", Boolean, nullable=False, server_default="false"),
    Column("carrier", Text),
    Column("carrier_step", SmallInteger, nullable=False, server_default="0"),
    Column("tracking_number", Text),
    Column("tracking_step", SmallInteger, nullable=False, server_default="0"),
    Column("parcels", ARRAY(Text), nullable=False, server_default="{}"),
    Column("items_step", SmallInteger, nullable=False, server_default="0"),
    _at("shipped_at"),
    _at("delivered_at"),
    _at("failed_at"),
    *_stamps(),
    UniqueConstraint("order_id", "reference"),
    _one_of("status", fulfillment.Status),
    CheckConstraint("status <> 'delivered' or delivered_at is not null", "delivered"),
    CheckConstraint("not planned or status = 'pending'", "planned"),
    **HOT,
)

fulfillment_items = Table(
    "fulfillment_items",
    METADATA,
    _uuid("id", primary_key=True),
    _of_order(),
    _uuid("fulfillment_id", ForeignKey("fulfillments.id"), nullable=False),
    _uuid("order_item_id", ForeignKey("order_items.id"), nullable=False),
    Column("quantity", Integer, nullable=False),
    *_stamps(),
    UniqueConstraint("fulfillment_id", "order_item_id"),
    CheckConstraint("quantity > 0", "quantity"),
    **HOT,
)

returns_ = Table(
    "returns",
    METADATA,
    _uuid("id", primary_key=True),
    _of_order(index=False),
    Column("reference", Text),
    Column("reason", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("for_staff", Boolean, nullable=False, server_default="false"),
    Column("refund_amount", Numeric),
    Column("refund_stated", Boolean, nullable=False, server_default="false"),
    _uuid("personal_id"),
    _at("requested_at"),
    _at("completed_at"),
    *_stamps(),
    UniqueConstraint("order_id", "reference"),
    _one_of("status", returns.Status),
    CheckConstraint("reason in ('change_of_mind', 'defective', 'wrong_delivery', 'damaged', 'other')", "reason"),
    CheckConstraint("refund_amount >= 0", "refund_amount"),
    CheckConstraint("(status = 'completed') = (completed_at is not null)", "completed"),
    **HOT,
)

return_items = Table(
    "return_items",
    METADATA,
    _uuid("id", primary_key=True),
    _of_order(),
    _uuid("return_id", ForeignKey("returns.id"), nullable=False),
    _uuid("order_item_id", ForeignKey("order_items.id"), nullable=False),
    Column("quantity", Integer, nullable=False),
    *_stamps(),
    UniqueConstraint("return_id", "order_item_id"),
    CheckConstraint("quantity > 0", "quantity"),
)

# -- the shop's catalogue and carts: thin copies, so that an order item can show what was bought -------------

products = Table(
    "products",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("sku", Text),
    Column("price", Numeric),
    Column("image", Text),
    *_stamps(),
    CheckConstraint("price >= 0", "price"),
)
product_variants = Table(
    "product_variants",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("product", Text, nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("sku", Text),
    Column("price", Numeric),
    Column("image", Text),
    *_stamps(),
    CheckConstraint("price >= 0", "price"),
)
product_options = Table(
    "product_options",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("variant", Text, nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("sku", Text),
    Column("price", Numeric),
    Column("image", Text),
    *_stamps(),
    CheckConstraint("price >= 0", "price"),
)
carts = Table(
    "carts",
    METADATA,
    _uuid("id", primary_key=True),
    Column("customer", Text, index=True),
    Column("currency", Text, nullable=False),
    _uuid("order_id", ForeignKey("orders.id"), unique=True, comment="the order it became, once"),
    *_stamps(),
)
cart_items = Table(
    "cart_items",
    METADATA,
    _uuid("id", primary_key=True),
    _uuid("cart_id", ForeignKey("carts.id"), nullable=False, index=True),
    Column("product", Text, nullable=False),
    Column("variant", Text),
    Column("option", Text),
    Column("quantity", Integer, nullable=False),
    _money("unit_price"),
    *_stamps(),
    CheckConstraint("quantity > 0 and unit_price >= 0", "line"),
)

# -- what happened ------------------------------------------------------------------------------------------

JOURNAL_SEQ = Sequence("journal_seq", metadata=METADATA, cache=1)

journal = Table(
    "journal",
    METADATA,
    Column("seq", BigInteger, JOURNAL_SEQ, server_default=JOURNAL_SEQ.next_value(), primary_key=True),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    _at("time", nullable=False),
    Column("subject", Text),
    Column("shard", SmallInteger, nullable=False),
    Column("held", Boolean, nullable=False, server_default="false"),
    Column("data", JSONB, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    _at("accepted_at", nullable=False, server_default=func.clock_timestamp()),
    UniqueConstraint("source", "event_id"),
    Index("journal_shard_seq_idx", "shard", "seq"),
    comment="Accepted envelopes, append-only; the truth.",
)

results = Table(
    "results",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False, comment="the journal's; its rows are for ever"),
    _uuid("order_id", index=True),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column(
        "apply_number",
        Integer,
        comment="the order's, given under its row lock; null: parked, dead, or no order",
    ),
    Column("parked_number", Integer, comment="the order's version when the event was parked"),
    Column("policy_id", SmallInteger, nullable=False, comment="of policies, whose rows are for ever"),
    _at("decided_at", nullable=False),
    Column("step_from", Text),
    Column("step_to", Text),
    Column("implied", Text),
    _one_of("outcome", ("applied", "ignored", "parked", "dead")),
    comment="What became of each event: one row an event, the net under everything.",
)

duplicates = Table(
    "duplicates",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("seq", BigInteger, ForeignKey("journal.seq"), nullable=False, index=True),
    Column("body_differs", Boolean, nullable=False),
    _at("at", nullable=False, server_default=func.clock_timestamp()),
    comment="Deliveries of an event that the journal has already: counted at its door, and only there.",
)

policies = Table(
    "policies",
    METADATA,
    Column("id", SmallInteger, Identity(), primary_key=True),
    Column("body", JSONB, nullable=False, unique=True),
    comment="The settings that results were reached under.",
)

# -- what waits ---------------------------------------------------------------------------------------------

correlations = Table(
    "correlations",
    METADATA,
    Column("key", Text, primary_key=True),
    _uuid("order_id", comment="set once; null while an event that names only this key waits"),
)

parked = Table(
    "parked",
    METADATA,
    Column("seq", BigInteger, ForeignKey("results.seq"), primary_key=True, autoincrement=False),
    _uuid("order_id", index=True),
    Column(
        "key",
        Text,
        index=True,
        comment="the payment or parcel it waits for, where no order is known",
    ),
    Column("reason", Text, nullable=False),
    _at("until", comment="then it goes to the dead letters; null: never"),
)

timers = Table(
    "timers",
    METADATA,
    _uuid("order_id", ForeignKey("orders.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    _at("due", nullable=False),
    Column("held", Boolean, nullable=False, server_default="false"),
    _one_of("kind", ("unpaid", "confirm")),
    Index("timers_due_idx", "due", postgresql_where=text("not held")),
)

EFFECT_STATES = ("due", "in_flight", "unknown", "done", "held", "staff", "dead")
effects = Table(
    "effects",
    METADATA,
    _uuid("id", primary_key=True),
    _uuid("order_id", ForeignKey("orders.id"), nullable=False, index=True),
    _uuid("transaction_id", ForeignKey("transactions.id"), nullable=False, unique=True),
    Column("payment_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("target", Numeric, nullable=False, comment="cumulative: what is to have gone back in all"),
    _money("made", comment="cumulative: what the provider told it has given back"),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("idempotency_key", Text, comment="of the attempt in flight, or whose answer is unknown"),
    Column("asked", Numeric, comment="the amount of that attempt"),
    _at("next_at", nullable=False, server_default=func.now()),
    Column("last_error", Text),
    *_stamps(),
    _one_of("state", EFFECT_STATES),
    CheckConstraint("target >= 0 and made >= 0", "amounts"),
    Index(
        "effects_next_at_idx",
        "next_at",
        postgresql_where=text("state in ('due', 'in_flight', 'unknown')"),
    ),
    comment="Refunds: one row a transaction, toward a cumulative target; recorded before they are made.",
)

trackers = Table(
    "trackers",
    METADATA,
    _uuid("id", primary_key=True),
    _uuid("order_id", ForeignKey("orders.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("carrier", Text, nullable=False, comment="normalized as in the correlation key"),
    Column("tracking_number", Text, nullable=False),
    Column("status", Text, comment="the last scan's, unified"),
    Column(
        "scans",
        ARRAY(Text),
        nullable=False,
        server_default="{}",
        comment="ids of scans taken already",
    ),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("last_error", Text),
    Column("finished", Boolean, nullable=False, server_default="false"),
    _at("next_at", nullable=False, server_default=func.now()),
    *_stamps(),
    UniqueConstraint("order_id", "key"),
    Index("trackers_next_at_idx", "next_at", postgresql_where=text("not finished")),
)

# -- what was given up, and what operators did ---------------------------------------------------------------

dead_letters = Table(
    "dead_letters",
    METADATA,
    _uuid("id", primary_key=True),
    Column("seq", BigInteger, ForeignKey("journal.seq"), unique=True),
    _uuid("effect_id", ForeignKey("effects.id"), unique=True),
    Column("reason", Text, nullable=False),
    Column("detail", Text),
    Column("state", Text, nullable=False, server_default="open"),
    Column("deaths", Integer, nullable=False, server_default="1"),
    *_stamps(),
    _one_of("state", ("open", "replayed", "discarded")),
    CheckConstraint("(seq is null) <> (effect_id is null)", "one_subject"),
)

corrections = Table(
    "corrections",
    METADATA,
    Column("seq", BigInteger, ForeignKey("journal.seq"), primary_key=True, autoincrement=False),
    Column("subject", Text),
    Column("data", JSONB, nullable=False),
    Column("by", Text, nullable=False),
    _at("at", nullable=False, server_default=func.now()),
    comment="What an operator made of a dead event's subject and body; the journal keeps the original.",
)

audit = Table(
    "audit",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    _at("at", nullable=False, server_default=func.clock_timestamp()),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", JSONB, nullable=False, server_default="{}"),
)

# -- the doors: who may come in, what is still to be asked, what goes out -------------------------------------

api_keys = Table(
    "api_keys",
    METADATA,
    _uuid("id", primary_key=True),
    Column("kind", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the key; the key is shown once"),
    Column("hint", Text, nullable=False, comment="its last characters, to tell one from another"),
    Column("label", Text),
    _at("created_at", nullable=False, server_default=func.now()),
    _at("revoked_at"),
    _one_of("kind", ("secret", "publishable")),
)
answers = Table(
    "answers",
    METADATA,
    _uuid("api_key_id", ForeignKey("api_keys.id"), primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of method, path and body"),
    Column("status", SmallInteger, nullable=False),
    Column("body", Text, nullable=False),
    _at("created_at", nullable=False, server_default=func.now(), index=True),
    comment="The first response to each idempotency key, kept for a day with the write that it answers.",
)
inbox = Table(
    "inbox",
    METADATA,
    _uuid("id", primary_key=True),
    Column("provider", Text, nullable=False),
    Column("seq", BigInteger, ForeignKey("journal.seq"), nullable=False, unique=True),
    Column("state", Text, nullable=False, server_default="due"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _at("next_at", nullable=False, server_default=func.now()),
    Column("last_error", Text),
    *_stamps(),
    _one_of("state", ("due", "done", "dead")),
    Index("inbox_next_at_idx", "next_at", postgresql_where=text("state = 'due'")),
    Index("inbox_dead_idx", "updated_at", postgresql_where=text("state = 'dead'")),
    comment="Webhooks that only say where to look: accepted and journaled, to be asked for at the provider.",
)
subscriptions = Table(
    "subscriptions",
    METADATA,
    _uuid("id", primary_key=True),
    Column("url", Text, nullable=False),
    Column("collections", ARRAY(Text), nullable=False),
    Column("operations", ARRAY(Text), nullable=False),
    Column("secrets", ARRAY(Text), nullable=False, comment="newest first; older ones sign too while they rotate"),
    Column("state", Text, nullable=False, server_default="active"),
    _at("failing_since", comment="the first failure since the last success"),
    Column("notice", Text, comment="why it was disabled"),
    *_stamps(),
    _one_of("state", ("active", "disabled")),
)
deliveries = Table(
    "deliveries",
    METADATA,
    _uuid("id", primary_key=True, comment="the stable webhook-id"),
    Column("number", BigInteger, Identity(), nullable=False, unique=True, comment="their order"),
    _uuid("subscription_id", ForeignKey("subscriptions.id"), nullable=False),
    _uuid("order_id", ForeignKey("orders.id"), nullable=False),
    Column("collection", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column(
        "document", JSONB, nullable=False, comment="without personal fields: those are laid over it when it is sent"
    ),
    _uuid("personal_id"),
    _at("at", nullable=False, comment="when the change was made"),
    Column("state", Text, nullable=False, server_default="due"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _at("next_at", nullable=False, server_default=func.now()),
    Column("last_status", SmallInteger),
    Column("last_error", Text),
    *_stamps(),
    _one_of("operation", ("create", "update")),
    _one_of("state", ("due", "done", "dead")),
    Index("deliveries_waiting_idx", "subscription_id", "order_id", "number", postgresql_where=text("state = 'due'")),
    comment="Outgoing webhooks: one row a change and subscription, recorded with the change.",
)

# -- housekeeping --------------------------------------------------------------------------------------------

relay_marks = Table(
    "relay_marks",
    METADATA,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column(
        "seq",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="all of the shard up to here is decided",
    ),
)
relay_horizon = Table(
    "relay_horizon",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("safe_seq", BigInteger, nullable=False, comment="every journal row up to here is visible"),
    Column(
        "next_seq",
        BigInteger,
        nullable=False,
        comment="becomes safe once no transaction older than next_at runs",
    ),
    _at("next_at", nullable=False),
)
heartbeats = Table(
    "heartbeats",
    METADATA,
    Column("name", Text, primary_key=True),
    _at("at", nullable=False),
    _at("gap_end", comment="when our last silence of over five minutes ended"),
)
fixed = Table(
    "fixed",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="Settings that the first migration fixed for good (the number of shards).",
)

TIMELINE_VIEW = """
create view timeline as
select r.order_id, j.seq, j.source, j.event_id, j.type, j.time, j.accepted_at, r.decided_at,
       r.outcome, r.reason, r.detail, r.apply_number, r.step_from, r.step_to, r.implied, j.data
from results r join journal j using (seq)
"""
