"""Stripe's webhooks: who is believed, and what each type means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from events.catalogue import CATALOGUE, decode
from events.envelope import EnvelopeError
from providers.base import BadSignature
from providers.payments import stripe
from tests.webhooks import as_stripe, packed, real_stripe, stripe_event, stripe_paid, stripe_signature

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
BODY = b'{"a": 1}'
ONE, TWO = "whsec_one", "whsec_two"


def verify(header, secrets=(ONE,), body=BODY, now=NOW):
    stripe.verify(body, header, secrets, now)


def told(kind, **about):
    return stripe.translate(packed(stripe_event(kind, about)))


def test_the_signature_is_the_one_that_stripes_own_library_makes():
    from stripe import WebhookSignature

    verify(WebhookSignature.generate_signature_header(BODY.decode(), ONE, AT))


@pytest.mark.parametrize(
    "header",
    [
        stripe_signature(BODY, ONE, at=AT),
        stripe_signature(BODY, "whsec_old", ONE, at=AT),  # Stripe signs with both while a secret rolls
        stripe_signature(BODY, TWO, at=AT),
        stripe_signature(BODY, ONE, at=AT - 299),
        stripe_signature(BODY, ONE, at=AT + 299),
        stripe_signature(BODY, ONE, at=AT) + ",v0=00ff,v2=ee",
        stripe_signature(BODY, ONE, at=AT).replace(",", ", "),
    ],
)
def test_any_v1_under_any_secret_is_believed_within_five_minutes(header):
    verify(header, (ONE, TWO))


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("", "no t="),
        ("v1=00", "no t="),
        (f"t={AT}", "no v1"),
        (f"t={AT},v1=", "no v1"),
        (f"t={AT},v1=é", "no v1"),
        ("t=now,v1=00", "no t="),
        ("t=99999999999999999999,v1=00", "no t="),
        (stripe_signature(BODY, "whsec_other", at=AT), "no v1"),
        (stripe_signature(BODY + b" ", ONE, at=AT), "no v1"),
        (stripe_signature(BODY, ONE, at=AT, scheme="v0"), "no v1"),
        (stripe_signature(BODY, ONE, at=AT - 301), "clock"),
        (stripe_signature(BODY, ONE, at=AT + 301), "clock"),
    ],
)
def test_all_else_is_not(header, says):
    with pytest.raises(BadSignature, match=says):
        verify(header)


def test_no_error_tells_a_secret_or_a_signature():
    with pytest.raises(BadSignature) as caught:
        verify(stripe_signature(BODY, TWO, at=AT))
    assert ONE not in str(caught.value)
    assert not any(len(word) > 40 for word in str(caught.value).split())


def test_nothing_is_read_before_the_signature_is_right():
    with pytest.raises(BadSignature):
        stripe.receive(b"no json", {}, (ONE,), NOW)


def test_three_types_tell_one_payment_by_its_intent():
    money = {"currency": "krw", "payment_intent": "pi_1"}
    charge = {"id": "ch_1", "captured": True, "amount": 500, "amount_captured": 500, **money}
    for event in (
        told("payment_intent.succeeded", id="pi_1", amount_received=500, currency="krw"),
        told("charge.succeeded", **charge),
        told("charge.captured", **charge),
        told("checkout.session.completed", id="cs_1", payment_status="paid", amount_total=500, **money),
    ):
        assert (event.type, event.data["paymentId"], event.data["amount"]) == ("PaymentSucceeded", "pi_1", "500")


def test_an_expanded_intent_is_the_same_payment():
    charge = {"id": "ch_1", "captured": True, "amount_captured": 5, "currency": "krw", "payment_intent": {"id": "pi_1"}}
    assert told("charge.succeeded", **charge).data["paymentId"] == "pi_1"


def test_a_charge_without_an_intent_is_a_payment_of_its_own():
    charge = {"id": "ch_1", "captured": True, "amount_captured": 5, "currency": "krw", "payment_intent": None}
    assert told("charge.succeeded", **charge).data["paymentId"] == "ch_1"


def test_before_amount_captured_the_rest_of_a_partial_capture_counted_as_refunded():
    charge = {"id": "ch_1", "captured": True, "amount": 1000, "amount_refunded": 300, "currency": "krw"}
    assert told("charge.captured", **charge).data["amount"] == "700"


@pytest.mark.parametrize(
    ("kind", "about"),
    [
        ("refund.created", {"id": "re_1", "amount": 500, "currency": "krw", "balance_transaction": None}),
        ("checkout.session.completed", {"payment_status": "paid", "payment_intent": None, "mode": "subscription"}),
        ("charge.failed", {"id": "ch_1"}),
        ("customer.created", {"id": "cus_1"}),
    ],
)
def test_what_is_not_paid_or_not_used_keeps_its_own_name(kind, about):
    event = told(kind, **about)
    assert event.type == f"stripe.{kind}"
    assert event.type not in CATALOGUE
    assert event.data["data"]["object"] == about


def test_refunds_are_cumulative_and_failures_tell_why():
    charge = {"id": "ch_1", "payment_intent": "pi_1", "amount_refunded": 150, "currency": "usd"}
    assert told("charge.refunded", **charge).data["refundedAmount"] == "1.50"
    error = {"code": "card_declined", "decline_code": "do_not_honor", "message": "No."}
    failed = told("payment_intent.payment_failed", id="pi_1", last_payment_error=error)
    assert failed.data == {"paymentId": "pi_1", "code": "do_not_honor", "message": "No."}
    canceled = told("payment_intent.canceled", id="pi_1", cancellation_reason="abandoned")
    assert (canceled.type, canceled.data) == ("PaymentCanceled", {"paymentId": "pi_1", "code": "abandoned"})


def a_charge(**more):
    return {"id": "ch_1", "payment_intent": "pi_1", "captured": True, "currency": "usd", **more}


@pytest.mark.parametrize(
    ("amount", "captured", "refunded", "went_back"),
    [
        (5000, 5000, 5000, "50.00"),
        (5000, 4500, 500, None),  # the rest of an authorization, which was never captured
        (5000, 4500, 1500, "10.00"),
        (5000, 4500, 5000, "45.00"),
        (5000, 4500, 300, None),
        (5000, 5500, 500, "5.00"),  # captured over the authorization
    ],
)
def test_what_was_never_captured_did_not_go_back(amount, captured, refunded, went_back):
    charge = a_charge(amount=amount, amount_captured=captured, amount_refunded=refunded)
    event = told("charge.refunded", **charge)
    if went_back is None:
        assert event.type == "stripe.charge.refunded"
    else:
        assert (event.type, event.data["refundedAmount"]) == ("PaymentRefunded", went_back)


def test_a_voided_authorization_is_canceled_and_gives_nothing_back():
    voided = a_charge(captured=False, amount=5000, amount_captured=0, amount_refunded=5000, refunded=True)
    event = told("charge.refunded", **voided)
    assert (event.type, event.data) == ("PaymentCanceled", {"paymentId": "pi_1", "code": "voided"})
    lowered = {**voided, "amount_refunded": 2000, "refunded": False}
    assert told("charge.refunded", **lowered).type == "stripe.charge.refunded"


def test_a_session_that_is_paid_later_is_paid_when_stripe_says_so():
    session = {"id": "cs_1", "mode": "payment", "payment_intent": "pi_1", "amount_total": 1250, "currency": "usd"}
    waits = told("checkout.session.completed", **session, payment_status="unpaid")
    came = told("checkout.session.async_payment_succeeded", **session, payment_status="paid")
    failed = told("checkout.session.async_payment_failed", **session, payment_status="unpaid")
    assert (waits.type, waits.data) == (
        "PaymentPending",
        {"amount": "12.50", "paymentId": "pi_1", "kind": "processing"},
    )
    assert (came.type, came.data["paymentId"], came.data["amount"]) == ("PaymentSucceeded", "pi_1", "12.50")
    assert (failed.type, failed.data) == ("PaymentFailed", {"paymentId": "pi_1", "code": "async_payment_failed"})


def test_a_session_that_needs_no_payment_is_a_payment_of_nothing():
    session = {"id": "cs_1", "payment_intent": None, "amount_total": 0, "currency": "usd"}
    free = told("checkout.session.completed", **session, mode="payment", payment_status="no_payment_required")
    assert (free.type, free.data["paymentId"], free.data["amount"]) == ("PaymentSucceeded", "cs_1", "0.00")
    trial = told("checkout.session.completed", **session, mode="subscription", payment_status="no_payment_required")
    assert trial.type == "stripe.checkout.session.completed"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("needs_response", None),
        ("under_review", None),
        ("won", "won"),
        ("lost", "lost"),
        ("warning_needs_response", "inquiry"),
        ("warning_under_review", "inquiry"),
        ("warning_closed", "won"),
    ],
)
def test_a_dispute_tells_its_outcome_once_there_is_one(status, outcome):
    event = told("charge.dispute.closed", id="dp_1", payment_intent="pi_1", status=status, reason="fraudulent")
    assert event.type == "PaymentDisputed"
    assert event.data.get("outcome") == outcome
    assert event.data["paymentId"] == "pi_1"


def test_a_refund_is_known_by_its_id_as_it_stands():
    refund = {"id": "re_1", "payment_intent": "pi_1", "charge": "ch_1", "amount": 250, "currency": "usd", "created": AT}
    made = told("refund.created", **refund, status="pending")
    about = {"paymentId": "pi_1", "refund": "re_1", "amount": "2.50", "requestedAt": NOW.isoformat()}
    assert (made.type, made.version, made.data) == ("PaymentRefunded", 2, {**about, "status": "pending"})
    failed = told("refund.failed", **refund, status="failed", failure_reason="expired_or_canceled_card")
    assert (failed.type, failed.data) == ("RefundFailed", {**about, "code": "expired_or_canceled_card"})
    for event in (made, failed):
        decode(event.type, event.version, event.subject, event.data)


def test_what_is_under_way_keeps_its_order_from_expiring():
    details = {"type": "card", "card": {"capture_before": AT + 7}}
    held = told(
        "charge.succeeded", id="ch_1", payment_intent="pi_1", captured=False, amount=1250, currency="usd",
        payment_method_details=details,
    )  # fmt: skip
    until = (NOW + timedelta(seconds=7)).isoformat()
    assert (held.type, held.data) == (
        "PaymentPending", {"amount": "12.50", "paymentId": "pi_1", "kind": "authorized", "until": until}
    )  # fmt: skip
    sepa = told("payment_intent.processing", id="pi_1", amount=1250, currency="eur")
    assert (sepa.type, sepa.data["kind"]) == ("PaymentPending", "processing")
    manual = told("payment_intent.amount_capturable_updated", id="pi_1", amount_capturable=500, currency="krw")
    assert (manual.data["kind"], manual.data["amount"]) == ("authorized", "500")


def test_disputes_stand_side_by_side_by_their_ids():
    event = told("charge.dispute.created", id="dp_1", payment_intent="pi_1", status="needs_response", amount=500, currency="usd")  # fmt: skip
    assert (event.version, event.data) == (2, {"paymentId": "pi_1", "dispute": "dp_1", "amount": "5.00"})


@pytest.mark.parametrize(("number", "subject"), [("261101000001", "261101000001"), ("x" * 256, None), (7, None)])
def test_the_order_is_the_one_in_the_metadata_where_that_can_be_one(number, subject):
    assert stripe.translate(packed(stripe_paid("pi_1", 5, metadata={"orderNumber": number}))).subject == subject


def test_who_pays_never_comes_into_the_journal():
    personal = {
        "billing_details": {"name": "Kim"}, "receipt_email": "kim@example.com", "shipping": {"name": "Kim"},
        "customer_details": {"email": "kim@example.com"}, "customer_email": "kim@example.com",
        "client_secret": "pi_1_secret_kim", "charges": {"data": [{"billing_details": {"name": "Kim"}, "id": "ch_1"}]},
    }  # fmt: skip
    kept = orjson.dumps(told("payment_intent.created", id="pi_1", **personal).data)
    assert b"kim" not in kept.lower()
    assert b"ch_1" in kept


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"1", b'"text"', b"{}", b"\xff", b"\x00",
        b'{"id": "evt_1", "type": "x", "created": "now", "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "x", "created": true, "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "x", "created": 99999999999999, "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "x", "created": 1, "data": {"object": []}}',
        b'{"id": "evt_1", "type": "x", "created": 1, "data": []}',
        b'{"id": "evt_1", "type": 7, "created": 1, "data": {"object": {}}}',
        b'{"id": 7, "type": "x", "created": 1, "data": {"object": {}}}',
        b'{"type": "x", "created": 1, "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "x", "created": 1, "data": {"object": {"a": "\\u0000"}}}',
        b'{"id": "evt_\\u0000", "type": "x", "created": 1, "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "x", "created": 1, "data": {"object": {"a": ' + b"[" * 252 + b"]" * 252 + b"}}}",
    ],
)  # fmt: skip
def test_what_is_no_event_of_stripes_names_the_field(body):
    with pytest.raises(EnvelopeError):
        stripe.translate(body)


@pytest.mark.parametrize("units", [None, "12", 1.5, True, 10**40, 1e300, {}])
def test_money_that_cannot_be_read_dies_with_what_came_beside_it(units):
    event = told("payment_intent.succeeded", id="pi_1", amount_received=units, currency="krw", receipt_email="k@x")
    with pytest.raises(ValueError, match="amount"):
        decode(event.type, 1, event.subject, event.data)
    assert event.data.get("stripe", {"id": "pi_1"})["id"] == "pi_1"
    assert "receipt_email" not in event.data.get("stripe", {})


def test_the_time_is_when_stripe_says_it_happened():
    event = stripe.translate(packed(stripe_event("x", {}, created=AT - 7)))
    assert event.time == NOW - timedelta(seconds=7)


MEANING = {
    "charge.refunded": "PaymentRefunded",
    "charge.succeeded": "PaymentSucceeded",
    "checkout.session.completed": "PaymentSucceeded",
    "checkout.session.completed.payment_mode": "PaymentSucceeded",
    "payment_intent.canceled": "PaymentCanceled",
    "payment_intent.payment_failed": "PaymentFailed",
    "payment_intent.processing": "PaymentPending",
    "payment_intent.succeeded": "PaymentSucceeded",
}


@pytest.mark.shared_data
def test_every_real_body_means_what_the_contract_says():
    for name, document in real_stripe().items():
        body, headers = as_stripe(document, ONE)
        lower = {key.lower(): value for key, value in headers.items()}
        event = stripe.receive(body, lower, (ONE,), datetime.now(UTC)).envelope
        assert event.type == MEANING.get(name, f"stripe.{name}")
        if event.type in CATALOGUE:
            decode(event.type, event.version, event.subject, event.data)
        assert b"example.com" not in event.body()
        assert b"Jenny Rosen" not in event.body()
