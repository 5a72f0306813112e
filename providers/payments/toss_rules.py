"""Toss Payments' rules as data: what its cancellations go by.

“결제 취소” (docs.tosspayments.com/reference#결제-취소) · “멱등키” (docs.tosspayments.com/guides/using-api/idempotency-key: up
to 300 characters, kept for 15 days, the first answer is given again; 409 IDEMPOTENT_REQUEST_PROCESSING while the first
runs) · “에러 코드” (docs.tosspayments.com/reference/error-codes). Amounts are in major units, won and dollars alike.
"""

from __future__ import annotations

from datetime import timedelta

from providers.movements import MovementStatus
from providers.refund_rules import BY_HAND, RefundRules

STATUSES: dict[str, MovementStatus] = {"DONE": "succeeded", "IN_PROGRESS": "pending", "ABORTED": "failed"}
_BY_HAND = f"pay the customer by bank transfer, and {BY_HAND}"
_ACCOUNT = "ask the customer for another bank account"
# “은행 코드” (docs.tosspayments.com/codes/org-codes): the two digits, or the name in English.
BANKS = {
    "02": "KDB", "03": "IBK", "06": "KOOKMIN", "07": "SUHYEOP", "11": "NONGHYEOP", "12": "LOCALNONGHYEOP", "20": "WOORI",
    "23": "SC", "27": "CITI", "31": "DAEGUBANK", "32": "BUSANBANK", "34": "GWANGJUBANK", "35": "JEJUBANK",
    "37": "JEONBUKBANK", "39": "KYONGNAMBANK", "45": "SAEMAUL", "48": "SHINHYEOP", "50": "SAVINGBANK", "54": "HSBC",
    "64": "SANLIM", "71": "POST", "81": "HANA", "88": "SHINHAN", "89": "KBANK", "90": "KAKAOBANK", "92": "TOSSBANK",
}  # fmt: skip
RULES = RefundRules(
    source="docs.tosspayments.com/reference#결제-취소, /guides/using-api/idempotency-key, /reference/error-codes",
    key_life=timedelta(days=15),
    answer_s=60.0,
    carries_id=True,
    stores_errors=True,
    compares=True,  # refundableAmount
    open_words=("IN_PROGRESS",),
    final={
        "EXCEED_MAX_REFUND_DUE": f"the time for refunds of this payment is over: {_BY_HAND}",
        "EXCEED_CANCEL_LIMIT": f"Toss takes no more cancellations of this payment: {_BY_HAND}",
        "NOT_ALLOWED_PARTIAL_REFUND": f"this payment method gives back all or nothing: {_BY_HAND}",
        "NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT": "nothing was deposited yet: cancel the whole payment",
        "EXCEED_CANCEL_AMOUNT_DISCOUNT_AMOUNT": f"less than the instant discount cannot go back alone: {_BY_HAND}",
        "INVALID_REFUND_ACCOUNT_INFO": _ACCOUNT,
        "INVALID_REFUND_ACCOUNT_NUMBER": _ACCOUNT,
        "INVALID_BANK": _ACCOUNT,
        "FORBIDDEN_BANK_REFUND_REQUEST": _ACCOUNT,
        "REFUND_REJECTED": "ask the card company or bank why, through Toss Payments",
        "NOT_CANCELABLE_AMOUNT": "compare what went back of the payment here and at Toss Payments",
        "NOT_CANCELABLE_PAYMENT": "look at Toss Payments whether the payment was canceled there already",
        "NOT_CANCELABLE_PAYMENT_FOR_DORMANT_USER": _BY_HAND,
        "NOT_FOUND_PAYMENT": "check that ORDERS_TOSS_API_KEY is the key of the shop that took the payment",
        "FORBIDDEN_REQUEST": "check the key's rights at Toss Payments",
        "INVALID_REQUEST": "see what it names; a virtual account needs the customer's bank account",
    },
    not_made=frozenset(("NOT_AVAILABLE_BANK", "FORBIDDEN_CONSECUTIVE_REQUEST", "INVALID_API_KEY", "UNAUTHORIZED_KEY")),
    stale=frozenset(("NOT_MATCHES_REFUNDABLE_AMOUNT", "ALREADY_CANCELED_PAYMENT", "ALREADY_REFUND_PAYMENT")),
    account_methods={"가상계좌": "always", "VIRTUAL_ACCOUNT": "always"},
    account_codes=frozenset(
        (
            "INVALID_REFUND_ACCOUNT_INFO",
            "INVALID_REFUND_ACCOUNT_NUMBER",
            "INVALID_BANK",
            "FORBIDDEN_BANK_REFUND_REQUEST",
        )
    ),
    banks=frozenset((*BANKS, *BANKS.values())),
    in_doubt=frozenset(("IDEMPOTENT_REQUEST_PROCESSING", "PROVIDER_ERROR")),
)
