"""Every table. Ids are UUIDv7; money is numeric in major units of the row's or its order's currency.

order    what an order is (collections of the contract); the side table of personal fields
shop     catalogue and carts
spine    what happened (journal, results), what waits, what was given up, the relay's marks
doors    keys, inbox, subscriptions and their tellings
columns  what many tables have

`DEFINITIONS` is what the schema has besides tables: the timeline and what is undecided are views. No status stands in an index: updates stay heap-only, which is what lets the drain
write as fast as it does.
"""

from __future__ import annotations

from storage.tables.access import answers, api_keys, deliveries, inbox, subscriptions
from storage.tables.catalogue import cart_items, carts, product_options, product_variants, products
from storage.tables.columns import METADATA
from storage.tables.definitions import APPENDERS, DEFINITIONS
from storage.tables.journal import (
    EFFECT_STATES,
    JOURNAL_SEQ,
    audit,
    corrections,
    correlations,
    dead_letters,
    duplicates,
    effects,
    fixed,
    heartbeats,
    journal,
    leases,
    parked,
    policies,
    relay_horizon,
    relay_marks,
    results,
    timers,
    trackers,
)
from storage.tables.order import (
    fulfillment_items,
    fulfillments,
    order_items,
    orders,
    personal,
    return_items,
    returns_,
    transactions,
)

__all__ = [
    "APPENDERS",
    "DEFINITIONS",
    "EFFECT_STATES",
    "JOURNAL_SEQ",
    "METADATA",
    "answers",
    "api_keys",
    "audit",
    "cart_items",
    "carts",
    "corrections",
    "correlations",
    "dead_letters",
    "deliveries",
    "duplicates",
    "effects",
    "fixed",
    "fulfillment_items",
    "fulfillments",
    "heartbeats",
    "inbox",
    "journal",
    "leases",
    "order_items",
    "orders",
    "parked",
    "personal",
    "policies",
    "product_options",
    "product_variants",
    "products",
    "relay_horizon",
    "relay_marks",
    "results",
    "return_items",
    "returns_",
    "subscriptions",
    "timers",
    "trackers",
    "transactions",
]
