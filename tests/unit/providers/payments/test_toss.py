"""Toss Payments: webhooks that anybody may send, and the answers that count."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import orjson
import pytest

from events.envelope import EnvelopeError
from providers.base import BadSignature, NoAnswer, NotTold
from providers.payments import toss
from providers.payments.toss_api import Toss
from providers.simulators import toss as simulated
from tests.webhooks import packed, shared, toss_event

NOW = datetime(2026, 11, 20, 1, tzinfo=UTC)
DEPOSIT = {
    "createdAt": "2026-11-20T10:00:00.000000",
    "secret": "ps_k-1",
    "status": "DONE",
    "transactionKey": "tx-1",
    "orderId": "o-1",
}


def receive(document, secrets=(), **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return toss.receive(packed(document), named, secrets, NOW)


def test_a_payments_webhook_is_thin_and_keeps_neither_who_pays_nor_a_secret():
    notice = receive(toss_event("k-1", "o-1", "DONE", 500))
    assert notice.thin
    event = notice.envelope
    assert (event.source, event.type, event.subject) == ("toss", "toss.PAYMENT_STATUS_CHANGED", "o-1")
    assert event.data == {
        "paymentId": "k-1", "orderId": "o-1", "status": "DONE", "totalAmount": 500, "balanceAmount": 500,
    }  # fmt: skip


def test_a_time_without_a_zone_is_korean():
    assert receive(toss_event("k", "o", "DONE", 5)).envelope.time == datetime(2026, 11, 20, 1, 0, 0, 123450, UTC)
    told = toss_event("k", "o", "DONE", 5, created="2026-11-20T10:00:00+00:00")
    assert receive(told).envelope.time == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_a_deposit_callback_keeps_enough_to_know_its_secret_again():
    notice = receive(DEPOSIT)
    assert notice.thin
    assert (notice.envelope.type, notice.envelope.subject) == ("toss.DEPOSIT_CALLBACK", "o-1")
    assert b"ps_k-1" not in notice.envelope.body()
    assert notice.envelope.data["secretDigest"] == hashlib.sha256(b"ps_k-1").hexdigest()


def test_the_same_transmission_or_else_the_same_body_is_the_same_webhook():
    one, two = toss_event("k", "o", "DONE", 5), toss_event("k", "o", "ABORTED", 5)
    assert receive(one).envelope.id == receive(one).envelope.id != receive(two).envelope.id
    sent = {"tosspayments_webhook_transmission_id": "tr-1"}
    assert receive(one, **sent).envelope.id == receive(two, **sent).envelope.id == "tr-1"


@pytest.mark.parametrize("kind", ["METHOD_UPDATED", "payout.changed", "CANCEL_STATUS_CHANGED"])
def test_other_types_are_kept(kind):
    notice = receive({"eventType": kind, "createdAt": "2026-11-20T10:00:00.0", "data": {"customerKey": "kim"}})
    assert not notice.thin
    assert notice.envelope.type == f"toss.{kind}"
    assert b"kim" not in notice.envelope.body()


def signature(body, key="sec", at="2026-11-20T10:00:00+09:00"):
    made = base64.b64encode(hmac.new(key.encode(), body + b":" + at.encode(), hashlib.sha256).digest()).decode()
    return {"tosspayments-webhook-signature": f"v1:AAAA,{made}", "tosspayments-webhook-transmission-time": at}


def test_a_signature_that_is_there_must_be_right_where_a_security_key_is_set():
    body = packed(toss_event("k", "o", "DONE", 5))
    assert toss.receive(body, signature(body), ("old", "sec"), NOW).thin
    assert toss.receive(body, signature(body, "wrong"), (), NOW).thin
    assert toss.receive(body, {}, ("sec",), NOW).thin
    stale = (NOW - timedelta(minutes=6)).isoformat()
    for headers in (
        signature(body, "wrong"),
        signature(body, at=stale),
        signature(body + b" "),
        {"tosspayments-webhook-signature": "v1:AAAA"},
    ):
        with pytest.raises(BadSignature):
            toss.receive(body, headers, ("sec",), NOW)


@pytest.mark.parametrize(
    "document",
    [
        b"{", b"[]", {}, {"status": "DONE"}, {"eventType": 7, "data": {}}, {"eventType": "PAYMENT_STATUS_CHANGED"},
        {"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": "2026-11-20T10:00:00", "data": {"status": "DONE"}},
        {"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": "soon", "data": {"paymentKey": "k"}},
        {"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": "2026-11-20T10:00:00", "data": {"paymentKey": "\x00"}},
        {"eventType": "x" * 300, "createdAt": "2026-11-20T10:00:00", "data": {}},
        {**DEPOSIT, "createdAt": None}, {**DEPOSIT, "orderId": "\x00"},
    ],
)  # fmt: skip
def test_what_is_none_of_toss_names_the_field(document):
    with pytest.raises(EnvelopeError):
        receive(document)


@pytest.mark.shared_data
def test_the_real_webhook():
    body = shared("toss", "payment_status_changed_DONE_2026-01-02.json").read_bytes()
    notice = toss.receive(body, {}, (), NOW)
    document = orjson.loads(body)
    assert notice.thin
    assert notice.envelope.data["paymentId"] == document["data"]["paymentKey"]
    assert notice.envelope.subject == document["data"]["orderId"]
    assert notice.envelope.time == datetime(2026, 1, 2, 5, 46, 59, 653270, UTC)
    # The API answers with the same object.
    told = ask(document["data"], paymentId=document["data"]["paymentKey"])
    assert (told.captured, told.currency, told.captured_at) == (
        Decimal(37400),
        "KRW",
        datetime(2026, 1, 2, 5, 46, 58, tzinfo=UTC),
    )


# -- asking --------------------------------------------------------------------------------------------------


def ask(answer, kind="PAYMENT_STATUS_CHANGED", **data):
    handler = answer if callable(answer) else lambda request: httpx.Response(200, json=answer)
    source = Toss("http://toss", "sk", transport=httpx.MockTransport(handler))
    return source.ask(f"toss.{kind}", NOW, data or {"paymentId": "k-1"})


def payment(status, amount=500, **more):
    return simulated.payment("k-1", "o-1", status, amount, NOW, **more)


def test_the_question_is_by_key_else_by_order_with_the_secret_key_as_user():
    seen = []

    def answer(request):
        seen.append((request.url.raw_path, request.headers["authorization"]))
        return httpx.Response(200, json=simulated.payment("k/1", "o/1", "DONE", 5, NOW))

    ask(answer, paymentId="k/1")
    ask(answer, orderId="o/1")
    basic = "Basic " + base64.b64encode(b"sk:").decode()
    assert seen == [(b"/v1/payments/k%2F1", basic), (b"/v1/payments/orders/o%2F1", basic)]


def test_done():
    told = ask(payment("DONE"))
    assert (told.payment_id, told.order_number) == ("k-1", "o-1")
    assert (told.captured_at, told.captured, told.currency) == (NOW, Decimal(500), "KRW")
    assert (told.refunded_at, told.ended) == (None, None)


@pytest.mark.parametrize(("status", "back"), [("CANCELED", 500), ("PARTIAL_CANCELED", 200)])
def test_what_went_back_is_the_total_less_the_balance(status, back):
    told = ask(payment(status, back=back))
    assert (told.captured, told.refunded, told.refunded_at) == (Decimal(500), Decimal(back), NOW)


def test_canceled_before_the_deposit_was_never_paid():
    told = ask(payment("CANCELED", back=500, approved=False))
    assert (told.captured_at, told.refunded_at, told.ended) == (None, None, "PaymentCanceled")


@pytest.mark.parametrize(
    ("status", "ended"),
    [("ABORTED", "PaymentFailed"), ("EXPIRED", "PaymentCanceled"), ("READY", None), ("IN_PROGRESS", None)],
)
def test_what_came_to_nothing(status, ended):
    told = ask(payment(status))
    assert (told.captured_at, told.ended) == (None, ended)


@pytest.mark.parametrize(
    ("written", "amount"),
    [("10.299999999999999", "10.30"), ("10.300000000000001", "10.30"), ("0.1", "0.1"), ("500.00000000000006", "500")],
)
def test_the_noise_of_a_float_is_no_other_amount(written, amount):
    document = orjson.dumps({**payment("DONE", 12345), "currency": "USD"}).decode().replace("12345", written)
    assert ask(lambda _: httpx.Response(200, text=document)).captured == Decimal(amount)


@pytest.mark.parametrize("written", ["10.29999", "1e999", "NaN"])
def test_an_amount_that_is_none_is_another_shape(written):
    document = orjson.dumps({**payment("DONE", 12345), "currency": "USD"}).decode().replace("12345", written)
    with pytest.raises(NoAnswer):
        ask(lambda _: httpx.Response(200, text=document))


def test_a_deposits_secret_is_compared_with_the_payments():
    kept = receive(DEPOSIT).envelope.data
    assert ask(payment("DONE"), "DEPOSIT_CALLBACK", **kept).captured == 500
    forged = receive({**DEPOSIT, "secret": "ps_forged"}).envelope.data
    with pytest.raises(NotTold, match="made up"):
        ask(payment("DONE"), "DEPOSIT_CALLBACK", **forged)
    with pytest.raises(NotTold, match="made up"):
        ask({**payment("DONE"), "secret": None}, "DEPOSIT_CALLBACK", **kept)


def test_a_webhook_that_names_another_order_than_its_payments_was_made_up():
    with pytest.raises(NotTold, match="made up"):
        ask(payment("DONE"), paymentId="k-1", orderId="o-2")
    with pytest.raises(NotTold, match="made up"):
        ask(payment("DONE"), paymentId="k-2")


def test_an_unknown_payment_is_final_and_all_else_is_no_answer():
    with pytest.raises(NotTold):
        ask(lambda request: httpx.Response(404, json={"code": "NOT_FOUND_PAYMENT", "message": "no"}))
    for answer in (
        lambda request: httpx.Response(404, json={"code": "NOT_FOUND", "message": "no such page"}),
        lambda request: httpx.Response(401, json={"code": "UNAUTHORIZED_KEY"}),
        {**payment("DONE"), "totalAmount": "NaN"},
        {**payment("DONE"), "totalAmount": 1e300},
        {**payment("DONE"), "approvedAt": "2026-11-20T10:00:00"},
    ):
        with pytest.raises(NoAnswer):
            ask(answer)
