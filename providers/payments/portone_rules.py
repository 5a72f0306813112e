"""PortOne's rules as data: minor units, and what its cancellations go by.

“REST API V2” (developers.portone.io/api/rest-v2): its section “멱등 키” (a key is 16 to 256 letters, digits, - and _, and
lives three hours; IDEMPOTENCY_OUTSTANDING_REQUEST while the first request runs), “결제 취소”
(POST /payments/{paymentId}/cancel) with its errors, and PaymentCancellation with its states. It asks for a timeout of 60 s
or more, since card companies may take so long.
"""

from __future__ import annotations

from datetime import timedelta

from providers.minor_units import MinorUnits
from providers.movements import MovementStatus
from providers.refund_rules import RefundRules

UNITS = MinorUnits(
    "PortOne, REST API V2: amounts are int64, the real amount × 10 to the power of the currency's scale factor; the "
    "factors are those of ISO 4217, which its list of currencies follows"
)
STATUSES: dict[str, MovementStatus] = {"REQUESTED": "pending", "SUCCEEDED": "succeeded", "FAILED": "failed"}
_BY_HAND = "give it back in PortOne's console or by bank transfer"
_PARTS = "correct the tax-free and VAT amounts: what was paid tax-free goes back tax-free"
RULES = RefundRules(
    source="developers.portone.io/api/rest-v2, 멱등 키 and 결제 취소",
    key_life=timedelta(hours=3),
    answer_s=65.0,
    carries_id=True,
    stores_errors=True,
    compares=True,  # currentCancellableAmount
    units=UNITS,
    open_words=("REQUESTED",),
    final={
        "MAX_CANCEL_COUNT_REACHED": f"PortOne takes no more cancellations of this payment: {_BY_HAND}",
        "CANCEL_AMOUNT_EXCEEDS_CANCELLABLE_AMOUNT": "compare what went back of the payment here and in PortOne's console",
        "SUM_OF_PARTS_EXCEEDS_CANCEL_AMOUNT": _PARTS,
        "CANCEL_TAX_FREE_AMOUNT_EXCEEDS_CANCELLABLE_TAX_FREE_AMOUNT": _PARTS,
        "CANCEL_TAX_AMOUNT_EXCEEDS_CANCELLABLE_TAX_AMOUNT": _PARTS,
        "NEGATIVE_PROMOTION_ADJUSTED_CANCEL_AMOUNT": f"the promotion leaves nothing of it: {_BY_HAND}",
        "PROMOTION_DISCOUNT_RETAIN_OPTION_SHOULD_NOT_BE_CHANGED": f"cancellations of this payment keep another option: {_BY_HAND}",
        "PAYMENT_NOT_PAID": "look in PortOne's console whether the payment was ever paid",
        "PAYMENT_NOT_FOUND": "check that ORDERS_PORTONE_API_KEY is the secret of the store that took the payment",
        "FORBIDDEN": "let the API secret cancel payments, in PortOne's console",
        "INVALID_REQUEST": "see what it names; a virtual account needs the customer's bank account",
    },
    stale=frozenset(("CANCELLABLE_AMOUNT_CONSISTENCY_BROKEN", "PAYMENT_ALREADY_CANCELLED")),
    in_doubt=frozenset(("IDEMPOTENCY_OUTSTANDING_REQUEST",)),
)
