"""Webhooks, signed by the library of the standard and verified by the client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from standardwebhooks.webhooks import Webhook as Signer

from order_lifecycle_client import BadSignature, Transaction, verify_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = (
    '{"collection":"transactions","operation":"update","data":{"id":"txn_1","order":"ord_1","paymentId":"p","status":'
    '"paid","amount":10.50,"refundedAmount":0,"currency":"USD","paymentMethod":null,"receiptUrl":null,"provider":null,'
    '"paidAt":"2026-11-01T00:00:00.000Z","pendingKind":null,"pendingUntil":null,"disputes":[],"createdAt":"2026-11-01T00:00:00.000Z","updatedAt":"2026-11-01T00:00:00.000Z",'
    '"newer":1},"timestamp":"2026-11-01T00:00:00.123Z"}'
)


def signed(body: str = BODY, secret: str = SECRET, age: timedelta = timedelta(0)) -> dict[str, str]:
    at = datetime.now(UTC) - age
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Signer(secret).sign("msg_1", at, body),
    }


def test_a_genuine_change_is_a_typed_document():
    change = verify_webhook(BODY.encode(), signed(), SECRET)
    assert (change.id, change.collection, change.operation) == ("msg_1", "transactions", "update")
    assert change.timestamp == datetime(2026, 11, 1, 0, 0, 0, 123_000, tzinfo=UTC)
    assert isinstance(change.data, Transaction)
    assert str(change.data.amount) == "10.50"
    assert change.data.amount == Decimal("10.5")
    assert change.data.model_extra == {"newer": 1}


def test_one_of_several_signatures_is_enough():
    headers = signed()
    headers["Webhook-Signature"] = f"v1,AAAA v1a,xx v1,%% {headers['Webhook-Signature']}"
    assert verify_webhook(BODY, headers, SECRET).id == "msg_1"


def test_a_kind_that_we_do_not_know_stays_as_it_came():
    body = '{"collection":"ping","operation":"create","data":{"a":1},"timestamp":"2026-11-01T00:00:00.000Z"}'
    assert verify_webhook(body, signed(body), SECRET).data == {"a": 1}


@pytest.mark.parametrize(
    ("body", "headers", "why"),
    [
        (BODY + " ", lambda: signed(), "none is ours"),
        (BODY, lambda: signed(secret=OTHER), "none is ours"),
        (BODY, lambda: {**signed(), "Webhook-Id": "msg_2"}, "none is ours"),
        (BODY, lambda: {**signed(), "Webhook-Timestamp": signed(age=timedelta(minutes=1))["Webhook-Timestamp"]}, "none is ours"),
        (BODY, lambda: {**signed(), "Webhook-Signature": ""}, "none is ours"),
        (BODY, lambda: {**signed(), "Webhook-Timestamp": "x"}, "is missing"),
        (BODY, lambda: {**signed(), "Webhook-Id": ""}, "is missing"),
        (BODY, dict, "is missing"),
        (BODY, lambda: signed(age=timedelta(minutes=6)), "over 5 minutes off"),
        (BODY, lambda: signed(age=timedelta(minutes=-6)), "over 5 minutes off"),
    ],
)  # fmt: skip
def test_what_is_not_genuine_and_fresh_is_refused(body, headers, why):
    with pytest.raises(BadSignature, match=why):  # signed only now: an hour of other tests is no reason to refuse it
        verify_webhook(body, headers(), SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%%"])
def test_a_secret_that_is_none_is_told(secret):
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook(BODY, signed(), secret)
