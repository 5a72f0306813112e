"""Every table. Ids are UUIDv7; money is numeric in major units of the row's or its order's currency.

order        an order and its parts (collections of the contract); personal fields apart
catalogue    products, variants, options, carts
journal      journal and results, what waits, what was given up, the relay's marks
access       keys, first answers, payment look-ups, subscriptions and deliveries
operators    who did what, and what rests until somebody resumes it
reconciliation  comparisons with what providers list, and what differs
logins       operators of the console, their sessions, logins that failed
columns      columns that many tables have
refunds      refunds as the outside sees them
given_up     versions of edited events, and replays of what was given up
definitions  the schema besides tables: views and the appenders' trigger

No status stands in an index: updates stay heap-only, which is what lets the drain write as fast as it does.
"""

from __future__ import annotations

from storage.tables.access import answers, api_keys, deliveries, inbox, subscriptions
from storage.tables.catalogue import cart_items, carts, product_options, product_variants, products
from storage.tables.columns import METADATA
from storage.tables.definitions import APPENDERS, DEFINITIONS
from storage.tables.given_up import correction_versions, replay_items, replays
from storage.tables.journal import (
    EFFECT_STATES,
    JOURNAL_SEQ,
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
    polled_carriers,
    refund_accounts,
    relay_horizon,
    relay_marks,
    results,
    timers,
    trackers,
    watch_walk,
)
from storage.tables.logins import login_failures, operator_sessions, operators
from storage.tables.operators import audit, pauses
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
from storage.tables.reconciliation import findings, reconciliation_seen, reconciliations
from storage.tables.refunds import refund_changes, refund_documents, refund_tellings, refunds

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
    "correction_versions",
    "corrections",
    "correlations",
    "dead_letters",
    "deliveries",
    "duplicates",
    "effects",
    "findings",
    "fixed",
    "fulfillment_items",
    "fulfillments",
    "heartbeats",
    "inbox",
    "journal",
    "leases",
    "login_failures",
    "operator_sessions",
    "operators",
    "order_items",
    "orders",
    "parked",
    "pauses",
    "personal",
    "policies",
    "polled_carriers",
    "product_options",
    "product_variants",
    "products",
    "reconciliation_seen",
    "reconciliations",
    "refund_accounts",
    "refund_changes",
    "refund_documents",
    "refund_tellings",
    "refunds",
    "relay_horizon",
    "relay_marks",
    "replay_items",
    "replays",
    "results",
    "return_items",
    "returns_",
    "subscriptions",
    "timers",
    "trackers",
    "transactions",
    "watch_walk",
]
