"""The first schema: every table, the timeline, and the number of shards, fixed for good.

Before deployment: there is nothing older to keep working. `storage.tables` says why a column or an
index is as it is; this file only says what the first version was, and is never edited again.
Names that are not given are PostgreSQL's own, which our convention equals.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.schema import CreateSequence, DropSequence

revision = "0001_initial"
down_revision = None

SHARDS = 64  # where the caller does not say
HOT = {"fillfactor": 85}
TABLES = """
    personal orders order_items transactions fulfillments fulfillment_items returns return_items
    products product_variants product_options carts cart_items
    journal policies results duplicates
    correlations parked timers effects trackers
    dead_letters corrections audit
    relay_marks relay_horizon heartbeats fixed
""".split()
TIMELINE = """
create view timeline as
select r.order_id, j.seq, j.source, j.event_id, j.type, j.time, j.accepted_at, r.decided_at,
       r.outcome, r.reason, r.detail, r.apply_number, r.step_from, r.step_to, r.implied, j.data
from results r join journal j using (seq)
"""


def upgrade() -> None:
    _orders()
    _catalogue()
    _happened()
    _waiting()
    _given_up()
    _housekeeping()
    op.execute(TIMELINE)
    _fix_shards(context.config.attributes.get("shards", SHARDS))


def downgrade() -> None:
    op.execute("drop view timeline")
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute(DropSequence(sa.Sequence("journal_seq")))


def _orders() -> None:
    """What an order is."""
    op.create_table(
        "personal",
        _uuid("id", primary_key=True),
        sa.Column("fields", JSONB, nullable=False),
        _at("created_at", nullable=False, server_default=sa.func.now()),
        comment="Names, addresses and notes: journal bodies and orders only refer to them; erase a row to forget.",
    )
    op.create_table(
        "orders",
        _uuid("id", primary_key=True),
        sa.Column("order_number", sa.Text, nullable=False, unique=True),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("held", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("customer", sa.Text),
        _uuid("personal_id"),
        sa.Column("currency", sa.Text),
        _money("total_amount"),
        sa.Column("discount_code", sa.Text),
        _money("discount_amount"),
        _money("shipping_amount"),
        sa.Column("flags", ARRAY(sa.Text), nullable=False, server_default="{}"),
        _at("placed_at"),
        _at("canceled_at"),
        _at("confirmed_at"),
        *_stamps(),
        _check(
            "orders_status_check",
            "status in ('new', 'pending', 'paid', 'failed', 'preparing', 'shipped', 'delivered', 'confirmed', 'canceled', 'return_requested', 'return_processing', 'returned')",
        ),
        _check("orders_amounts_check", "total_amount >= 0 and discount_amount >= 0 and shipping_amount >= 0"),
        _check("orders_created_check", "(status = 'new') = (placed_at is null)"),
        _check("orders_currency_check", "placed_at is null or currency is not null"),
        postgresql_with=HOT,
    )
    op.create_index("orders_customer_placed_at_idx", "orders", ["customer", sa.text("placed_at desc")])
    op.create_table(
        "order_items",
        _uuid("id", primary_key=True),
        _uuid("order_id", sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("position", sa.SmallInteger, nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("product", sa.Text, nullable=False),
        sa.Column("variant", sa.Text),
        sa.Column("option", sa.Text),
        sa.Column("quantity", sa.Integer, nullable=False),
        _money("unit_price"),
        _money("total_price"),
        sa.Column("shipped_quantity", sa.Integer, nullable=False, server_default="0"),
        sa.Column("delivered_quantity", sa.Integer, nullable=False, server_default="0"),
        sa.Column("returned_quantity", sa.Integer, nullable=False, server_default="0"),
        *_stamps(),
        sa.UniqueConstraint("order_id", "reference"),
        _check("order_items_line_check", "quantity > 0 and unit_price >= 0 and total_price = unit_price * quantity"),
        _check("order_items_delivered_check", "0 <= delivered_quantity and delivered_quantity <= shipped_quantity"),
        _check(
            "order_items_quantities_check", "shipped_quantity <= quantity and returned_quantity between 0 and quantity"
        ),
        postgresql_with=HOT,
    )
    op.create_index("order_items_order_id_idx", "order_items", ["order_id"])
    op.create_table(
        "transactions",
        _uuid("id", primary_key=True),
        _uuid("order_id", sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("payment_id", sa.Text, nullable=False, unique=True),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        _money("amount"),
        _money("refunded_amount"),
        _money("refund_target"),
        sa.Column("payment_method", sa.Text),
        sa.Column("receipt_url", sa.Text),
        sa.Column("provider", sa.Text),
        _at("paid_at"),
        sa.Column("dispute", sa.Text),
        *_stamps(),
        _check("transactions_status_check", "status in ('pending', 'paid', 'failed', 'canceled')"),
        _check("transactions_amounts_check", "amount >= 0 and refunded_amount >= 0"),
        _check("transactions_refund_target_check", "refund_target between 0 and amount"),
        _check("transactions_paid_check", "status <> 'paid' or paid_at is not null"),
        postgresql_with=HOT,
    )
    op.create_index("transactions_order_id_idx", "transactions", ["order_id"])
    op.create_table(
        "fulfillments",
        _uuid("id", primary_key=True),
        _uuid("order_id", sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("planned", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("carrier", sa.Text),
        sa.Column("carrier_step", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("tracking_number", sa.Text),
        sa.Column("tracking_step", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("parcels", ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("items_step", sa.SmallInteger, nullable=False, server_default="0"),
        _at("shipped_at"),
        _at("delivered_at"),
        _at("failed_at"),
        *_stamps(),
        sa.UniqueConstraint("order_id", "reference"),
        _check("fulfillments_status_check", "status in ('pending', 'packed', 'shipped', 'delivered', 'failed')"),
        _check("fulfillments_delivered_check", "status <> 'delivered' or delivered_at is not null"),
        _check("fulfillments_planned_check", "not planned or status = 'pending'"),
        postgresql_with=HOT,
    )
    op.create_index("fulfillments_order_id_idx", "fulfillments", ["order_id"])
    op.create_table(
        "fulfillment_items",
        _uuid("id", primary_key=True),
        _uuid("order_id", sa.ForeignKey("orders.id"), nullable=False),
        _uuid("fulfillment_id", sa.ForeignKey("fulfillments.id"), nullable=False),
        _uuid("order_item_id", sa.ForeignKey("order_items.id"), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        *_stamps(),
        sa.UniqueConstraint("fulfillment_id", "order_item_id"),
        _check("fulfillment_items_quantity_check", "quantity > 0"),
        postgresql_with=HOT,
    )
    op.create_index("fulfillment_items_order_id_idx", "fulfillment_items", ["order_id"])
    op.create_table(
        "returns",
        _uuid("id", primary_key=True),
        _uuid("order_id", sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("for_staff", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("refund_amount", sa.Numeric),
        sa.Column("refund_stated", sa.Boolean, nullable=False, server_default="false"),
        _uuid("personal_id"),
        _at("requested_at"),
        _at("completed_at"),
        *_stamps(),
        sa.UniqueConstraint("order_id", "reference"),
        _check("returns_status_check", "status in ('requested', 'approved', 'processing', 'rejected', 'completed')"),
        _check(
            "returns_reason_check", "reason in ('change_of_mind', 'defective', 'wrong_delivery', 'damaged', 'other')"
        ),
        _check("returns_refund_amount_check", "refund_amount >= 0"),
        _check("returns_completed_check", "(status = 'completed') = (completed_at is not null)"),
        postgresql_with=HOT,
    )
    op.create_index("returns_order_id_idx", "returns", ["order_id"])
    op.create_table(
        "return_items",
        _uuid("id", primary_key=True),
        _uuid("order_id", sa.ForeignKey("orders.id"), nullable=False),
        _uuid("return_id", sa.ForeignKey("returns.id"), nullable=False),
        _uuid("order_item_id", sa.ForeignKey("order_items.id"), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        *_stamps(),
        sa.UniqueConstraint("return_id", "order_item_id"),
        _check("return_items_quantity_check", "quantity > 0"),
    )
    op.create_index("return_items_order_id_idx", "return_items", ["order_id"])


def _catalogue() -> None:
    """The shop's catalogue and carts."""
    op.create_table(
        "products",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("sku", sa.Text),
        sa.Column("price", sa.Numeric),
        sa.Column("image", sa.Text),
        *_stamps(),
        _check("products_price_check", "price >= 0"),
    )
    op.create_table(
        "product_variants",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("product", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("sku", sa.Text),
        sa.Column("price", sa.Numeric),
        sa.Column("image", sa.Text),
        *_stamps(),
        _check("product_variants_price_check", "price >= 0"),
    )
    op.create_index("product_variants_product_idx", "product_variants", ["product"])
    op.create_table(
        "product_options",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("variant", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("sku", sa.Text),
        sa.Column("price", sa.Numeric),
        sa.Column("image", sa.Text),
        *_stamps(),
        _check("product_options_price_check", "price >= 0"),
    )
    op.create_index("product_options_variant_idx", "product_options", ["variant"])
    op.create_table(
        "carts",
        _uuid("id", primary_key=True),
        sa.Column("customer", sa.Text),
        sa.Column("currency", sa.Text, nullable=False),
        _uuid("order_id", sa.ForeignKey("orders.id"), unique=True, comment="the order it became, once"),
        *_stamps(),
    )
    op.create_index("carts_customer_idx", "carts", ["customer"])
    op.create_table(
        "cart_items",
        _uuid("id", primary_key=True),
        _uuid("cart_id", sa.ForeignKey("carts.id"), nullable=False),
        sa.Column("product", sa.Text, nullable=False),
        sa.Column("variant", sa.Text),
        sa.Column("option", sa.Text),
        sa.Column("quantity", sa.Integer, nullable=False),
        _money("unit_price"),
        *_stamps(),
        _check("cart_items_line_check", "quantity > 0 and unit_price >= 0"),
    )
    op.create_index("cart_items_cart_id_idx", "cart_items", ["cart_id"])


def _happened() -> None:
    """What happened, and what became of it."""
    op.execute(CreateSequence(sa.Sequence("journal_seq", cache=1)))
    op.create_table(
        "journal",
        sa.Column("seq", sa.BigInteger, primary_key=True, server_default=sa.text("nextval('journal_seq')")),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        _at("time", nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("held", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        _at("accepted_at", nullable=False, server_default=sa.func.clock_timestamp()),
        sa.UniqueConstraint("source", "event_id"),
        comment="Accepted envelopes, append-only; the truth.",
    )
    op.create_index("journal_shard_seq_idx", "journal", ["shard", "seq"])
    op.create_table(
        "policies",
        sa.Column("id", sa.SmallInteger, sa.Identity(), primary_key=True),
        sa.Column("body", JSONB, nullable=False, unique=True),
        comment="The settings that results were reached under.",
    )
    op.create_table(
        "results",
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("journal.seq"), primary_key=True, autoincrement=False),
        _uuid("order_id"),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column(
            "apply_number", sa.Integer, comment="the order's, given under its row lock; null: parked, dead, or no order"
        ),
        sa.Column("parked_number", sa.Integer, comment="the order's version when the event was parked"),
        sa.Column("policy_id", sa.SmallInteger, sa.ForeignKey("policies.id"), nullable=False),
        _at("decided_at", nullable=False),
        sa.Column("step_from", sa.Text),
        sa.Column("step_to", sa.Text),
        sa.Column("implied", sa.Text),
        _check("results_outcome_check", "outcome in ('applied', 'ignored', 'parked', 'dead')"),
        comment="What became of each event: one row an event, the net under everything.",
    )
    op.create_index("results_order_id_idx", "results", ["order_id"])
    op.create_table(
        "duplicates",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("journal.seq"), nullable=False),
        sa.Column("body_differs", sa.Boolean, nullable=False),
        _at("at", nullable=False, server_default=sa.func.clock_timestamp()),
        comment="Deliveries of an event that the journal has already: counted at its door, and only there.",
    )
    op.create_index("duplicates_seq_idx", "duplicates", ["seq"])


def _waiting() -> None:
    """What waits."""
    op.create_table(
        "correlations",
        sa.Column("key", sa.Text, primary_key=True),
        _uuid("order_id", comment="set once; null while an event that names only this key waits"),
    )
    op.create_table(
        "parked",
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("results.seq"), primary_key=True, autoincrement=False),
        _uuid("order_id"),
        sa.Column("key", sa.Text, comment="the payment or parcel it waits for, where no order is known"),
        sa.Column("reason", sa.Text, nullable=False),
        _at("until", comment="then it goes to the dead letters; null: never"),
    )
    op.create_index("parked_key_idx", "parked", ["key"])
    op.create_index("parked_order_id_idx", "parked", ["order_id"])
    op.create_table(
        "timers",
        _uuid("order_id", sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        _at("due", nullable=False),
        sa.Column("held", sa.Boolean, nullable=False, server_default="false"),
        _check("timers_kind_check", "kind in ('unpaid', 'confirm')"),
    )
    op.create_index("timers_due_idx", "timers", ["due"], postgresql_where=sa.text("not held"))
    op.create_table(
        "effects",
        _uuid("id", primary_key=True),
        _uuid("order_id", sa.ForeignKey("orders.id"), nullable=False),
        _uuid("transaction_id", sa.ForeignKey("transactions.id"), nullable=False, unique=True),
        sa.Column("payment_id", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("target", sa.Numeric, nullable=False, comment="cumulative: what is to have gone back in all"),
        _money("made", comment="cumulative: what the provider told it has given back"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("idempotency_key", sa.Text, comment="of the attempt in flight, or whose answer is unknown"),
        sa.Column("asked", sa.Numeric, comment="the amount of that attempt"),
        _at("next_at", nullable=False, server_default=sa.func.now()),
        sa.Column("last_error", sa.Text),
        *_stamps(),
        _check("effects_state_check", "state in ('due', 'in_flight', 'unknown', 'done', 'held', 'staff', 'dead')"),
        _check("effects_amounts_check", "target >= 0 and made >= 0"),
        comment="Refunds: one row a transaction, toward a cumulative target; recorded before they are made.",
    )
    op.create_index(
        "effects_next_at_idx",
        "effects",
        ["next_at"],
        postgresql_where=sa.text("state in ('due', 'in_flight', 'unknown')"),
    )
    op.create_index("effects_order_id_idx", "effects", ["order_id"])
    op.create_table(
        "trackers",
        _uuid("id", primary_key=True),
        _uuid("order_id", sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("carrier", sa.Text, nullable=False, comment="normalized as in the correlation key"),
        sa.Column("tracking_number", sa.Text, nullable=False),
        sa.Column("status", sa.Text, comment="the last scan's, unified"),
        sa.Column("scans", ARRAY(sa.Text), nullable=False, server_default="{}", comment="ids of scans taken already"),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_error", sa.Text),
        sa.Column("finished", sa.Boolean, nullable=False, server_default="false"),
        _at("next_at", nullable=False, server_default=sa.func.now()),
        *_stamps(),
        sa.UniqueConstraint("order_id", "key"),
    )
    op.create_index("trackers_next_at_idx", "trackers", ["next_at"], postgresql_where=sa.text("not finished"))


def _given_up() -> None:
    """What was given up, and what operators did."""
    op.create_table(
        "dead_letters",
        _uuid("id", primary_key=True),
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("journal.seq"), unique=True),
        _uuid("effect_id", sa.ForeignKey("effects.id"), unique=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text),
        sa.Column("state", sa.Text, nullable=False, server_default="open"),
        sa.Column("deaths", sa.Integer, nullable=False, server_default="1"),
        *_stamps(),
        _check("dead_letters_state_check", "state in ('open', 'replayed', 'discarded')"),
        _check("dead_letters_one_subject_check", "(seq is null) <> (effect_id is null)"),
    )
    op.create_table(
        "corrections",
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("journal.seq"), primary_key=True, autoincrement=False),
        sa.Column("subject", sa.Text),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        _at("at", nullable=False, server_default=sa.func.now()),
        comment="What an operator made of a dead event's subject and body; the journal keeps the original.",
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        _at("at", nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("detail", JSONB, nullable=False, server_default="{}"),
    )


def _housekeeping() -> None:
    """Where the relay stands, who lives, and what never changes."""
    op.create_table(
        "relay_marks",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column(
            "seq", sa.BigInteger, nullable=False, server_default="0", comment="all of the shard up to here is decided"
        ),
    )
    op.create_table(
        "relay_horizon",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("safe_seq", sa.BigInteger, nullable=False, comment="every journal row up to here is visible"),
        sa.Column(
            "next_seq",
            sa.BigInteger,
            nullable=False,
            comment="becomes safe once no transaction older than next_at runs",
        ),
        _at("next_at", nullable=False),
    )
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.Text, primary_key=True),
        _at("at", nullable=False),
        _at("gap_end", comment="when our last silence of over five minutes ended"),
    )
    op.create_table(
        "fixed",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        comment="Settings that the first migration fixed for good (the number of shards).",
    )


def _fix_shards(shards: int) -> None:
    """What the number of shards settles: the number itself, and a relay mark for each."""
    fixed = sa.table("fixed", sa.column("name"), sa.column("value"))
    op.bulk_insert(fixed, [{"name": "shards", "value": str(shards)}])
    op.execute(f"insert into relay_marks (shard) select generate_series(0, {shards - 1:d})")
    op.execute("insert into relay_horizon (id, safe_seq, next_seq, next_at) values (1, 0, 0, now())")


def _uuid(name: str, *extra: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Uuid(as_uuid=False), *extra, **options)


def _at(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def _money(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Numeric, nullable=False, server_default="0", **options)


def _stamps() -> tuple[sa.Column[Any], sa.Column[Any]]:
    return (
        _at("created_at", nullable=False, server_default=sa.func.now()),
        _at("updated_at", nullable=False, server_default=sa.func.now()),
    )


def _check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(name))
