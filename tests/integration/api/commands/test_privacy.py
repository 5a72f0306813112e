"""Privacy by the API: exported whole and erased, with the secret key alone; both stand in the audit."""

from __future__ import annotations

import pytest


@pytest.fixture
def shop(open_shop):
    return open_shop()


def test_a_customer_is_exported_and_erased(shop):
    order = shop.create(customer="c-42")
    exported = shop.ok("GET", "/api/customers/c-42/export")
    assert exported["orders"][0]["orderNumber"] == order["orderNumber"]
    assert exported["orders"][0]["customerSnapshot"]["name"] == "John Doe"
    done = shop.ok("POST", "/api/customers/c-42/erase", {"reason": "request 17"})["doc"]
    assert (done["orders"], done["keptAccounts"]) == (1, 0)
    assert "John Doe" not in str(shop.ok("GET", "/api/customers/c-42/export"))
    acts = [row[0] for row in shop.do("select action from audit where actor like 'api/%' order by id")]
    assert acts == ["look at personal data", "privacy erase", "look at personal data"]


def test_nobody_of_that_id_is_not_found_and_a_customer_may_not(shop):
    assert shop.call("GET", "/api/customers/c-1/export").status_code == 404
    assert shop.refused(404, "POST", "/api/customers/c-1/erase", {"reason": "r"})["name"] == "customer_unknown"
    shop.create(customer="c-42")
    assert shop.call("GET", "/api/customers/c-42/export", headers=shop.customer("c-42")).status_code == 403
