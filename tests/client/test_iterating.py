"""Every document page by page, while documents come, go and change."""

from __future__ import annotations

import pytest

from tests.client.test_snippets import an_order

PENDING = {"status": {"equals": "pending"}}


@pytest.mark.parametrize(
    "where", [PENDING, {"and": [PENDING]}, {"or": [PENDING, {"notes": {"equals": "x"}}]}, {"and": [], **PENDING}]
)
def test_what_stops_matching_on_the_way_hides_no_other(client, where):
    orders = [an_order(client).id for _ in range(5)]
    seen: list[str] = []
    for order in client.from_("orders").iterate(where=where, page_size=2):
        seen.append(order.id)
        client.api.update_order(order.id, status="canceled")
    assert seen == orders
    assert list(client.from_("orders").iterate(where=where)) == []


@pytest.mark.parametrize("sort", ["id", ["id"], ("id",)])
def test_by_id_each_comes_once_however_that_is_written(client, sort):
    orders = [an_order(client).id for _ in range(5)]
    seen: list[str] = []
    for order in client.from_("orders").iterate(where=PENDING, sort=sort, page_size=2):
        seen.append(order.id)
        client.api.update_order(order.id, status="canceled")
    assert seen == orders


@pytest.mark.parametrize("where", [None, {}])
def test_what_is_created_on_the_way_comes_last(client, where):
    orders = [an_order(client).id for _ in range(3)]
    seen: list[str] = []
    for order in client.from_("orders").iterate(where=where, page_size=1, select={"order_number": True}):
        if not seen:
            orders.append(an_order(client).id)
        seen.append(order.id)
    assert seen == orders


@pytest.mark.parametrize("size", [0, 1, 2, 3, 100])
def test_the_catalogue_is_gone_through_by_ids_of_the_shops_own(client, size):
    ids = {"b", "B", "a/b", "10", "9", "é"}
    client.api.put_products([{"id": id, "title": id} for id in ids])
    found = [product.id for product in client.from_("products").iterate(page_size=size)]
    assert len(found) == len(ids)
    assert set(found) == ids


def test_another_order_is_gone_through_page_by_page(client):
    orders = [an_order(client).id for _ in range(3)]
    found = [order.id for order in client.from_("orders").iterate(sort="-created_at", page_size=2)]
    assert found == orders[::-1]
