"""Traces over real processes: a signed webhook, and all that comes of it, is one trace; a collector that is away costs nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from cli.processes import Processes, start_workers
from outbound.webhooks import subscriptions
from storage.clock import clock
from tests.collector import SOON_S, Told, collecting
from tests.integration.outbound.webhooks.conftest import receiving
from tests.simulators import AShop, a_paid_order, a_shop, an_event, asked_at, running
from tests.webhooks import STANDARD, as_standard

CALLER = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
TRACEPARENT = f"00-{CALLER[0]}-{CALLER[1]}-01"


@contextmanager
def whole_shop(data: Path, database_url: str, redis_url: str, **settings: str) -> Iterator[str]:
    """The API, the workers and the beat, as processes of their own; the API's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ORDERS_DATA": str(data),
        "ORDERS_STANDARD_SECRETS": STANDARD,
        "ORDERS_WEBHOOKS_ALLOW_PRIVATE": "on",
        **settings,
    }
    with Processes(data) as children:
        start_workers(children, 1, **environment)
        children.start("api", "cli", "api", "--port", str(port), **environment)
        url = f"http://127.0.0.1:{port}"
        until = monotonic() + SOON_S
        while not _answers(url):
            assert monotonic() < until, children.log("api").read_text()
            sleep(0.1)
        yield url


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def shop(database_url: str, redis_url: str) -> Iterator[AShop]:
    with a_shop(database_url, redis_url) as found:
        yield found


def pays_for_a_canceled_order(shop: AShop, api: str, number: str, **headers: str) -> None:
    """Money comes in for an order that was canceled: it goes back."""
    created, paid = a_paid_order(number, 12_000)
    shop.tell(created, an_event("OrderCanceled", number))
    body, signed = as_standard(paid.as_document())
    answer = httpx.post(f"{api}/webhooks/payments/standard", content=body, headers=signed | headers, trust_env=False)
    assert answer.status_code == 202, answer.text


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_webhook_and_all_that_comes_of_it_are_one_trace(shop, database_url, redis_url, tmp_path):
    with collecting() as collector, receiving() as receiver, running("standard") as (_, provider):
        with shop.engine.begin() as conn:
            subscriptions.add(conn, receiver.url, ("transactions",), ("create", "update"), "test", clock())
        capture = f"{provider}/_simulator/payments/pay-1"
        httpx.put(capture, json={"amount": "12000", "currency": "KRW"}, trust_env=False).raise_for_status()
        settings = {**asked_at("standard", provider), **collector.environment()}
        with whole_shop(tmp_path, database_url, redis_url, **settings) as api:
            pays_for_a_canceled_order(shop, api, "1", traceparent=TRACEPARENT)

            def ours(spans: list[Told]) -> dict[str, Told]:
                return {each.name: each for each in reversed(spans) if each.trace == CALLER[0]}

            wanted = {"drain batch", "refund attempt", "webhook delivery"}
            collector.wait(lambda spans: ours(spans).keys() >= wanted)
        spans = ours(collector.spans)  # what waited was sent when the processes ended

    request, batch = spans["POST /webhooks/payments/{provider}"], spans["drain batch"]
    assert (request.parent, request.kind, request.service) == (CALLER[1], "SERVER", "orders-api")
    assert request.attributes["http.response.status_code"] == 202
    assert f'"trace_id":"{CALLER[0]}"' in (tmp_path / "api.log").read_text()
    line = ("webhook receipt", "webhooks commit", "journal append", "drain batch", "refund attempt")
    for name, parent in zip(line, (request, *(spans[name] for name in line)), strict=False):
        assert spans[name].parent == parent.id, name
    assert (batch.kind, batch.service) == ("CONSUMER", "orders-drain")
    assert (CALLER[0], spans["journal append"].id) in batch.links
    refund, delivery = spans["refund attempt"], spans["webhook delivery"]
    assert (refund.kind, refund.service) == ("CLIENT", "orders-outside")
    assert (refund.attributes["orders.provider"], refund.attributes["orders.outcome"]) == ("standard", "done")
    rounds = {(each.trace, each.id): each.name for each in collector.spans if each.name.startswith("orders.")}
    assert [rounds.get(link) for link in refund.links] == ["orders.effects:standard"]
    assert delivery.attributes["orders.outcome"] == "taken"
    sent = {post.headers["traceparent"] for post in receiver.posts}
    assert f"00-{CALLER[0]}-{delivery.id}-01" in sent
    assert not {"orders.relay", "orders.timers"} & set(rounds.values())  # rounds that came to nothing are not told


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_collector_that_is_away_holds_nothing_up(shop, database_url, redis_url, tmp_path):
    pytest.importorskip("opentelemetry.sdk.trace", reason="needs the extra: pip install -e '.[tracing]'")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:  # takes connections, and never answers
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_MAX_QUEUE_SIZE": "8"}
        settings |= {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8", "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with whole_shop(tmp_path, database_url, redis_url, **settings) as api:
            for number in range(30):  # several times the queue
                pays_for_a_canceled_order(shop, api, str(number))
            until = monotonic() + SOON_S
            while shop.rows("select count(*) from effects")[0][0] < 30:
                assert monotonic() < until
                sleep(0.1)
