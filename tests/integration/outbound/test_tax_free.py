"""Refunds of orders with tax-free lines: PortOne and Toss are told how much of each is tax-free, and take no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from outbound import refunds
from outbound.refund_attempt import Refunder
from providers.base import RefundUnknown
from providers.payments.portone_api import PortOne
from providers.payments.toss_api import Toss
from tests.refund_services import Service
from tests.simulators import SHARDS, a_shop, an_event, running

HOUR = timedelta(hours=1)
TEA = {"item": "tea", "product": "tea", "quantity": 2, "unitPrice": "5000"}
BOOK = {"item": "book", "product": "book", "quantity": 1, "unitPrice": "4000", "taxFree": True}


@pytest.fixture
def shop(database_url, redis_url):
    with a_shop(database_url, redis_url) as shop:
        yield shop


@pytest.fixture(
    scope="module", params=[("portone", PortOne, "test_secret"), ("toss", Toss, "test_sk")], ids=lambda p: p[0]
)
def service(request):
    name, make, key = request.param
    with running(name) as (_, url):
        yield Service(name, url, make(url, key))


@pytest.fixture
def payment(request):
    return f"tax-{abs(hash(request.node.name)) % 10**8}"


def run(shop, service, later=timedelta(0), client=None):
    refunder = Refunder(service.provider, client or service.client)
    refunds.run_due(shop.engine, shop.streams, SHARDS, refunder, datetime.now(UTC) + later)
    shop.work()


def sold(shop, service, payment, lines=(TEA, BOOK), free="4000", **data):
    total = sum(int(each["unitPrice"]) * each["quantity"] for each in lines) + int(data.get("taxAmount", 0))
    service.capture(payment, str(total), "KRW", taxFree=free)
    shop.tell(an_event("OrderCreated", "1", items=list(lines), totalAmount=str(total), paymentIds=[payment], **data))
    told = {"paymentId": payment, "amount": str(total), "currency": "KRW", "provider": service.provider}
    shop.tell(an_event("PaymentSucceeded", None, **told), an_event("FulfillmentCreated", "1", fulfillment="f"))
    shop.tell(an_event("FulfillmentDelivered", "1", fulfillment="f"))


def came_back(shop, name, **items):
    listed = [{"item": item, "quantity": n} for item, n in items.items()]
    shop.tell(an_event("ReturnRequested", "1", **{"return": name}, reason="other", items=listed))
    shop.tell(an_event("ReturnCompleted", "1", **{"return": name}))


def booked(service, payment):
    """(amount, tax-free, VAT) of each refund in the provider's books."""
    told = httpx.get(f"{service.url}/_simulator/books", trust_env=False).json()["payments"][payment]["refunds"]
    return [tuple(Decimal(each[name]) for name in ("amount", "taxFree", "vat")) for each in told]


def state(shop):
    return shop.rows("select state, last_error from effects")[0]


def test_a_mixed_order_that_is_canceled_tells_its_tax_free_part(shop, service, payment):
    service.capture(payment, "14000", "KRW", taxFree="4000")
    told = {"paymentId": payment, "amount": "14000", "currency": "KRW", "provider": service.provider}
    shop.tell(an_event("OrderCreated", "1", items=[TEA, BOOK], totalAmount="14000", paymentIds=[payment]))
    shop.tell(an_event("PaymentSucceeded", None, **told), an_event("OrderCanceled", "1"))
    run(shop, service)
    assert state(shop) == ("done", None)
    assert booked(service, payment) == [(14_000, 4_000, 0)]


def test_each_return_tells_what_of_its_lines_is_tax_free(shop, service, payment):
    sold(shop, service, payment)
    came_back(shop, "one", tea=1)
    run(shop, service)
    came_back(shop, "two", book=1)
    run(shop, service, HOUR)
    came_back(shop, "three", tea=1)
    run(shop, service, 2 * HOUR)
    assert booked(service, payment) == [(5_000, 0, 0), (4_000, 4_000, 0), (5_000, 0, 0)]


def test_a_refund_by_hand_counts_with_its_part(shop, service, payment):
    sold(shop, service, payment)
    path = f"{service.url}/_simulator/payments/{payment}/refunds"
    assert httpx.post(path, json={"amount": "4000", "taxFree": "4000"}, trust_env=False).is_success
    came_back(shop, "all", tea=2, book=1)
    run(shop, service)
    run(shop, service, HOUR)
    assert booked(service, payment) == [(4_000, 4_000, 0), (10_000, 0, 0)]


def test_an_attempt_that_is_repeated_tells_the_same_parts(shop, service, payment):
    """Another return is completed between the two: the same id goes out with the same body."""
    sold(shop, service, payment)
    came_back(shop, "one", tea=1)

    class Lost:
        rules = service.client.rules

        def refund(self, request):
            raise RefundUnknown("nothing went out, and nobody knows")

        def refunds(self, payment_id):
            return service.client.refunds(payment_id)

    run(shop, service, client=Lost())
    came_back(shop, "two", book=1)
    run(shop, service, HOUR)
    assert booked(service, payment) == [(5_000, 0, 0), (4_000, 4_000, 0)]


def test_tax_on_top_is_told_as_vat(shop, service, payment):
    sold(shop, service, payment, ({**TEA, "taxAmount": "1000"}, BOOK), taxAmount="1000")
    came_back(shop, "one", tea=1)
    run(shop, service)
    vat = 500 if service.provider == "portone" else 0  # Toss asks for none
    assert booked(service, payment) == [(5_500, 0, vat)]


def test_a_return_of_what_is_tax_free_alone_tells_no_vat(shop, service, payment):
    sold(shop, service, payment, ({**TEA, "taxAmount": "1000"}, BOOK), taxAmount="1000")
    came_back(shop, "one", book=1)
    run(shop, service)
    assert booked(service, payment) == [(4_000, 4_000, 0)]


def test_without_the_part_the_provider_refuses(shop, service, payment):
    """The simulators know the rule: a book that is told as taxed does not go back."""
    lines = (TEA, {name: value for name, value in BOOK.items() if name != "taxFree"})
    sold(shop, service, payment, lines)
    came_back(shop, "all", tea=2, book=1)
    run(shop, service)
    assert state(shop).state == "dead"
    assert booked(service, payment) == []
