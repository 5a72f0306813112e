"""`overdue` in a where of refunds: by the legal clock, alone and among other conditions."""

from __future__ import annotations

import pytest

from tests.integration.api.commands.conftest import Shop


@pytest.fixture
def shop(database_url, redis_url):
    made = Shop(database_url, redis_url, ORDERS_REFUND_WITHIN="2d")
    yield made
    made.close()


@pytest.fixture
def refunds(shop):
    """Three that are due: since now, since three days, and since three days of an order that came as history."""
    for _ in range(3):
        order = shop.paid()
        shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    now, late, history = (row[0] for row in shop.do("select refund_id from effects order by id"))
    shop.do("update effects set due_since = now() - interval '3 days' where refund_id <> :now", now=now)
    shop.do("update effects set state = 'held' where refund_id = :history", history=history)
    return [f"rfd_{each.replace('-', '')}" for each in (now, late, history)]


def found(shop, where):
    answer = shop.ok("GET", f"/api/refunds?{where}")
    assert shop.ok("GET", f"/api/refunds/count?{where}")["totalDocs"] == answer["totalDocs"]
    return {doc["id"] for doc in answer["docs"]}


def test_those_that_are_late_and_all_others(shop, refunds):
    now, late, history = refunds
    assert found(shop, "where[overdue][equals]=true") == {late}
    assert found(shop, "where[overdue][equals]=false") == {now, history}
    assert found(shop, "where[or][0][overdue][equals]=true&where[or][1][waitsFor][equals]=nobody") == {late, history}
    (doc,) = shop.ok("GET", "/api/refunds?where[overdue][equals]=true")["docs"]
    assert doc["dueSince"] is not None


@pytest.mark.parametrize("where", ["where[overdue][equals]=maybe", "where[overdue][exists]=true"])
def test_what_it_does_not_take_is_refused(shop, where):
    error = shop.refused(400, "GET", f"/api/refunds?{where}")
    assert "takes equals with true or false alone" in str(error)


def test_other_collections_have_no_such_field(shop):
    assert "overdue" in str(shop.refused(400, "GET", "/api/orders?where[overdue][equals]=true"))


def test_where_the_clock_is_off_nothing_can_be_overdue(database_url, redis_url):
    off = Shop(database_url, redis_url, ORDERS_REFUND_WITHIN="off")
    try:
        error = off.refused(400, "GET", "/api/refunds?where[overdue][equals]=true")
        assert "ORDERS_REFUND_WITHIN is off" in str(error)
    finally:
        off.close()
