"""Stripe's rules as data: minor units, and what its refunds go by.

“Supported currencies” (docs.stripe.com/currencies) · “Idempotent requests” (docs.stripe.com/api/idempotent_requests):
keys are removed after 24 hours, and the first answer under one is kept, a 500 too · “The Refund object”
(docs.stripe.com/api/refunds/object) · “Error codes” (docs.stripe.com/error-codes).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from providers.minor_units import MinorUnits
from providers.movements import MovementStatus
from providers.refund_rules import BY_HAND, RefundRules

_THREE_DECIMALS = "BHD JOD KWD OMR TND".split()
_IN_HUNDREDS = "ISK UGX".split()  # “special cases”: no decimals, and sent with two

UNITS = MinorUnits(
    "Stripe, “Supported currencies”: zero-decimal, three-decimal, special cases",
    decimals=dict.fromkeys("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split(), 0)
    | dict.fromkeys(_IN_HUNDREDS, 2)
    | dict.fromkeys(_THREE_DECIMALS, 3),
    steps=dict.fromkeys(_THREE_DECIMALS, 10) | dict.fromkeys(_IN_HUNDREDS, 100),
    default=2,
)
STATUSES: dict[str, MovementStatus] = {
    "pending": "pending",
    "requires_action": "requires_action",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "canceled",
}
# What a dispute's status comes to, all others are open. An inquiry takes no money; closed without a dispute it is as good as won
# (docs.stripe.com/api/disputes/object#dispute_object-status, docs.stripe.com/disputes/how-disputes-work#inquiries).
DISPUTES: dict[str, Literal["inquiry", "won", "lost"]] = {
    "warning_needs_response": "inquiry",
    "warning_under_review": "inquiry",
    "warning_closed": "won",
    "won": "won",
    "lost": "lost",
}
RULES = RefundRules(
    source="docs.stripe.com/api/refunds, /api/idempotent_requests, /error-codes",
    key_life=timedelta(hours=24),
    answer_s=80.0,  # as long as Stripe's own library waits
    carries_id=True,
    stores_errors=True,
    units=UNITS,
    open_words=("pending", "requires_action"),
    final={
        "charge_disputed": "wait for the dispute's end: if it is lost the money is gone already, if it is won replay this",
        "refund_disputed_payment": "wait for the dispute's end: if it is lost the money is gone already, if it is won replay this",
        "charge_not_refundable": f"the payment method takes no refunds: pay the customer by another way, and {BY_HAND}",
        "balance_insufficient": "add funds to the Stripe balance (Dashboard, Balances)",
        "insufficient_funds": "add funds to the Stripe balance (Dashboard, Balances)",
        "resource_missing": "check that ORDERS_STRIPE_API_KEY is the key of the account that took the payment, live or test",
        "idempotency_error": "look in the Dashboard whether the refund was made",
    },
    not_made=frozenset(("rate_limit", "lock_timeout", "api_key_expired")),
    stale=frozenset(("charge_already_refunded",)),
    in_doubt=frozenset(("idempotency_key_in_use",)),
)
