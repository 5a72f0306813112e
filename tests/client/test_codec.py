"""The encoding of what goes over the wire, without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, parse_qsl

import pytest

from order_lifecycle_client import Order, OrderItem, generate_order_number
from order_lifecycle_client.client_factory import host_of
from order_lifecycle_client.codec import decode, encode, query_string, segment
from order_lifecycle_client.retry_policy import partial
from queries.querystring import tree


def test_keys_become_camel_case_however_deep_and_values_stay():
    body = {"order_products": [{"unit_price": Decimal("1.50"), "product": "a_b"}], "shippingAddress": {"address1": "x"}}
    assert (
        encode(body) == b'{"orderProducts":[{"unitPrice":"1.50","product":"a_b"}],"shippingAddress":{"address1":"x"}}'
    )


def test_numbers_are_read_with_their_own_digits():
    assert decode(b'{"a": 0.10, "b": 12345678901234567890.123456789}') == {
        "a": Decimal("0.10"),
        "b": Decimal("12345678901234567890.123456789"),
    }


def test_what_has_no_json_form_is_refused():
    with pytest.raises(TypeError, match="set has no JSON form"):
        encode({"a": {1}})


def test_a_where_travels_as_json_with_its_operators_as_they_are():
    where = {
        "or": [
            {"order.order_number": {"not_in": []}},
            {"createdAt": {"greater_than_equal": datetime(2026, 1, 2, tzinfo=UTC)}},
        ],
        "total_amount": {"equals": None},
    }
    told = parse_qs(query_string(where=where))["where"][0]
    assert decode(told.encode()) == {
        "or": [
            {"order.orderNumber": {"not_in": []}},
            {"createdAt": {"greater_than_equal": "2026-01-02T00:00:00+00:00"}},
        ],
        "totalAmount": {"equals": None},
    }


def test_the_rest_of_a_query_is_bracketed_as_the_api_reads_it():
    query = query_string(
        sort="-created_at,orderNumber",
        limit=0,
        select={"customer_snapshot.name": True},
        joins={
            "products": {"limit": 5, "sort": "-unit_price", "where": {"unit_price": {"equals": 1}}},
            "returns": False,
        },
    )
    found = tree(query, {"sort", "limit", "select", "joins", "where"})
    assert found == {
        "sort": "-createdAt,orderNumber",
        "limit": "0",
        "select": {"customerSnapshot.name": "true"},
        "joins": {
            "products": {"limit": "5", "sort": "-unitPrice", "where": '{"unitPrice":{"equals":1}}'},
            "returns": "false",
        },
    }
    assert parse_qsl(query_string(joins=False)) == [("joins", "false")]
    assert query_string() == ""


def test_an_id_is_one_part_of_a_path():
    assert segment("a/b?c") == "a%2Fb%3Fc"
    for none in ("", ".", ".."):
        with pytest.raises(ValueError, match="is no id"):
            segment(none)


def test_an_order_number_is_the_day_and_six_digits():
    numbers = {generate_order_number() for _ in range(50)}
    assert len(numbers) > 40
    for number in numbers:
        assert len(number) == 12
        assert abs(datetime.strptime(number[:6], "%y%m%d").replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(days=2)


def test_a_partial_document_is_one_of_its_kind_whose_other_fields_are_none():
    item = partial(OrderItem).model_validate({"id": "itm_1", "unitPrice": Decimal("1.10")})
    assert isinstance(item, OrderItem)
    assert [item.id, item.unit_price, item.quantity] == ["itm_1", Decimal("1.10"), None]
    assert partial(Order).model_validate({"id": "ord_1"}).products is None


@pytest.mark.parametrize("told", ["http://h:1", "http://h:1/", "http://h:1/api", "http://h:1/api/"])
def test_a_base_url_may_hold_the_api(told):
    assert host_of(told) == "http://h:1"


@pytest.mark.parametrize("told", ["localhost:8000", "http://", "http://host:port", "http://[::1"])
def test_a_base_url_that_is_none_is_refused(told):
    with pytest.raises(ValueError, match="base_url"):
        host_of(told)
