"""Changes are recorded with what changed: what is told, to whom, in which order, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import event as listening

from journal import change_capture
from outbound.webhooks import subscriptions
from queries.documents import join, maker, of_row
from queries.json_encoder import encode
from queries.schema import COLLECTIONS
from tests.builders import (
    ORDER,
    asked_back,
    boxed,
    created,
    delivered,
    later,
    paid,
    scan,
    shipped,
    told,
    tracked,
)
from tests.integration.outbound.webhooks.conftest import TellingShop

EVERYTHING = change_capture.COLLECTIONS
URL = "https://shop.example/hook"
SNAPSHOT = {"name": "Kim", "email": "kim@shop.example", "phone": "010"}


def recorded(shop: TellingShop) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in shop.rows("select collection, operation from deliveries order by number")]


def test_nobody_asks_and_nothing_is_done():
    nothing: Any = None
    change_capture.record(nothing, [nothing], frozenset(), datetime.now(UTC))


def test_an_order_appears_with_all_that_hangs_on_it(shop):
    shop.subscribe(URL, EVERYTHING)
    shop.tell(created())
    assert recorded(shop) == [("orders", "create"), ("order-items", "create"), ("transactions", "create")]


def test_what_moves_is_an_update_and_what_is_new_is_not(shop):
    shop.subscribe(URL, EVERYTHING)
    shop.tell(created())
    shop.do("delete from deliveries")
    shop.tell(paid())
    assert recorded(shop) == [
        ("orders", "update"),
        ("transactions", "update"),
        ("fulfillments", "create"),
        ("fulfillment-items", "create"),
    ]


def test_a_batch_tells_the_end_of_each_once(shop):
    shop.subscribe(URL, ["orders", "transactions"])
    shop.tell(created(), paid())
    rows = shop.rows("select collection, operation, document from deliveries order by number")
    assert [(row[0], row[1], row[2]["status"]) for row in rows] == [
        ("orders", "create", "preparing"),
        ("transactions", "create", "paid"),
    ]


def test_of_a_parcel_a_changed_status_or_estimate_is_told_and_not_every_scan(shop):
    """Ten scans: four change what is told. All of them are on the timeline, and the newest is what the query API shows."""
    shop.tell(created(), paid(), shipped(**tracked()))
    shop.subscribe(URL, EVERYTHING)
    hub: dict[str, Any] = {"at": later(hours=5), "estimatedDelivery": later(days=2).isoformat()}
    scans = [
        (scan("picked_up", at=later(hours=1)), True),
        (scan("in_transit", at=later(hours=2), location="Incheon"), True),
        (scan("in_transit", at=later(hours=3), location="Daejeon"), False),
        (scan("in_transit", at=later(hours=4), location="Busan", description="Arrived"), False),
        (scan("unknown", **hub), True),  # an estimate alone
        (scan("unknown", **hub | {"at": later(hours=6)}), False),  # told again
        (scan("in_transit", at=later(hours=7), location="Busan", estimatedDelivery=hub["estimatedDelivery"]), False),
        (scan("in_transit", at=later(hours=2, minutes=30)), False),  # late: something newer is known
        (scan("out_for_delivery", at=later(hours=8)), True),
        (scan("out_for_delivery", at=later(hours=9), location="Busan"), False),
    ]
    for event, is_told in scans:
        shop.do("delete from deliveries")
        shop.tell(event)
        found = shop.rows("select collection, document->>'trackingStatus' from deliveries")
        assert [row[0] for row in found] == (["orders", "fulfillments"] if is_told else []), event
    ((document,),) = shop.rows(
        "select jsonb_build_object('status', tracking_status, 'place', last_scan_location, 'estimate', estimated_delivery"
        " = cast(:estimate as timestamptz)) from fulfillments where tracking_number is not null",
        estimate=hub["estimatedDelivery"],
    )
    assert document == {"status": "out_for_delivery", "place": "Busan", "estimate": True}
    shop.do("delete from deliveries")
    shop.tell(scan("delivered", at=later(hours=10)))
    assert {row[0] for row in shop.rows("select collection from deliveries")} >= {"orders", "fulfillments"}

    assert shop.rows("select count(*) from journal where type = 'TrackingUpdated'")[0][0] == len(scans) + 1


def test_everything_of_a_life_is_told_as_its_row_stands(shop):
    """The last that was told of each document is the document that its row makes."""
    shop.subscribe(URL, EVERYTHING)
    for event in (
        created(customerSnapshot=SNAPSHOT, notes="ring twice", shippingAmount="500", discountAmount="500"),
        paid(),
        boxed(items={"mug": 1}),
        shipped(),
        shipped("box2", items={"mug": 1}),
        delivered(),
        delivered("box2"),
        asked_back(items={"mug": 1}, note="a crack"),
    ):
        shop.tell(event)
    plain = ("order-items", "transactions", "fulfillment-items", "return-items")
    told_of = {}
    for row in shop.rows("select collection, document from deliveries order by number"):
        told_of[row[0], row[1]["id"]] = row[1]
    seen = set()
    for collection in plain:
        for row in shop.rows(f"select * from {collection.replace('-', '_')}"):
            written = orjson.loads(encode(of_row(COLLECTIONS[collection], row)))
            assert told_of[collection, written["id"]] == written
            seen.add(collection)
    assert seen == set(plain)
    [order] = shop.rows("select * from orders")
    ids = {
        name: join([row[0] for row in shop.rows(f"select '{prefix}_' || replace(id::text, '-', '') from {sql}")])
        for name, prefix, sql in (
            ("products", "itm", "order_items order by position"),
            ("transactions", "txn", "transactions order by id"),
            ("fulfillments", "ful", "fulfillments order by id"),
            ("returns", "ret", "returns order by id"),
        )
    }
    ids["refunds"] = join([])
    written = orjson.loads(encode(maker(COLLECTIONS["orders"])(order, order, {}, ids)))
    assert told_of["orders", written["id"]] == written
    assert len(written["fulfillments"]["docs"]) == 2
    for row in shop.rows("select * from fulfillments"):
        written = orjson.loads(encode(of_row(COLLECTIONS["fulfillments"], row)))
        of_it = told_of["fulfillments", written["id"]]
        items = of_it.pop("items")["docs"]
        assert of_it == written
        own = shop.rows(
            "select 'fit_' || replace(id::text, '-', '') from fulfillment_items where fulfillment_id = :id order by id",
            id=row.id,
        )
        assert items == [each[0] for each in own]
    for row in shop.rows("select * from returns"):
        written = orjson.loads(encode(maker(COLLECTIONS["returns"])(row, row, {}, {})))
        of_it = told_of["returns", written["id"]]
        assert len(of_it.pop("items")["docs"]) == 1
        assert of_it == written


def test_money_is_an_exact_number_and_times_are_of_the_api(shop):
    shop.subscribe(URL, ["order-items"])
    shop.tell(
        told(
            "OrderCreated",
            items=[{"item": "a", "product": "p", "quantity": 3, "unitPrice": "0.10"}],
            totalAmount="0.30",
            currency="USD",
        )
    )
    [(document,)] = shop.rows("select cast(document as text) from deliveries")
    assert '"unitPrice": 0.10' in document
    assert '"totalPrice": 0.30' in document
    [(created_at,)] = shop.rows("select created_at from order_items")
    assert orjson.loads(document)["createdAt"] == created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_personal_fields_are_not_kept(shop):
    shop.subscribe(URL, ["orders", "returns"])
    shop.tell(created(customerSnapshot=SNAPSHOT, notes="ring twice"))
    [row] = shop.rows("select * from deliveries")
    assert row.personal_id is not None
    assert row.document["customerSnapshot"] is None
    assert "Kim" not in str(row.document)


def test_a_hidden_order_is_told_when_it_is_created(shop):
    shop.subscribe(URL, EVERYTHING)
    shop.tell(told("OrderConfirmed"))
    assert shop.rows("select status from orders") == [("new",)]
    assert recorded(shop) == []
    shop.tell(created())
    assert recorded(shop)[0] == ("orders", "create")


def test_history_is_told_to_nobody(shop):
    shop.subscribe(URL, EVERYTHING)
    shop.tell(created(), paid(), held=True)
    assert shop.rows("select status from orders") == [("preparing",)]
    assert recorded(shop) == []


def test_each_is_told_what_it_asked_for(shop):
    only_new, _ = shop.subscribe(URL, ["orders"], ["create"])
    money, _ = shop.subscribe(URL, ["transactions"])
    silent, _ = shop.subscribe(URL)
    with shop.engine.begin() as conn:
        subscriptions.disable(conn, silent.id, "test")
    for event in (created(), paid()):
        shop.tell(event)
    rows = shop.rows("select subscription_id, collection, operation from deliveries order by number")
    assert [tuple(row) for row in rows] == [
        (only_new.id, "orders", "create"),
        (money.id, "transactions", "create"),
        (money.id, "transactions", "update"),
    ]


def test_a_plan_that_parcels_take_over_is_told_through_its_order(shop):
    shop.subscribe(URL, ["orders", "fulfillments", "fulfillment-items"])
    shop.tell(created(), paid())
    shop.do("delete from deliveries")
    shop.tell(shipped(items={"mug": 1}))
    rows = {
        row[0]: row[2] for row in shop.rows("select collection, operation, document from deliveries order by number")
    }
    shop.do("delete from deliveries")
    assert len(rows["orders"]["fulfillments"]["docs"]) == 2
    shop.tell(shipped("rest", items={"mug": 1}))
    rows = shop.rows("select collection, operation, document from deliveries order by number")
    assert (rows[0][0], rows[0][1]) == ("orders", "update")
    named = set(rows[0][2]["fulfillments"]["docs"])
    stored = {f"ful_{row[0].replace('-', '')}" for row in shop.rows("select id from fulfillments")}
    assert named == stored


def test_many_orders_cost_two_statements(shop):
    numbers = 40
    shop.subscribe(URL, EVERYTHING)
    seen: list[str] = []
    listening.listen(shop.engine, "before_cursor_execute", lambda *told: seen.append(told[2]))
    lines = [{"item": "a", "product": "p", "quantity": 1, "unitPrice": "1"}]
    shop.tell(*(told("OrderCreated", subject=f"{ORDER}-{n}", items=lines, totalAmount="1") for n in range(numbers)))
    drains = sum("insert into results" in each for each in seen)
    assert sum("insert into deliveries" in each for each in seen) == drains
    assert sum("union all select id, created_at" in each for each in seen) == drains
    assert len(recorded(shop)) == 2 * numbers
    ids = shop.rows("select id, number from deliveries order by number")
    assert {row[0][14] for row in ids} == {"7"}, "ids are UUIDv7"
