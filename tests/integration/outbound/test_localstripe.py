"""Refunds through localstripe, a Stripe for tests that nobody here wrote: in a process of its own, by Stripe's own library.

It knows no idempotency keys, so that what is not doubled here is not doubled because the provider is asked first. It sends
webhooks of customers and balances, and none of refunds.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from outbound import refunds
from outbound.refund_attempt import Refunder
from providers.base import RefundUnknown
from providers.payments import stripe
from providers.payments.stripe_api import StripeApi
from tests.simulators import SHARDS, AShop, a_shop, an_event

pytest.importorskip("localstripe", reason="the extra `localstripe` is not installed")

KEY, SECRET = "sk_test_12345", "whsec_localstripe"
READY_S = 60.0
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def localstripe(tmp_path_factory) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"]
    log = (tmp_path_factory.mktemp("localstripe") / "log").open("wb")
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                httpx.get(url, trust_env=False)
                break
            time.sleep(0.1)
        yield url
        process.kill()  # asked to end, it waits a minute for connections that are kept open


@pytest.fixture
def shop(database_url: str, redis_url: str) -> Iterator[AShop]:
    with a_shop(database_url, redis_url) as shop:
        yield shop


def post(base: str, path: str, **form: str) -> Any:
    answer = httpx.post(f"{base}{path}", data=form, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json() if answer.content else None


def a_captured_charge(url: str, units: int) -> str:
    """A customer's card is charged: held first, then captured in full."""
    card = {"card[number]": "4242424242424242", "card[exp_month]": "12", "card[exp_year]": "2030", "card[cvc]": "123"}
    token = post(url, "/v1/tokens", **card)
    customer = post(url, "/v1/customers", source=token["id"])
    held = post(url, "/v1/charges", amount=str(units), currency="usd", customer=customer["id"], capture="false")
    captured = post(url, f"/v1/charges/{held['id']}/capture")
    assert captured["captured"] is True
    return str(captured["id"])


def an_order(shop: AShop, number: str, payment: str, *, total: str, paid: str) -> None:
    item = {"item": "a", "product": "tea", "quantity": 1, "unitPrice": total}
    money = {"amount": paid, "currency": "USD", "provider": "stripe"}
    shop.tell(
        an_event("OrderCreated", number, items=[item], totalAmount=total, currency="USD", paymentIds=[payment]),
        an_event("PaymentSucceeded", None, paymentId=payment, **money),
    )


def run(shop: AShop, client: Any, later: timedelta = timedelta(0)) -> None:
    refunds.run_due(shop.engine, shop.streams, SHARDS, Refunder("stripe", client), datetime.now(UTC) + later)
    shop.work()


def amounts(url: str, charge: str) -> list[int]:
    query = {"charge": charge, "limit": "100"}
    found = httpx.get(f"{url}/v1/refunds", params=query, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)
    return sorted(each["amount"] for each in found.json()["data"])


def test_a_part_goes_back_then_the_rest(localstripe, shop):
    charge = a_captured_charge(localstripe, 1250)
    client = StripeApi(localstripe, KEY)
    paid = client.ask("", datetime.now(UTC), {"paymentId": charge})
    assert (str(paid.captured), paid.currency, paid.refunded) == ("12.50", "USD", None)
    an_order(shop, "L1", charge, total="10.00", paid="12.50")  # 2.50 were paid too much
    run(shop, client)
    assert amounts(localstripe, charge) == [250]
    shop.tell(an_event("OrderCanceled", "L1"))
    run(shop, client)
    assert amounts(localstripe, charge) == [250, 1000]
    assert [each.status for each in client.refunds(charge)] == ["succeeded", "succeeded"]
    (transaction,) = shop.rows("select status, refunded_amount from transactions")
    assert (transaction.status, transaction.refunded_amount) == ("canceled", Decimal("12.50"))
    standing = client.ask("", datetime.now(UTC), {"paymentId": charge})
    assert str(standing.refunded) == "12.50"


class LosesTheAnswer:
    """Stripe's client, whose first refund is made without our hearing of it."""

    def __init__(self, real: StripeApi) -> None:
        self._real, self.rules = real, real.rules
        self.ids: list[str] = []

    def refund(self, request: Any) -> Any:
        self.ids.append(request.id)
        made = self._real.refund(request)
        if len(self.ids) == 1:
            raise RefundUnknown("the line broke")
        return made

    def refunds(self, payment_id: str) -> Any:
        return self._real.refunds(payment_id)


def test_one_whose_answer_was_lost_goes_back_once(localstripe, shop):
    charge = a_captured_charge(localstripe, 700)
    client = LosesTheAnswer(StripeApi(localstripe, KEY))
    an_order(shop, "L2", charge, total="7.00", paid="7.00")
    shop.tell(an_event("OrderCanceled", "L2"))
    run(shop, client)
    run(shop, client, HOUR)
    assert len(client.ids) == 1, "found by its id, and not asked for again"
    assert amounts(localstripe, charge) == [700]
    assert shop.rows("select state from effects") == [("done",)]


def test_its_webhooks_are_believed(localstripe):
    taken: list[tuple[bytes, dict[str, str]]] = []
    there = threading.Event()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((body, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(200)
            self.end_headers()
            there.set()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as door:
        threading.Thread(target=door.serve_forever, daemon=True).start()
        post(localstripe, "/_config/webhooks/ours", url=f"http://127.0.0.1:{door.server_port}/", secret=SECRET)
        post(localstripe, "/v1/customers", description="tea")
        assert there.wait(30)
        door.shutdown()
    body, headers = taken[0]
    received = stripe.receive(body, headers, (SECRET,), datetime.now(UTC))
    assert received.envelope.type.startswith("stripe.")
