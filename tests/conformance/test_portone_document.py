"""Every request that we send to PortOne, and every answer of our simulator, held against PortOne's own OpenAPI document.

Two things it does not know, and PortOne's pages do: the Idempotency-Key, and the 409 for a request that is still running.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import jsonschema_rs
import orjson
import pytest

from events.money import Money
from providers.base import RefundError
from providers.movements import RefundAccount, RefundRequest
from providers.payments.portone_api import PortOne
from providers.payments.portone_rules import RULES
from providers.simulators import portone as simulated
from tests.refund_services import Service
from tests.simulators import running
from tests.webhooks import shared

pytestmark = pytest.mark.shared_data
ID = "018f2e6a-7b1c-7d2e-9f3a-0b1c2d3e4f5{}"
RUNNING = "IDEMPOTENCY_OUTSTANDING_REQUEST"
UNDOCUMENTED = (429, 503)  # by the gateway in front of it


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return told_apart(json.loads(gzip.decompress(shared("openapi", "portone-v2.openapi.json.gz").read_bytes())))


def told_apart(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its discriminators as JSON Schema has them: which shape a value is to fit, one field of it says."""
    for schema in document["components"]["schemas"].values():
        if "discriminator" in schema:
            name = schema["discriminator"]["propertyName"]
            schema["oneOf"] = [
                {"allOf": [{"$ref": ref}, {"properties": {name: {"enum": [value]}}, "required": [name]}]}
                for value, ref in schema["discriminator"]["mapping"].items()
            ]
    return document


class Witness(httpx.BaseTransport):
    """Lets requests through, and keeps them with their answers."""

    def __init__(self) -> None:
        self.seen: list[tuple[httpx.Request, httpx.Response]] = []
        self._real = httpx.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._real.handle_request(request)
        response.read()
        self.seen.append((request, response))
        return response


def fits(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": document["components"]}
    return [
        f"{error.instance_path}: {error.message[:300]}"
        for error in jsonschema_rs.Draft4Validator(whole).iter_errors(value)
    ]


def faults(document: dict[str, Any], request: httpx.Request, response: httpx.Response) -> list[str]:
    """The parts of an exchange that do not fit."""
    path = request.url.path
    template = (
        "/payments"
        if path == "/payments"
        else "/payments/{paymentId}" + ("/cancel" if path.endswith("/cancel") else "")
    )
    operation = document["paths"][template][request.method.lower()]
    found = []
    if request.method == "POST":
        found += fits(
            document, operation["requestBody"]["content"]["application/json"]["schema"], orjson.loads(request.content)
        )
    elif body := request.url.params.get("requestBody"):
        (parameter,) = operation["parameters"]
        found += fits(document, parameter["content"]["application/json"]["schema"], orjson.loads(body))
    answer = response.json()
    if answer.get("type") == RUNNING or response.status_code in UNDOCUMENTED:
        return found
    told = operation["responses"].get(str(response.status_code))
    if told is None:
        return [*found, f"{request.method} {template} answers no {response.status_code}"]
    return found + fits(document, told["content"]["application/json"]["schema"], answer)


def test_requests_and_answers_fit_its_document(document):
    witness = Witness()
    account = RefundAccount("SHINHAN", "110123456789", "Kim Haneul", "01012345678")
    with running("portone", "--pace", 0.1, "--mishap", "open=0.5") as (_, url):
        client = PortOne(url, "test_secret", transport=witness)
        service = Service("portone", url, client)
        for n, more in enumerate(
            ({}, {"method": "virtual_account", "taxFree": "100"}, {"state": "failed"}, {"state": "pending"}, {})
        ):
            service.capture(f"p-{n}", "1000", "KRW", **more)
        service.capture("p-free", "1000", "KRW", taxFree="400")
        service.capture("p-wait", "1000", "KRW", method="virtual_account", state="awaiting_deposit")
        service.capture("p-slow", "1000", "KRW", state="pending")
        service.capture("p-usd", "12.50", "USD")
        wanted = Money(Decimal(300), "KRW")
        requests = [
            RefundRequest(ID.format(0), "p-0", wanted, Decimal(1000), "order N1"),
            RefundRequest(ID.format(0), "p-0", wanted, Decimal(1000), "order N1"),  # again
            RefundRequest(
                ID.format(1), "p-1", wanted, Decimal(1000), tax_free=Decimal(100), vat=Decimal(20), account=account
            ),
            RefundRequest(ID.format(2), "p-1", wanted, Decimal(700)),  # without the account that it needs
            RefundRequest(ID.format(3), "p-4", Money(Decimal(1000), "KRW")),
            RefundRequest(ID.format(4), "p-4", wanted),  # nothing is left
            RefundRequest(ID.format(5), "p-0", wanted, Decimal(999)),  # another balance
            RefundRequest(ID.format(6), "unheard-of", wanted),
            RefundRequest(ID.format(8), "p-free", wanted, Decimal(1000), tax_free=Decimal(200), vat=Decimal(9)),
            RefundRequest(ID.format(9), "p-free", wanted, Decimal(700), tax_free=Decimal(300)),  # 200 are left
            RefundRequest(ID.format(7), "p-usd", Money(Decimal("2.50"), "USD"), Decimal("12.50")),
        ]
        for request in requests:
            try:
                client.refund(request)
            except RefundError:
                continue
        service.by_hand("p-0", "100")
        for payment in ("p-0", "p-1", "p-2", "p-3", "p-4", "p-usd", "p-free", "unheard-of"):
            client.refunds(payment)
        for payment, kind in (("p-wait", "awaiting_deposit"), ("p-slow", "processing")):
            told = client.ask("portone.Transaction.PayPending", datetime.now(UTC), {"paymentId": payment})
            assert (str(told.pending), told.expected) == (kind, Decimal(1000))
        (made,) = client.refunds("p-free")
        assert (made.tax_free, made.vat) == (Decimal(200), Decimal(9))
        now = datetime.now(UTC)
        service.dispute("p-usd")  # one that was given back in part tells none any more
        service.capture("p-disputed", "1000", "KRW")
        service.dispute("p-disputed", "won")
        page = client.page(now - timedelta(hours=1), now + timedelta(hours=1), None)
        assert (len(page.payments), len(page.movements), len(page.disputes or ())) == (10, 6, 1)
        assert client.about("p-disputed") is not None
        bad = PortOne(url, "wrong", transport=witness)
        with pytest.raises(RefundError):
            bad.refund(requests[0])
    statuses = {response.status_code for _, response in witness.seen}
    assert {200, 400, 401, 404, 409} <= statuses, "each kind of answer was there"
    assert [fault for exchange in witness.seen for fault in faults(document, *exchange)] == []


def test_its_codes_of_banks_are_those_that_we_take(document):
    assert set(document["components"]["schemas"]["Bank"]["enum"]) == RULES.banks


@pytest.mark.parametrize(
    ("status", "back"),
    [
        *((status, ()) for status in ("READY", "PAY_PENDING", "VIRTUAL_ACCOUNT_ISSUED", "PAID", "FAILED")),
        ("PARTIAL_CANCELLED", (200,)),
        ("CANCELLED", (200, 800)),
    ],
)
def test_the_documents_that_tests_have_it_answer_fit_too(document, status, back):
    made = simulated.payment("p", status, 1000, datetime.now(UTC), back=back)
    assert fits(document, {"$ref": "#/components/schemas/Payment"}, made) == []


def test_every_error_of_its_cancellations_has_a_place_in_our_rules(document):
    """Its code alone says what follows; two go by their status: a wrong key, and what the gateway says."""
    known = {*RULES.final, *RULES.stale, *RULES.in_doubt, *RULES.not_made, *RULES.account_codes}
    told = document["components"]["schemas"]["CancelPaymentError"]["discriminator"]["mapping"]
    assert set(told) - known == {"UNAUTHORIZED", "PG_PROVIDER"}


def test_the_document_refuses_what_does_not_fit(document):
    """The check can fail: a request without a reason, an answer without its time."""
    operation = document["paths"]["/payments/{paymentId}/cancel"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert fits(document, body, {"amount": 5})
    assert not fits(document, body, {"amount": 5, "reason": "x"})
    told = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert fits(document, told, {"cancellation": {"status": "SUCCEEDED", "id": "c"}})
