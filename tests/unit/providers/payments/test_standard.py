"""The client of a shop's own provider: what it sends, and which failure means which error; no sockets."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from events.money import Money
from providers.base import NoAnswer, NotTold, RefundNotMade, RefundRefused, RefundUnknown
from providers.movements import Dispute, RefundMovement, RefundRequest
from providers.payments import standard_webhooks
from providers.payments.standard import StandardPayments, StandardRefunds
from tests.webhooks import STANDARD

MADE = {
    "refund_id": "re_1",
    "payment_id": "pay_1",
    "amount": "12.50",
    "currency": "USD",
    "time": "2026-11-01T21:00:00+09:00",
    "key": "id-1",
}
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
MONEY = Money(Decimal("12.50"), "USD")
ASKED = RefundRequest("id-1", "pay_1", MONEY, reason="order N1")


def a_provider(answer, **more):
    handler = answer if callable(answer) else lambda request: answer
    return StandardRefunds("http://provider", name="mine", transport=httpx.MockTransport(handler), **more)


def raising(error):
    def answer(request):
        raise error

    return answer


def a_fault(status, code, message=""):
    return httpx.Response(status, json={"error": code, "message": message})


def test_a_refund_is_a_movement():
    refund = a_provider(httpx.Response(200, json=MADE)).refund(ASKED)
    assert refund == RefundMovement("re_1", "pay_1", Decimal("12.50"), "succeeded", NOON, "id-1")


def test_the_request_carries_the_amount_as_text_and_the_id():
    sent = []

    def answer(request):
        sent.append(request)
        return httpx.Response(200, json={**MADE, "payment_id": "결제"})

    a_provider(answer).refund(RefundRequest("결제:50%", "결제", MONEY, reason="order N1", tax_free=Decimal("2.00")))
    assert json.loads(sent[0].content) == {
        "payment_id": "결제",
        "amount": "12.50",
        "currency": "USD",
        "reason": "order N1",
        "tax_free": "2.00",
    }
    assert sent[0].headers["Idempotency-Key"] == "%EA%B2%B0%EC%A0%9C:50%25"
    assert "webhook-signature" not in sent[0].headers


def test_requests_are_signed_where_a_secret_is_set():
    """A service verifies with any library of Standard Webhooks: a POST's body, a GET's path."""
    from standardwebhooks import Webhook

    sent = []

    def answer(request):
        sent.append(request)
        return httpx.Response(200, json=MADE if request.method == "POST" else {"payment_id": "a/b", "refunds": []})

    client = a_provider(answer, secrets=(STANDARD,))
    client.refund(ASKED)
    client.refunds("a/b")
    Webhook(STANDARD).verify(sent[0].content.decode(), dict(sent[0].headers))
    path = sent[1].url.raw_path
    assert path == b"/v1/payments/a%2Fb"
    now = datetime.now(UTC)
    standard_webhooks.verify(path, sent[1].headers, (STANDARD,), now, "service")


@pytest.mark.parametrize(
    "answer",
    [
        raising(httpx.ConnectError("refused")),
        raising(httpx.ConnectTimeout("")),
        raising(httpx.PoolTimeout("")),
        a_fault(503, "not_made"),
        a_fault(500, "not_made"),
        a_fault(429, "slow_down"),
        httpx.Response(429),
        httpx.Response(401, text="who?"),
    ],
)
def test_where_surely_nothing_happened_it_may_be_tried_again(answer):
    with pytest.raises(RefundNotMade):
        a_provider(answer).refund(ASKED)


@pytest.mark.parametrize(
    "answer",
    [
        raising(httpx.ReadTimeout("")),
        raising(httpx.WriteTimeout("")),
        raising(httpx.ReadError("reset")),
        raising(httpx.WriteError("broken pipe")),
        raising(httpx.RemoteProtocolError("closed")),
        httpx.Response(500),
        a_fault(500, "crashed"),
        a_fault(409, "in_progress"),
        httpx.Response(502, text="<html>"),
        httpx.Response(408),
        httpx.Response(302, headers={"Location": "http://elsewhere/"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, content=b""),
        httpx.Response(204),
        httpx.Response(200, json={**MADE, "amount": "-1"}),
        httpx.Response(200, json={**MADE, "time": "9999-12-31T23:59:59-14:00"}),
        httpx.Response(200, json={**MADE, "payment_id": "pay_2"}),
        httpx.Response(200, json={**MADE, "status": "perhaps"}),
    ],
)
def test_where_it_may_have_happened_the_answer_is_unknown(answer):
    with pytest.raises(RefundUnknown, match="mine"):
        a_provider(answer).refund(ASKED)


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (a_fault(409, "exceeds_captured", "too much"), "exceeds_captured", "too much"),
        (a_fault(422, "idempotency_key_reused", "m"), "idempotency_key_reused", "m"),
        (a_fault(400, "whatever", "m"), "whatever", "m"),
        (httpx.Response(403, text="no"), "http_403", "it gave no reason"),
    ],
)
def test_a_no_is_final_and_says_why(answer, code, message):
    with pytest.raises(RefundRefused) as caught:
        a_provider(answer).refund(ASKED)
    assert (caught.value.reason, caught.value.message) == (code, message)
    assert str(pickle.loads(pickle.dumps(caught.value))) == f"{code}: {message}"


def test_asked_for_refunds_it_tells_each():
    failed = {**MADE, "refund_id": "re_0", "status": "failed", "code": "closed_account"}
    found = a_provider(httpx.Response(200, json={"payment_id": "pay_1", "refunds": [failed, MADE]})).refunds("pay_1")
    assert [(each.refund_id, each.status, each.code) for each in found] == [
        ("re_0", "failed", "closed_account"),
        ("re_1", "succeeded", None),
    ]


@pytest.mark.parametrize(
    "answer",
    [a_fault(404, "payment_unknown"), httpx.Response(200, json={"payment_id": "pay_1", "refunds": []})],
)
def test_nothing_refunded_is_no_movement(answer):
    assert list(a_provider(answer).refunds("pay_1")) == []


@pytest.mark.parametrize(
    "answer",
    [
        raising(httpx.ConnectError("refused")),
        raising(httpx.ReadTimeout("")),
        a_fault(503, "not_made"),
        a_fault(401, "unauthorized"),
        httpx.Response(404, text="nginx"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"payment_id": "pay_2", "refunds": []}),
        httpx.Response(200, json={"payment_id": "pay_1", "refunds": [{**MADE, "payment_id": "pay_2"}]}),
    ],
)
def test_a_question_without_a_clear_answer_leaves_it_unknown(answer):
    with pytest.raises(RefundUnknown):
        a_provider(answer).refunds("pay_1")


# -- payments ------------------------------------------------------------------------------------------------

PAID = {
    "payment_id": "pay_1", "order_number": "N1", "status": "paid", "amount": "20.00", "currency": "USD",
    "time": "2026-11-01T21:00:00+09:00", "refunds": [MADE],
}  # fmt: skip
DISPUTED = {"dispute_id": "dp_1", "status": "lost", "amount": "5.00", "time": "2026-11-01T12:00:00Z"}


def a_teller(answer, **more):
    handler = answer if callable(answer) else lambda request: answer
    return StandardPayments("http://provider", name="mine", transport=httpx.MockTransport(handler), **more)


def asked(answer):
    return a_teller(answer).ask("", NOON, {"paymentId": "pay_1"})


def test_a_payment_is_told_as_it_stands():
    paid = asked(httpx.Response(200, json=PAID))
    assert (paid.captured, paid.captured_at, paid.currency, paid.order_number) == (Decimal("20.00"), NOON, "USD", "N1")
    assert paid.movements == (RefundMovement("re_1", "pay_1", Decimal("12.50"), "succeeded", NOON, "id-1"),)
    failed = asked(httpx.Response(200, json={**PAID, "status": "failed", "code": "declined", "refunds": []}))
    assert (failed.ended, failed.ended_at, failed.code, failed.captured_at) == ("PaymentFailed", NOON, "declined", None)
    waits = asked(httpx.Response(200, json={**PAID, "status": "pending", "refunds": []}))
    assert (waits.pending, waits.expected, waits.captured_at) == ("processing", Decimal("20.00"), None)


def test_a_list_is_asked_for_page_by_page_and_signed_with_its_query():
    sent = []

    def answer(request):
        sent.append(request)
        return httpx.Response(200, json={"payments": [{**PAID, "disputes": [DISPUTED]}], "after": "결제:1"})

    client = a_teller(answer, secrets=(STANDARD,))
    page = client.page(NOON, NOON, None)
    assert page.disputes == [Dispute("dp_1", "pay_1", Decimal("5.00"), "lost", NOON)]
    assert page.after == "결제:1"
    client.page(NOON, NOON, page.after)
    assert dict(sent[1].url.params) == {"since": NOON.isoformat(), "until": NOON.isoformat(), "after": "결제:1"}
    for each in sent:
        standard_webhooks.verify(each.url.raw_path, each.headers, (STANDARD,), datetime.now(UTC), "service")


def test_no_word_of_disputes_is_remarked_upon():
    page = a_teller(httpx.Response(200, json={"payments": [PAID]})).page(NOON, NOON, None)
    assert page.disputes is None
    assert "disputes" in (page.remark or "")


@pytest.mark.parametrize(
    "answer",
    [
        raising(httpx.ReadTimeout("")),
        a_fault(503, "not_made"),
        httpx.Response(404, text="nginx"),
        httpx.Response(200, json={**PAID, "payment_id": "pay_2"}),
        httpx.Response(200, json={"payment_id": "pay_1", "refunds": []}),
        httpx.Response(200, json={**PAID, "refunds": [{**MADE, "payment_id": "pay_2"}]}),
    ],
)
def test_without_a_clear_answer_nothing_is_told_of_it(answer):
    with pytest.raises(NoAnswer):
        asked(answer)
    with pytest.raises(NoAnswer):
        a_teller(answer).about("pay_1")
    with pytest.raises(NoAnswer):
        a_teller(answer).page(NOON, NOON, None)


def test_a_payment_that_it_does_not_know():
    unknown = a_fault(404, "payment_unknown")
    assert a_teller(unknown).about("pay_1") is None
    with pytest.raises(NotTold):
        asked(unknown)
    with pytest.raises(NoAnswer):
        a_teller(unknown).page(NOON, NOON, None)
