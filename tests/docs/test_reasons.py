"""docs/reference/reasons.md says what the code says, and the list of reasons is whole."""

from __future__ import annotations

from pathlib import Path

from domain.outcome import DEAD, Reason
from operations import reason_reference
from operations.reasons import CAUSES, KINDS, cause_of, field_of
from outbound import payment_lookups, refund_attempt, refund_routes

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_code_says():
    page = (ROOT / "docs" / "reference" / "reasons.md").read_text()
    assert page == reason_reference.page(), "docs/reference/reasons.md is stale; run `make docs`"


def test_every_reason_for_giving_up_is_listed_with_what_to_do():
    of_events = {str(reason) for reason in Reason if reason.kind is DEAD}
    refunds = {refund_attempt.REFUSED, refund_attempt.GAVE_UP, refund_attempt.IN_DOUBT, refund_attempt.FAILED}
    lookups = {getattr(payment_lookups, name) for name in ("NO_ANSWER", "NOT_TOLD", "UNFIT", "ORDER_ABSENT")}
    assert of_events | refunds | lookups | {refund_routes.NO_CLIENT} <= set(CAUSES)
    for code, cause in CAUSES.items():
        assert (cause.code, cause.kind in KINDS) == (code, True)
        assert cause.means
        assert cause.remedy


def test_the_field_at_fault_is_the_details_or_the_reasons():
    assert field_of("malformed", "items.0.quantity: Input should be greater than 0") == "items.0.quantity"
    assert field_of("malformed", "no field here") is None
    assert field_of("currency_mismatch", "USD, not KRW") == "currency"
    assert field_of("reason_of_tomorrow", None) is None
    assert cause_of("reason_of_tomorrow").means == "reason of tomorrow"
