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
from providers.refund_rules import BY_HAND, RefundRules

UNITS = MinorUnits(
    "PortOne, REST API V2: amounts are int64, the real amount × 10 to the power of the currency's scale factor; the "
    "factors are those of ISO 4217, which its list of currencies follows"
)
STATUSES: dict[str, MovementStatus] = {"REQUESTED": "pending", "SUCCEEDED": "succeeded", "FAILED": "failed"}
_BY_HAND = f"give it back in PortOne's console, or pay the customer by bank transfer, and {BY_HAND}"
_PARTS = "correct the tax-free and VAT amounts: what was paid tax-free goes back tax-free"
# The schema Bank of its OpenAPI document.
BANKS = """
    BANK_OF_KOREA KDB IBK KOOKMIN SUHYUP KEXIM NONGHYUP LOCAL_NONGHYUP WOORI STANDARD_CHARTERED CITI
    SUHYUP_FEDERATION DAEGU BUSAN KWANGJU JEJU JEONBUK KYONGNAM KFCC SHINHYUP SAVINGS_BANK MORGAN_STANLEY HSBC
    DEUTSCHE JPMC MIZUHO MUFG BANK_OF_AMERICA BNP_PARIBAS ICBC BANK_OF_CHINA NFCF UOB BOCOM CCB POST KODIT KIBO
    HANA SHINHAN K_BANK KAKAO TOSS MISC_FOREIGN SGI KCIS YUANTA_SECURITIES KB_SECURITIES SANGSANGIN_SECURITIES
    HANYANG_SECURITIES LEADING_SECURITIES BNK_SECURITIES IBK_SECURITIES DAOL_SECURITIES MIRAE_ASSET_SECURITIES
    SAMSUNG_SECURITIES KOREA_SECURITIES NH_SECURITIES KYOBO_SECURITIES HI_SECURITIES HYUNDAI_MOTOR_SECURITIES
    KIWOOM_SECURITIES EBEST_SECURITIES SK_SECURITIES DAISHIN_SECURITIES HANHWA_SECURITIES HANA_SECURITIES
    TOSS_SECURITIES SHINHAN_SECURITIES DB_SECURITIES EUGENE_SECURITIES MERITZ_SECURITIES KAKAO_PAY_SECURITIES
    BOOKOOK_SECURITIES SHINYOUNG_SECURITIES CAPE_SECURITIES KOREA_SECURITIES_FINANCE KOREA_FOSS_SECURITIES
    WOORI_INVESTMENT_BANK
""".split()
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
    # “계좌 환불이 필요한 경우는 가상계좌 환불, 휴대폰 익월 환불 등이 있습니다” (CancelPaymentBody.refundAccount)
    account_methods={"VirtualAccount": "always", "Mobile": "next_month"},
    banks=frozenset(BANKS),
    in_doubt=frozenset(("IDEMPOTENCY_OUTSTANDING_REQUEST",)),
)
