"""The client of the simulated payment provider: which failure means which exception; no sockets."""

import json
import pickle
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from events.money import Money
from providers.base import RefundNotMade, RefundReceipt, RefundRefused, RefundUnknown
from providers.payments.simulated import SimulatedProvider

MADE = {
    "refund_id": "re_1",
    "payment_id": "pay_1",
    "refunded_amount": "12.50",
    "time": "2026-11-01T21:00:00+09:00",
}
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
MONEY = Money(Decimal("12.50"), "USD")


def a_provider(answer):
    handler = answer if callable(answer) else lambda request: answer
    return SimulatedProvider("http://provider", 0.5, transport=httpx.MockTransport(handler))


def raising(error):
    def answer(request):
        raise error

    return answer


def a_fault(status, code, message=""):
    return httpx.Response(status, json={"error": code, "message": message})


def test_a_refund_says_what_went_back_in_all():
    refund = a_provider(httpx.Response(200, json=MADE)).refund("pay_1", MONEY, "key")
    assert refund == RefundReceipt("re_1", "pay_1", Decimal("12.50"), NOON)


def test_the_request_carries_the_amount_as_text_and_the_key():
    sent = []

    def answer(request):
        sent.append(request)
        return httpx.Response(200, json={**MADE, "payment_id": "결제"})

    a_provider(answer).refund("결제", MONEY, "refund:결제:50%")
    assert json.loads(sent[0].content) == {
        "payment_id": "결제",
        "amount": "12.50",
        "currency": "USD",
    }
    assert sent[0].headers["Idempotency-Key"] == "refund:%EA%B2%B0%EC%A0%9C:50%25"


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
    ],
)
def test_where_surely_nothing_happened_it_may_be_tried_again(answer):
    with pytest.raises(RefundNotMade):
        a_provider(answer).refund("pay_1", MONEY, "key")


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
        a_fault(503, "unavailable"),
        httpx.Response(502, text="<html>"),
        httpx.Response(408),
        httpx.Response(302, headers={"Location": "http://elsewhere/"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, content=b""),
        httpx.Response(204),
        httpx.Response(200, json={**MADE, "refunded_amount": "-1"}),
        httpx.Response(200, json={**MADE, "time": "9999-12-31T23:59:59-14:00"}),
        httpx.Response(200, json={**MADE, "payment_id": "pay_2"}),
        httpx.Response(200, json={"status": "ok"}),
    ],
)
def test_where_it_may_have_happened_the_answer_is_unknown(answer):
    with pytest.raises(RefundUnknown, match="pay_1"):
        a_provider(answer).refund("pay_1", MONEY, "key")


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (a_fault(409, "exceeds_captured", "too much"), "exceeds_captured", "too much"),
        (a_fault(422, "idempotency_key_reused", "m"), "idempotency_key_reused", "m"),
        (a_fault(400, "not_made", "m"), "not_made", "m"),
        (httpx.Response(401, text="who?"), "http_401", "simulated gave no reason"),
    ],
)
def test_a_no_is_final_and_says_why(answer, code, message):
    with pytest.raises(RefundRefused) as caught:
        a_provider(answer).refund("pay_1", MONEY, "key")
    assert (caught.value.reason, caught.value.message) == (code, message)
    assert str(pickle.loads(pickle.dumps(caught.value))) == f"{code}: {message}"


def test_asked_what_it_refunded_it_tells_the_highest_figure():
    first = {**MADE, "refund_id": "re_0", "refunded_amount": "5"}
    answer = httpx.Response(200, json={"payment_id": "pay_1", "refunds": [MADE, first]})
    assert a_provider(answer).refunded("pay_1") == RefundReceipt("re_1", "pay_1", Decimal("12.50"), NOON)


@pytest.mark.parametrize(
    "answer",
    [
        a_fault(404, "payment_unknown"),
        httpx.Response(200, json={"payment_id": "pay_1", "refunds": []}),
    ],
)
def test_nothing_refunded_is_none(answer):
    assert a_provider(answer).refunded("pay_1") is None


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
        a_provider(answer).refunded("pay_1")
