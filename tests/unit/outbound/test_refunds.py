"""The next step that the letter of a refund that was given up has a person take."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from outbound.refunds import _remedy
from providers.payments import stripe_rules, toss_rules

CLAIM: Any = SimpleNamespace(
    id="019a3c1e-8f7b-7c1d-9e2f-3a4b5c6d7e8f", asked=5, currency="KRW", payment_id="pay-7", order_number="7", attempts=1
)


@pytest.mark.parametrize(
    ("rules", "code", "by_hand"),
    [
        (stripe_rules.RULES, "charge_not_refundable", True),
        (stripe_rules.RULES, "balance_insufficient", False),
        (toss_rules.RULES, "EXCEED_CANCEL_LIMIT", True),
        (toss_rules.RULES, "NOT_CANCELABLE_PAYMENT_FOR_DORMANT_USER", True),
        (toss_rules.RULES, "REFUND_REJECTED", False),
    ],
)
def test_what_is_settled_by_hand_is_not_replayed(rules, code, by_hand):
    told = _remedy("stripe", CLAIM, "the provider keeps no ledger by hand", rules.final[code])
    assert ("that closes this, and nothing is replayed. Only where nobody was paid" in told) == by_hand
    assert (f"; then `orders given-up replay eff_{CLAIM.id.replace('-', '')} --why …`" in told) != by_hand
