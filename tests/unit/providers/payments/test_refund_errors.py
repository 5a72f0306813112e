"""Meanings of each provider's no: by its documented codes, whatever the client that asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from events.money import Money
from providers.base import RefundAccountRefused, RefundError, RefundNotMade, RefundRefused, RefundStale, RefundUnknown
from providers.movements import RefundAccount, RefundRequest
from providers.payments import portone_rules, stripe_rules, toss_rules
from providers.payments.portone_api import PortOne
from providers.payments.stripe_api import StripeApi
from providers.payments.toss_api import Toss

ASKED = RefundRequest("018f2e6a-7b1c-7d2e-9f3a-0b1c2d3e4f50", "pay_1", Money(Decimal(500), "KRW"), Decimal(900))


def stripe_error(status: int, code: str | None, kind: str = "invalid_request_error") -> tuple[int, dict[str, Any]]:
    told = {"type": kind, "message": "says why"}
    return status, {"error": {**told, "code": code} if code else told}


STRIPE = [
    (*stripe_error(400, "charge_disputed"), RefundRefused),
    (*stripe_error(400, "charge_not_refundable"), RefundRefused),
    (*stripe_error(402, "balance_insufficient"), RefundRefused),
    (*stripe_error(404, "resource_missing"), RefundRefused),
    (*stripe_error(400, None), RefundRefused),
    (*stripe_error(402, "card_declined", "card_error"), RefundRefused),
    (*stripe_error(400, None, "idempotency_error"), RefundRefused),
    (*stripe_error(400, "charge_already_refunded"), RefundStale),
    (*stripe_error(429, "rate_limit"), RefundNotMade),
    (*stripe_error(400, "lock_timeout"), RefundNotMade),
    (*stripe_error(401, None), RefundNotMade),
    (*stripe_error(409, "idempotency_key_in_use", "idempotency_error"), RefundUnknown),
    (*stripe_error(500, None, "api_error"), RefundUnknown),
    (503, {}, RefundUnknown),
]
PORTONE = [
    (409, "MAX_CANCEL_COUNT_REACHED", RefundRefused),
    (409, "CANCEL_AMOUNT_EXCEEDS_CANCELLABLE_AMOUNT", RefundRefused),
    (409, "PAYMENT_NOT_PAID", RefundRefused),
    (404, "PAYMENT_NOT_FOUND", RefundRefused),
    (403, "FORBIDDEN", RefundRefused),
    (400, "INVALID_REQUEST", RefundRefused),
    (409, "CANCELLABLE_AMOUNT_CONSISTENCY_BROKEN", RefundStale),
    (409, "PAYMENT_ALREADY_CANCELLED", RefundStale),
    (401, "UNAUTHORIZED", RefundNotMade),
    (429, "TOO_MANY_REQUESTS", RefundNotMade),
    (409, "IDEMPOTENCY_OUTSTANDING_REQUEST", RefundUnknown),
    (502, "PG_PROVIDER", RefundUnknown),
]
TOSS = [
    (403, "EXCEED_MAX_REFUND_DUE", RefundRefused),
    (403, "NOT_ALLOWED_PARTIAL_REFUND", RefundRefused),
    (400, "INVALID_REFUND_ACCOUNT_INFO", RefundAccountRefused),
    (400, "REFUND_REJECTED", RefundRefused),
    (403, "SOMETHING_NEW", RefundRefused),
    (400, "NOT_MATCHES_REFUNDABLE_AMOUNT", RefundStale),
    (400, "ALREADY_CANCELED_PAYMENT", RefundStale),
    (403, "FORBIDDEN_CONSECUTIVE_REQUEST", RefundNotMade),
    (403, "NOT_AVAILABLE_BANK", RefundNotMade),
    (401, "UNAUTHORIZED_KEY", RefundNotMade),
    (409, "IDEMPOTENT_REQUEST_PROCESSING", RefundUnknown),
    (400, "PROVIDER_ERROR", RefundUnknown),
    (500, "FAILED_INTERNAL_SYSTEM_PROCESSING", RefundUnknown),
]


@contextmanager
def answering(status: int, body: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A real server, since Stripe's library brings its own connections; and the headers that it was asked with."""
    headers: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            headers.append(dict(self.headers))
            told = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", headers
        server.shutdown()


def the_error(ask: Any) -> RefundError:
    with pytest.raises(RefundError) as caught:
        ask()
    return caught.value


@pytest.mark.parametrize(("status", "body", "kind"), STRIPE)
def test_stripes_errors(status, body, kind):
    with answering(status, body) as (url, headers):
        error = the_error(lambda: StripeApi(url, "sk_test").refund(ASKED))
    assert type(error) is kind, error
    assert [each["Idempotency-Key"] for each in headers] == [ASKED.id], (
        "asked once: who asks again is decided elsewhere"
    )
    if isinstance(error, RefundRefused):
        assert error.next_step == stripe_rules.RULES.final.get(error.reason, "")


@pytest.mark.parametrize(("status", "code", "kind"), PORTONE)
def test_portones_errors(status, code, kind):
    answer = httpx.Response(status, json={"type": code, "message": "says why", "pgCode": "P1", "pgMessage": "기한"})
    error = the_error(lambda: PortOne("http://x", "k", transport=httpx.MockTransport(lambda r: answer)).refund(ASKED))
    assert type(error) is kind, error
    assert "says why P1 기한" in str(error)
    if isinstance(error, RefundRefused):
        assert error.next_step == portone_rules.RULES.final[code]


@pytest.mark.parametrize(("status", "code", "kind"), TOSS)
def test_tosses_errors(status, code, kind):
    answer = httpx.Response(status, json={"code": code, "message": "says why"})
    error = the_error(lambda: Toss("http://x", "k", transport=httpx.MockTransport(lambda r: answer)).refund(ASKED))
    assert type(error) is kind, error
    if isinstance(error, RefundRefused):
        assert error.next_step == toss_rules.RULES.final.get(code, "")


def test_only_an_error_that_ended_there_says_so():
    """A 5xx ends the request under its key; a key that is in use, and silence, do not."""
    for status, code, answered in (
        (500, "X", True),
        (502, "PG_PROVIDER", True),
        (409, "IDEMPOTENCY_OUTSTANDING_REQUEST", False),
    ):
        error = portone_rules.RULES.failure("portone", status, code, None)
        assert isinstance(error, RefundUnknown)
        assert error.answered is answered


@pytest.mark.parametrize("port", [1])
def test_what_never_reached_stripe_was_not_made(port):
    assert type(the_error(lambda: StripeApi(f"http://127.0.0.1:{port}", "sk").refund(ASKED))) is RefundNotMade


def test_toss_and_portone_are_told_all_that_is_known():
    account = RefundAccount("SHINHAN", "110123456789", "Kim Haneul", "01012345678")
    asked = RefundRequest(
        ASKED.id,
        "pay/1",
        ASKED.amount,
        Decimal(900),
        "order N1",
        tax_free=Decimal(100),
        vat=Decimal(36),
        account=account,
    )
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((request.url.raw_path, json.loads(request.content), request.headers["idempotency-key"]))
        return httpx.Response(500)

    for client in (
        PortOne("http://x", "k", transport=httpx.MockTransport(answer)),
        Toss("http://x", "k", transport=httpx.MockTransport(answer)),
    ):
        the_error(lambda client=client: client.refund(asked))
    reason = f"order N1 [{ASKED.id}]"
    assert sent == [
        (
            b"/payments/pay%2F1/cancel",
            {
                "reason": reason, "amount": 500, "taxFreeAmount": 100, "vatAmount": 36, "currentCancellableAmount": 900,
                "refundAccount": {
                    "bank": "SHINHAN", "number": "110123456789", "holderName": "Kim Haneul",
                    "holderPhoneNumber": "01012345678",
                },
            },
            ASKED.id,
        ),
        (
            b"/v1/payments/pay%2F1/cancel",
            {
                "cancelReason": reason, "cancelAmount": 500, "taxFreeAmount": 100, "refundableAmount": 900,
                "refundReceiveAccount": {"bank": "SHINHAN", "accountNumber": "110123456789", "holderName": "Kim Haneul"},
            },
            ASKED.id,
        ),
    ]  # fmt: skip
    assert "110123456789" not in repr(asked)
    assert "Kim" not in repr(asked)


@pytest.mark.parametrize(
    ("rules", "method", "now", "needed"),
    [
        (portone_rules.RULES, "VirtualAccount", "2026-11-02T00:00+09:00", True),
        (portone_rules.RULES, "Card", "2027-11-02T00:00+09:00", False),
        (portone_rules.RULES, None, "2026-11-02T00:00+09:00", False),
        (portone_rules.RULES, "Mobile", "2026-11-30T23:59+09:00", False),
        (portone_rules.RULES, "Mobile", "2026-12-01T00:00+09:00", True),
        (portone_rules.RULES, "Mobile", "2026-11-30T16:00+00:00", True),  # in Korea it is December
        (toss_rules.RULES, "가상계좌", "2026-11-02T00:00+09:00", True),
        (toss_rules.RULES, "휴대폰", "2026-12-02T00:00+09:00", False),
        (stripe_rules.RULES, "customer_balance", "2026-12-02T00:00+09:00", False),
    ],
)
def test_which_payments_go_back_into_a_bank_account(rules, method, now, needed):
    paid_at = datetime.fromisoformat("2026-11-01T12:00+09:00")
    assert rules.needs_account(method, paid_at, datetime.fromisoformat(now)) is needed
