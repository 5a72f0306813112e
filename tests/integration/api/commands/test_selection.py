"""Bulk updates choose their orders by `where`, and Payload's `limit` and `sort`."""

from __future__ import annotations


def test_a_limit_takes_the_first_of_the_sort(shop):
    for number in ("s1", "s2", "s3"):
        shop.create(orderNumber=number)
    path = "/api/orders?where[orderNumber][in]=s1,s2,s3"
    told = shop.ok("PATCH", f"{path}&limit=1&sort=-orderNumber", {"status": "canceled"})
    assert [doc["orderNumber"] for doc in told["docs"]] == ["s3"]
    rest = shop.ok("PATCH", f"{path}&where[status][equals]=pending&limit=0", {"status": "canceled"})
    assert {doc["orderNumber"] for doc in rest["docs"]} == {"s1", "s2"}


def test_without_a_limit_all_of_them_move(shop):
    made = {shop.create(customer="many")["id"] for _ in range(12)}  # more than a page
    told = shop.ok("PATCH", "/api/orders?where[customer][equals]=many", {"status": "canceled"})
    assert {doc["id"] for doc in told["docs"]} == made


def test_a_limit_that_is_none_moves_nothing(shop):
    shop.create(orderNumber="s1")
    error = shop.refused(400, "PATCH", "/api/orders?where[orderNumber][equals]=s1&limit=-1", {"status": "canceled"})
    assert error["data"]["errors"][0]["path"] == "limit"
