"""The routes over HTTP: who may ask, what is answered, one instant an answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from api.app import create_app
from api.query import read_endpoints
from api.resources import open_doors
from events.envelope import Envelope
from journal.append import append
from queries import repository
from queries.schema import ALIASES, COLLECTIONS
from settings.environment import read
from storage import keys
from tests.builders import CARRIER, asked_back, created, later, line, paid, shipped, told
from workers.resources import parts

CUSTOMER = {"name": "Kim Da-eun", "email": "kim@example.com", "phone": "010-1234-5678"}


@dataclass
class Asking:
    """A client with a secret key, and one with a customer's token."""

    client: TestClient
    shop: dict[str, str]
    app: Any
    engine: Any

    def get(self, path: str, customer: str | None = None, **options: Any) -> Any:
        headers = self.shop if customer is None else self.of(customer)
        return self.client.get(path, headers=headers, **options)

    def docs(self, path: str, customer: str | None = None) -> list[dict[str, Any]]:
        answer = self.get(path, customer)
        assert answer.status_code == 200, answer.text
        return answer.json()["docs"]

    def key(self, kind: keys.Kind) -> dict[str, str]:
        with self.engine.begin() as conn:
            return {"Authorization": f"Bearer {keys.add(conn, kind, None, 'test', datetime.now(UTC))[0]}"}

    def of(self, customer: str) -> dict[str, str]:
        token = self.client.post(f"/api/customers/{customer}/token", headers=self.shop).json()["token"]
        return {**self.key("publishable"), "X-Customer-Token": token}


def stories() -> list[Envelope]:
    """N1 of customer c-1: paid, one of two lines shipped, a return asked for; N2 of customer c-2: pending."""
    mug, pot = line("mug", 2), line("pot", 1, 9_000)
    return [
        created(mug, pot, subject="N1", customer="c-1", customerSnapshot=CUSTOMER, payments=("p1",)),
        paid(19_000, "p1", subject="N1", provider="stripe", at=later(hours=1)),
        shipped("one", {"mug": 2}, subject="N1", carrier=CARRIER, trackingNumber="T1", at=later(hours=2)),
        told("FulfillmentDelivered", subject="N1", fulfillment="one", at=later(hours=3)),
        asked_back("back", {"mug": 1}, subject="N1", at=later(hours=5), note="chipped"),
        created(line("mug"), subject="N2", customer="c-2", payments=("p2",), at=later(hours=1)),
        paid(5_000, "p3", subject="N3"),  # its order has not come: hidden
    ]


@pytest.fixture
def asking(database_url: str, redis_url: str) -> Iterator[Asking]:
    secret = "a-secret-of-more-than-32-characters"
    told_settings = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "ORDERS_TOKEN_SECRET": secret}
    settings = read(told_settings, Path("/nonexistent"))
    with parts(settings, lambda shard: None) as opened:
        drain = opened.drain()
        for envelope in stories():
            with opened.engine.begin() as conn:
                appended = append(conn, [envelope], opened.shop.shards)
            opened.streams.publish(appended.new)
            for shard in opened.streams.look().waiting():
                drain.answer(shard)
    doors = open_doors(settings)
    app = create_app(doors)
    with TestClient(app, raise_server_exceptions=False) as client:
        made = Asking(client, {}, app, doors.engine)
        made.shop = made.key("secret")
        yield made


def test_the_guides_queries(asking):
    mine = "where[customer][equals]=c-1&sort=-createdAt&limit=10"
    [order] = asking.docs(f"/api/orders?{mine}")
    assert (order["orderNumber"], order["customerSnapshot"]) == ("N1", CUSTOMER)
    assert order["createdAt"] == "2026-11-01T00:00:00.000Z"
    assert asking.get(f"/api/orders?{mine}").headers["content-type"] == "application/json"
    detail = asking.get(f"/api/orders/{order['id']}?depth=1").json()
    assert [item["totalPrice"] for item in detail["products"]["docs"]] == [10_000, 9_000]
    items = asking.docs(f"/api/order-items?where[order][equals]={order['id']}&depth=1")
    assert [item["product"] for item in items] == ["product of mug", "product of pot"]
    assert items[0]["order"]["orderNumber"] == "N1"
    [payment] = asking.docs(f"/api/transactions?where[order][equals]={order['id']}")
    assert (payment["status"], payment["amount"], payment["provider"]) == ("paid", 19_000, "stripe")
    [parcel] = asking.docs("/api/fulfillments?where[trackingNumber][equals]=T1")
    assert (parcel["carrier"], parcel["status"]) == (CARRIER, "delivered")
    [share] = asking.docs(f"/api/fulfillment-items?where[fulfillment][equals]={parcel['id']}&depth=1")
    assert (share["orderItem"]["reference"], share["fulfillment"]["carrier"]) == ("mug", CARRIER)
    [back] = asking.docs(f"/api/returns?where[order][equals]={order['id']}")
    assert (back["reason"], back["note"]) == ("other", "chipped")
    [came] = asking.docs(f"/api/return-products?where[return][equals]={back['id']}&depth=1")
    assert came["return"]["reference"] == "back"


def test_a_hidden_order_is_not_there(asking):
    assert asking.get("/api/orders/count").json() == {"totalDocs": 2}
    assert asking.get("/api/orders/by-number/N3").status_code == 404


def test_an_order_by_its_number(asking):
    order = asking.get("/api/orders/by-number/N1?depth=1&joins[returns]=false").json()
    assert (order["orderNumber"], "returns" in order, len(order["products"]["docs"])) == ("N1", False, 2)
    assert asking.get("/api/orders/by-number/N1", "c-1").status_code == 200
    for number in ("N9", "%00", "x" * 3_000):
        answer = asking.get(f"/api/orders/by-number/{number}")
        assert (answer.status_code, answer.json()) == (404, {"errors": [{"message": "Not Found"}]})
    assert asking.get("/api/orders/by-number/N1", "c-2").status_code == 404


def test_every_collection_is_served(asking):
    for name in (*COLLECTIONS, *ALIASES):
        assert asking.get(f"/api/{name}").json()["limit"] == 10
        assert asking.get(f"/api/{name}/count").json().keys() == {"totalDocs"}
        assert asking.get(f"/api/{name}/nothing").status_code == 404
        assert asking.get(f"/api/{name}?where[x][equals]=1").status_code == 400


def test_the_timeline_is_paged_newest_last(asking):
    id = asking.docs("/api/orders?where[orderNumber][equals]=N1")[0]["id"]
    whole = asking.get(f"/api/orders/{id}/timeline?limit=0").json()
    types = [entry["type"] for entry in whole["docs"]]
    assert types[0] == "OrderCreated"
    assert types.index("FulfillmentShipped") < types.index("FulfillmentDelivered") < types.index("ReturnRequested")
    assert whole["totalDocs"] == len(types)
    second = asking.get(f"/api/orders/{id}/timeline?limit=2&page=2").json()
    assert [entry["type"] for entry in second["docs"]] == types[2:4]
    assert (second["pagingCounter"], second["hasPrevPage"], second["hasNextPage"]) == (3, True, True)
    assert {"data", "detail"} <= whole["docs"][0].keys()


def test_a_timeline_that_is_too_long_for_one_answer_is_paged(asking, monkeypatch):
    id = asking.docs("/api/orders?where[orderNumber][equals]=N1")[0]["id"]
    total = asking.get(f"/api/orders/{id}/timeline").json()["totalDocs"]
    monkeypatch.setattr(read_endpoints, "MOST_ALL", total)
    assert len(asking.docs(f"/api/orders/{id}/timeline?limit=0")) == total
    monkeypatch.setattr(read_endpoints, "MOST_ALL", total - 1)
    refused = asking.get(f"/api/orders/{id}/timeline?limit=0")
    assert refused.status_code == 400
    assert "page=2" in refused.json()["errors"][0]["message"]
    assert len(asking.docs(f"/api/orders/{id}/timeline?limit={total}")) == total


def test_a_customer_reads_the_timeline_of_their_own_without_bodies(asking):
    id = asking.docs("/api/orders?where[orderNumber][equals]=N1")[0]["id"]
    entries = asking.docs(f"/api/orders/{id}/timeline", "c-1")
    assert entries
    assert not any({"data", "detail"} & entry.keys() for entry in entries)
    assert asking.get(f"/api/orders/{id}/timeline", "c-2").status_code == 404
    assert asking.get("/api/orders/ord_nothing/timeline").status_code == 404


def test_who_may_ask(asking):
    assert asking.client.get("/api/orders").status_code == 401
    assert asking.client.get("/api/orders", headers=asking.key("publishable")).status_code == 403
    assert [order["orderNumber"] for order in asking.docs("/api/orders", "c-1")] == ["N1"]
    assert asking.docs("/api/order-items", "c-3") == []
    another = asking.docs("/api/orders?where[orderNumber][equals]=N2")[0]["id"]
    assert asking.get(f"/api/orders/{another}", "c-1").json() == {"errors": [{"message": "Not Found"}]}
    assert asking.get("/api/orders/count", "c-1").json() == {"totalDocs": 1}


def test_what_is_wrong_is_a_400_that_names_it(asking):
    answer = asking.get("/api/orders?where[totalAmount][equals]=abc&limit=5")
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["name"]) == (400, "ValidationError")
    assert [fault["path"] for fault in error["data"]["errors"]] == ["totalAmount"]
    assert asking.get("/api/orders?limit=5000").json()["errors"][0]["data"]["errors"][0]["path"] == "limit"


def test_a_long_query_by_post(asking):
    ids = [doc["id"] for doc in asking.docs("/api/orders")]
    body = "&".join(f"where[id][in][{at}]={id}" for at, id in enumerate([*ids, *(["ord_" + "0" * 32] * 900)]))
    headers = {**asking.shop, "X-Payload-HTTP-Method-Override": "GET", "Content-Type": "application/x-www-form-urlencoded"}  # fmt: skip
    answer = asking.client.post("/api/orders", headers=headers, content=body)
    assert answer.status_code == 200, answer.text
    assert {doc["id"] for doc in answer.json()["docs"]} == set(ids)


def test_an_answer_is_of_one_instant(asking, monkeypatch):
    """Commits of others between two statements of an answer do not show in it."""
    count = repository._count

    def late(conn, *rest):
        with asking.engine.begin() as other:
            other.execute(text("update orders set placed_at = placed_at + interval '1 day', customer = 'c-9'"))
        return count(conn, *rest)

    monkeypatch.setattr(repository, "_count", late)
    found = asking.get("/api/orders?where[customer][in]=c-1,c-2&limit=1").json()
    assert (len(found["docs"]), found["totalDocs"]) == (1, 2)
    assert asking.docs("/api/orders?where[customer][in]=c-1,c-2&limit=0") == []


def test_the_description_names_every_operation(asking):
    document = asking.app.openapi()
    operations = {each["get"]["operationId"]: each["get"] for path, each in document["paths"].items() if "get" in each}
    for name in COLLECTIONS:
        words = "".join(part.capitalize() for part in name.split("-"))
        for id in (f"find{words}", f"count{words}", f"find{words}ById"):
            assert operations[id]["summary"]
            assert operations[id]["security"]
            assert operations[id]["responses"]["400"]["$ref"].endswith("/BadRequest")
    assert {"findOrderByNumber", "findOrderTimeline"} <= operations.keys()
    names = [each["name"] for each in operations["findOrders"]["parameters"]]
    assert names == ["where", "sort", "limit", "page", "pagination", "depth", "select", "joins"]
