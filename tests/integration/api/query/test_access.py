"""A customer sees what is theirs, through no collection, relationship, join, count or sort anything else."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queries.json_encoder import encode
from queries.parser import Query, parse
from queries.repository import count, find, find_by_id, find_order
from tests.integration.api.query.oracle import Oracle
from tests.integration.api.query.world import CATALOGUE, CUSTOMERS, PREFIX, TABLES

OWNED = [name for name in TABLES if name not in CATALOGUE]


def ids_in(value):
    """Every id of ours anywhere in an answer."""
    if isinstance(value, dict):
        return {each for inner in value.values() for each in ids_in(inner)}
    if isinstance(value, list):
        return {each for inner in value for each in ids_in(inner)}
    known = isinstance(value, str) and value[:4].rstrip("_") in PREFIX.values() and "_" in value
    return {value} if known else set()


def objects_in(value):
    """The id of every document of ours anywhere in an answer."""
    if isinstance(value, list):
        return {each for inner in value for each in objects_in(inner)}
    if not isinstance(value, dict):
        return set()
    return ids_in(value.get("id")) | {each for inner in value.values() for each in objects_in(inner)}


@pytest.mark.parametrize("customer", [*CUSTOMERS, "nobody", ""])
@pytest.mark.parametrize("collection", OWNED)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_nothing_of_others_stands_anywhere_in_an_answer(conn, world, collection, customer, depth):
    theirs = {doc["id"] for name in OWNED for doc in world.visible(name, customer)}
    counting = (
        "&".join(f"joins[{join}][count]=true" for join in ("products", "returns")) if collection == "orders" else ""
    )
    found = find(conn, collection, parse(f"limit=0&depth={depth}&{counting}"), customer)
    told = orjson.loads(encode(found["docs"]))
    assert objects_in(told) <= theirs
    # A cart says which order it became; to one who may not see that order the id says no more.
    became = {cart["order"] for cart in world.visible("carts", customer)}
    assert ids_in(told) <= theirs | became
    assert len(found["docs"]) == len(world.visible(collection, customer))
    if customer in CUSTOMERS and collection not in ("returns", "return-items"):
        assert found["docs"]


@pytest.mark.parametrize("collection", OWNED)
def test_the_id_of_anothers_is_as_one_that_is_not_there(conn, world, collection):
    for doc in world.docs[collection]:
        for customer in CUSTOMERS:
            seen = world.sees(collection, doc, customer)
            assert (find_by_id(conn, collection, doc["id"], Query(), customer) is not None) == seen
            by_id = parse(f"where[id][equals]={doc['id']}")
            assert count(conn, collection, by_id, customer) == {"totalDocs": int(seen)}


def test_the_number_of_anothers_order_is_as_one_that_is_not_there(conn, world):
    for order in world.docs["orders"]:
        for customer in CUSTOMERS:
            found = find_order(conn, order["orderNumber"], Query(), customer)
            assert (found is not None) == world.sees("orders", order, customer)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_path_over_relationships_is_no_oracle(conn, world, data):
    """Whatever is asked of another's order, the answer is the same as if it were not there."""
    customer = data.draw(st.sampled_from(CUSTOMERS))
    other = data.draw(st.sampled_from([doc for doc in world.docs["orders"] if doc["customer"] != customer]))
    collection, path = data.draw(
        st.sampled_from(
            [("order-items", "order"), ("transactions", "order"), ("fulfillment-items", "orderItem.order"),
             ("return-items", "return.order"), ("fulfillments", "order"), ("carts", "order")]
        )
    )  # fmt: skip
    field = data.draw(
        st.sampled_from(["id", "orderNumber", "customer", "customerSnapshot.name", "notes", "totalAmount"])
    )
    value = Oracle(world).value(other, field) if field != "id" else other["id"]
    operator = data.draw(st.sampled_from(["equals", "not_equals", "in", "not_in", "exists"]))
    told = "true" if operator == "exists" else value
    query = parse(f"where[{path}.{field}][{operator}]={'' if told is None else str(told).replace('%', '%25')}&limit=0")
    found = {doc["id"] for doc in find(conn, collection, query, customer)["docs"]}
    wanted = (
        [told] if operator in ("in", "not_in") and told is not None else [] if operator in ("in", "not_in") else told
    )
    where = {f"{path}.{field}": {operator: True if operator == "exists" else wanted}}
    assert found == Oracle(world, customer).find(collection, where)


@pytest.mark.parametrize("customer", CUSTOMERS)
def test_the_catalogue_is_for_every_reader(conn, world, customer):
    for name in CATALOGUE:
        assert len(find(conn, name, parse("limit=0"), customer)["docs"]) == len(world.docs[name])


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("sort", ["order.orderNumber", "-order.orderNumber"])
def test_sorting_by_what_another_owns_tells_nothing(conn, world, customer, sort):
    """A cart whose order the caller may not see stands where one without an order stands: last, by its id."""
    oracle = Oracle(world, customer)
    carts = find(conn, "carts", parse(f"limit=0&sort={sort}"), customer)["docs"]
    seen = [oracle.value(cart, "order.orderNumber") for cart in carts]
    known = [number for number in seen if number is not None]
    assert known == sorted(known, reverse=sort.startswith("-"))
    assert seen == known + [None] * (len(seen) - len(known))
    rest = [cart["id"] for cart in carts[len(known) :]]
    assert rest == sorted(rest, reverse=sort.startswith("-"))


def test_some_carts_became_orders_of_others(world):
    others = [cart for cart in world.docs["carts"] if cart["order"] and cart["customer"] in CUSTOMERS]
    assert any(world.get("orders", cart["order"])["customer"] != cart["customer"] for cart in others)
    assert any(cart["order"] in world.hidden for cart in others)
