"""Names of the shop's own travel whole, whatever stands in them: through the client, the server and the routes."""

from __future__ import annotations

import httpx
import pytest

from order_lifecycle_client import NotFound, create_client
from tests.client.test_snippets import an_order

NAMES = ["a/b", "/a//b/", "a/token", "a/count", "by-number/x", "%2F", "a b?c#d&e", "é/ü"]


@pytest.mark.parametrize("name", NAMES)
def test_an_order_is_found_by_its_number(client, name):
    order = an_order(client, order_number=name)
    assert client.api.get_order(name).id == order.id
    with pytest.raises(NotFound):
        client.api.get_order(f"{name}/x")


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_of_the_catalogue_is_told_and_found_by_its_id(client, name):
    client.api.put_product(name, title="A")
    client.api.put_product_variant(name, product=name, title="B")
    client.api.put_product_option(name, variant=name, title="C")
    for collection, title in (("products", "A"), ("product-variants", "B"), ("product-options", "C")):
        found = client.from_(collection).find_by_id(name)
        assert (found.id, found.title) == (name, title)
        assert client.from_(collection).count() == 1
        with pytest.raises(NotFound):
            client.from_(collection).find_by_id(f"{name}/x")


@pytest.mark.parametrize("name", NAMES)
def test_a_customer_gets_a_token_of_their_own(client, shop, name):
    order = an_order(client, customer=name)
    an_order(client, customer="another")
    token = client.api.customer_token(name).token
    with create_client(publishable_key=shop.publishable_key, customer_token=token, base_url=shop.url) as page:
        assert [each.id for each in page.from_("orders").find().docs] == [order.id]


def test_no_name_is_none(shop):
    """A slash at the end of a collection leads to the collection, as it does everywhere."""
    headers = {"Authorization": f"Bearer {shop.secret_key}"}
    answer = httpx.get(f"{shop.url}/api/products/", headers=headers, follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/api/products")
