"""Every operator on every field, against a plain Python oracle: the same wheres, evaluated both ways."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queries.parser import Query, parse
from queries.repository import count, find
from tests.integration.api.query.conftest import bracketed
from tests.integration.api.query.oracle import Oracle
from tests.integration.api.query.world import CUSTOMERS, TABLES

PATHS = {
    "orders": (
        "id orderNumber status customer customerSnapshot.name customerSnapshot.email shippingAddress.recipientName "
        "shippingAddress.postalCode totalAmount currency discountCode discountAmount notes flags canceledAt "
        "confirmedAt createdAt updatedAt"
    ),
    "order-items": (
        "id order reference product variant option quantity unitPrice requiresShipping totalPrice createdAt order.status order.customer "
        "order.flags order.customerSnapshot.name order.totalAmount product.title product.price variant.product "
        "variant.product.sku option.variant.product.title"
    ),
    "transactions": "id order paymentId status amount refundedAmount provider paidAt order.orderNumber order.notes",
    "fulfillments": "id reference status carrier trackingNumber shippedAt deliveredAt order.customer order.canceledAt",
    "fulfillment-items": "fulfillment orderItem quantity fulfillment.carrier orderItem.order.status orderItem.quantity",
    "returns": "reference status reason note refundAmount receivedAt rejectedBy order order.discountCode",
    "return-items": "return return.note return.order.customerSnapshot.email orderItem.product.title quantity",
    "refunds": (
        "id order transaction reference amount currency origin status waitsFor return requestedAt createdAt "
        "transaction.status transaction.amount order.orderNumber"
    ),
    "carts": "id customer currency order order.status createdAt",
    "cart-items": "cart product variant quantity unitPrice cart.customer",
    "products": "id title sku price image createdAt",
    "product-variants": "product title product.title",
    "product-options": "variant variant.product.title price",
}
COMPARE = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
TEXTS = ("kim", "DA-EUN kim", "%", "_", "\\", "a", "title of", "1", "0", "friends", "zz", "i", "100%", "example com")
NUMBERS = ("0", "1", "2.5", "19", "-3", "1e2")
TIMES = ("2026-01-01", "2026-01-06T12:00:00.000Z", "2026-01-06T21:00:00+09:00", "9999-12-31T23:59:59.999999Z")
UNKNOWN = {
    "numbers": st.sampled_from(NUMBERS), "times": st.sampled_from(TIMES), "texts": st.sampled_from(TEXTS),
    "truths": st.sampled_from(("true", "false")),
}  # fmt: skip


def kind_of(path: str) -> str:
    last = path.rpartition(".")[2]
    if last in ("quantity", "price") or last.endswith(("Amount", "Price", "amount")):
        return "numbers"
    if last.endswith("At"):
        return "times"
    if last == "requiresShipping":
        return "truths"
    if last in ("id", "order", "orderItem", "fulfillment", "return", "cart", "transaction") and not path.startswith(
        "variant"
    ):
        return "ids"
    return "list" if last == "flags" else "texts"


def written(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


@st.composite
def conditions(draw, oracle, collection):
    path = draw(st.sampled_from(PATHS[collection].split()))
    kind = kind_of(path) if (collection, path) != ("products", "id") else "texts"
    stored = [oracle.value(doc, path) for doc in oracle.seen[collection].values()]
    known = [written(each) for value in stored for each in (value if isinstance(value, list) else [value]) if each]
    value = st.sampled_from(known) if known else st.nothing()
    value |= UNKNOWN.get(kind, st.sampled_from(("ord_nothing", "ord_" + "0" * 32) if kind == "ids" else TEXTS))
    nulled = value | st.none()
    single = {"equals": nulled, "not_equals": nulled, "exists": st.booleans()}
    several = st.lists(nulled, max_size=4)
    operators = single | {"in": several, "not_in": several, "all": st.lists(value, max_size=2)}
    if kind in ("numbers", "times") or path == "orderNumber":
        operators |= dict.fromkeys(COMPARE, value)
    if kind not in ("times", "truths"):
        operators |= dict.fromkeys(("like", "not_like", "contains"), value)
    operator = draw(st.sampled_from(sorted(operators)))
    return {path: {operator: draw(operators[operator])}}


def wheres(oracle, collection):
    one = conditions(oracle, collection)
    branch = st.sampled_from(("and", "or"))
    return st.recursive(
        one,
        lambda inner: (
            st.builds(lambda name, parts: {name: parts}, branch, st.lists(inner, max_size=3))
            | st.builds(lambda a, b: a | b, one, inner)
        ),
        max_leaves=5,
    )


def ids(found):
    return {doc["id"] for doc in found["docs"]}


def ask(conn, collection, where, customer=None):
    """The ids found by both ways of writing a where; they are the same, and so is their count."""
    brackets = parse("&".join([*bracketed("where", where), "limit=0"]))
    as_json = parse(f"limit=0&where={quote(json.dumps(where))}")
    found = find(conn, collection, as_json, customer)
    assert ids(found) == ids(find(conn, collection, brackets, customer))
    assert count(conn, collection, as_json, customer) == {"totalDocs": len(found["docs"])}
    return ids(found)


@pytest.mark.parametrize("collection", PATHS)
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_where_finds_what_it_means(conn, world, collection, data):
    customer = data.draw(st.sampled_from((None, None, *CUSTOMERS)))
    oracle = Oracle(world, customer)
    where = data.draw(wheres(oracle, collection))
    assert ask(conn, collection, where, customer) == oracle.find(collection, where), where


@pytest.mark.parametrize("collection", TABLES)
@pytest.mark.parametrize("customer", [None, *CUSTOMERS, "nobody"])
def test_everything_that_a_caller_sees_is_found_field_by_field(conn, world, collection, customer):
    found = find(conn, collection, Query(limit=0, joined=False), customer)
    expected = {doc["id"]: doc for doc in world.visible(collection, customer)}
    assert {doc["id"]: doc for doc in found["docs"]} == expected
    assert found["totalDocs"] == len(expected)


@pytest.mark.parametrize(
    ("where", "as_told"),
    [
        ("where[status][in]=paid,shipped", {"status": {"in": ["paid", "shipped"]}}),
        ("where[status][in]=", {"status": {"in": []}}),
        ("where[status][in][]", {"status": {"in": []}}),
        ("where[status][not_in][]", {"status": {"not_in": []}}),
        ("where[customer][equals]=null", {"customer": {"equals": None}}),
        ("where[customer][equals]=", {"customer": {"equals": None}}),
        ("where[flags][contains][0]=disputed&where[flags][contains][1]=expired", {"flags": {"in": ["disputed", "expired"]}}),
        ("where[flags]=x&where[status][equals]=paid", None),
        ("where[or][0][and][0][status][equals]=paid&where[or][0][and][1][totalAmount][less_than]=9&where[or][1][currency][equals]=BRL",
         {"or": [{"and": [{"status": {"equals": "paid"}}, {"totalAmount": {"less_than": "9"}}]}, {"currency": {"equals": "BRL"}}]}),
        ("where[or][]", {}),
        ("where[totalAmount][greater_than]=3&where[totalAmount][less_than]=12", {"totalAmount": {"greater_than": "3", "less_than": "12"}}),
    ],
)  # fmt: skip
def test_what_the_sdk_and_people_write(conn, world, where, as_told):
    if as_told is None:
        with pytest.raises(Exception, match="flags"):
            parse(where)
        return
    found = ids(find(conn, "orders", parse(f"{where}&limit=0")))
    assert found == Oracle(world).find("orders", as_told)


def test_a_time_as_answered_finds_its_document_and_greater_than_it_the_next(conn, world):
    newest, *_ = sorted(world.visible("orders"), key=lambda doc: doc["createdAt"], reverse=True)
    at = newest["createdAt"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert ids(find(conn, "orders", parse(f"where[createdAt][equals]={at}"))) == {newest["id"]}
    assert ids(find(conn, "orders", parse(f"where[createdAt][greater_than_equal]={at}"))) == {newest["id"]}
    assert ids(find(conn, "orders", parse(f"where[createdAt][greater_than]={at}"))) == set()


def test_ids_are_taken_in_every_form(conn, world):
    order = world.visible("orders")[0]["id"]
    bare = order.removeprefix("ord_")
    dashed = f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"
    for form in (order, bare, dashed, bare.upper()):
        assert ids(find(conn, "orders", parse(f"where[id][equals]={form}"))) == {order}
        assert len(ids(find(conn, "order-items", parse(f"where[order][in][0]={form}&limit=0")))) >= 1


def test_exact_amounts(conn, world):
    found = find(conn, "orders", parse("where[totalAmount][equals]=3.50&limit=0"))
    assert ids(found) == {doc["id"] for doc in world.visible("orders") if doc["totalAmount"] == Decimal("3.5")}
    none = find(conn, "order-items", parse("where[quantity][equals]=1.5&limit=0"))
    assert none["docs"] == []
