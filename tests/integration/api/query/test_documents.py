"""Pages, select, joins and depth: the shape of what is answered, and that its cost does not grow with the page."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from sqlalchemy import event

from domain.ids import uuid_of as uuid_or_none
from queries import documents
from queries.errors import QueryError
from queries.parser import Query, parse
from queries.repository import count, document, find, find_by_id, find_order
from queries.schema import COLLECTIONS
from storage.aggregates import peek
from tests.integration.api.query.world import POINTS, TABLES

STAMPS = ("createdAt", "updatedAt")


def uuid_of(id: str) -> str:
    """The UUID of an id of ours."""
    found = uuid_or_none(id)
    assert found is not None
    return found


def docs(conn, collection, query="limit=0", customer=None):
    return find(conn, collection, parse(query), customer)["docs"]


@contextmanager
def counted(conn):
    """The statements sent meanwhile."""
    sent: list[str] = []

    def note(_conn, _cursor, statement, *_rest):
        sent.append(statement)

    event.listen(conn.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(conn.engine, "before_cursor_execute", note)


# -- pages -------------------------------------------------------------------------------------------------


def test_the_numbers_of_a_page(conn, world):
    total = len(world.visible("orders"))
    found = find(conn, "orders", parse("limit=7&page=2"))
    assert {name: value for name, value in found.items() if name != "docs"} == {
        "totalDocs": total, "limit": 7, "totalPages": -(-total // 7), "page": 2, "pagingCounter": 8,
        "hasPrevPage": True, "hasNextPage": True, "prevPage": 1, "nextPage": 3,
    }  # fmt: skip
    beyond = find(conn, "orders", parse("limit=7&page=99"))
    assert (beyond["docs"], beyond["totalDocs"], beyond["hasNextPage"]) == ([], total, False)
    nothing = find(conn, "orders", parse("where[status][equals]=lost"))
    assert (nothing["docs"], nothing["totalDocs"], nothing["totalPages"]) == ([], 0, 1)


@pytest.mark.parametrize("query", ["limit=0", "pagination=false", "limit=0&page=3"])
def test_all_of_them_at_once(conn, world, query):
    found = find(conn, "orders", parse(query))
    total = len(world.visible("orders"))
    assert (len(found["docs"]), found["totalDocs"], found["totalPages"], found["hasNextPage"]) == (total, total, 1, False)  # fmt: skip


def test_too_many_at_once_are_refused_with_the_way_out(conn):
    with pytest.raises(QueryError, match="limit=1000 and page=1"):
        find(conn, "orders", parse("limit=0"), most=39)
    assert find(conn, "orders", parse("limit=0"), most=40)["totalDocs"] == 40


@pytest.mark.parametrize("collection", TABLES)
@pytest.mark.parametrize(
    "sort", ["", "createdAt", "-createdAt", "order.status,-order.customerSnapshot.name", "nothing"]
)
def test_pages_never_overlap_and_leave_nothing_out(conn, world, collection, sort):
    every = [doc["id"] for doc in docs(conn, collection, f"limit=0&sort={sort}")]
    paged: list[str] = []
    while len(paged) < len(every):
        found = docs(conn, collection, f"limit=9&page={len(paged) // 9 + 1}&sort={sort}")
        assert found
        paged += [doc["id"] for doc in found]
    assert paged == every
    assert sorted(every) == sorted(doc["id"] for doc in world.visible(collection))


def test_sorting(conn, world):
    def key(doc):
        snapshot = doc["customerSnapshot"]
        return (snapshot is None, snapshot["name"] if snapshot else "", -doc["totalAmount"], doc["id"])

    found = docs(conn, "orders", "limit=0&sort=customerSnapshot.name,-totalAmount,unknown,flags,customerSnapshot")
    assert [doc["id"] for doc in found] == [doc["id"] for doc in sorted(world.visible("orders"), key=key)]
    newest = [doc["createdAt"] for doc in docs(conn, "orders")]
    assert newest == sorted(newest, reverse=True)
    of_orders = docs(conn, "order-items", "limit=0&sort=-order.createdAt&depth=1")
    assert [doc["order"]["createdAt"] for doc in of_orders] == sorted(
        (doc["order"]["createdAt"] for doc in of_orders), reverse=True
    )


# -- one, and how many -------------------------------------------------------------------------------------


def test_one_by_id_in_every_form_and_by_number(conn, world):
    for order in world.visible("orders")[:3]:
        for id in (order["id"], uuid_of(order["id"]), order["id"].removeprefix("ord_")):
            found = find_by_id(conn, "orders", id, Query(joined=False))
            assert found == order
        assert find_order(conn, order["orderNumber"], Query(joined=False)) == order
    assert find_by_id(conn, "products", "p1", Query()) == world.get("products", "p1")


@pytest.mark.parametrize("collection", TABLES)
@pytest.mark.parametrize("id", ["", "nothing", "ord_", "\x00", "ord_" + "f" * 32, "'; --", "p\x00", "9" * 5_000])
def test_an_id_that_is_none_finds_nothing(conn, collection, id):
    assert find_by_id(conn, collection, id, Query()) is None


def test_hidden_orders_are_nowhere(conn, world):
    assert world.hidden
    for name, all_docs in world.docs.items():
        for doc in all_docs:
            if doc["id"] in world.hidden:
                assert find_by_id(conn, name, doc["id"], Query()) is None
                assert count(conn, name, parse(f"where[id][equals]={doc['id']}")) == {"totalDocs": 0}
    hidden = next(doc for doc in world.docs["orders"] if doc["id"] in world.hidden)
    assert find_order(conn, hidden["orderNumber"], Query()) is None


def test_counts(conn, world):
    assert count(conn, "orders", Query()) == {"totalDocs": len(world.visible("orders"))}
    assert count(conn, "carts", Query(), "c1") == {"totalDocs": len(world.visible("carts", "c1"))}


def test_aliases(conn):
    assert docs(conn, "order-products") == docs(conn, "order-items")
    assert docs(conn, "return-products") == docs(conn, "return-items")
    with pytest.raises(KeyError):
        find(conn, "personal", Query())


# -- joins and depth ---------------------------------------------------------------------------------------


def of(world, collection, field, owner):
    return [doc["id"] for doc in world.docs[collection] if doc[field] == owner]


def test_joins_hold_ids_at_depth_0(conn, world):
    for order in docs(conn, "orders"):
        for join, collection in (("products", "order-items"), ("transactions", "transactions"), ("returns", "returns")):
            assert order[join] == {"docs": of(world, collection, "order", order["id"]), "hasNextPage": False}
    for parcel in docs(conn, "fulfillments"):
        held = of(world, "fulfillment-items", "fulfillment", parcel["id"])
        assert sorted(parcel["items"]["docs"]) == sorted(held)


def test_joins_hold_documents_at_depth_1_with_their_own(conn, world):
    for order in docs(conn, "orders", "limit=0&depth=1"):
        for item in order["products"]["docs"]:
            assert item == world.get("order-items", item["id"])
        for parcel in order["fulfillments"]["docs"]:
            items = parcel.pop("items")
            assert parcel == world.get("fulfillments", parcel["id"])
            assert items["docs"]
            for share in items["docs"]:
                assert share == world.get("fulfillment-items", share["id"])


def test_an_order_reads_the_same_from_rows_and_from_objects(conn, world):
    ids = [uuid_of(order["id"]) for order in world.visible("orders")]
    folded = peek(conn, ids)
    for id in ids:
        row = without_stamps(document(conn, "orders", id, depth=1))
        del row["refunds"]  # a folded order holds none
        assert row == without_stamps(documents.of_order(conn, folded[id]))


def without_stamps(value):
    if isinstance(value, dict):
        return {name: without_stamps(each) for name, each in value.items() if name not in STAMPS}
    return [without_stamps(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("collection", TABLES)
def test_depth_1_puts_documents_in_the_place_of_ids(conn, world, collection):
    known = {name: {doc["id"]: doc for doc in world.visible(name)} for name in TABLES}
    flat = {doc["id"]: doc for doc in docs(conn, collection)}
    for doc in docs(conn, collection, "limit=0&depth=1"):
        for field, target in POINTS.items():
            if field in doc:
                id = flat[doc["id"]][field]
                shown = doc[field]
                if id in known[target]:
                    assert {name: shown[name] for name in known[target][id]} == known[target][id]
                else:
                    assert shown == id  # null, or of a catalogue that we do not know
        assert {name for name, value in doc.items() if value != flat[doc["id"]][name]} <= set(POINTS) | {
            "products", "transactions", "fulfillments", "returns", "refunds", "items",
        }  # fmt: skip


def test_depth_2_goes_one_further(conn, world):
    order = next(doc for doc in world.visible("orders") if of(world, "order-items", "order", doc["id"]))
    found = docs(conn, "orders", f"depth=2&where[id][equals]={order['id']}")[0]
    item = found["products"]["docs"][0]
    assert item["order"]["orderNumber"] == order["orderNumber"]
    shares = docs(conn, "fulfillment-items", "depth=2&limit=0")
    assert all(isinstance(share["orderItem"]["order"], dict) for share in shares)
    assert any(isinstance(share["orderItem"]["product"], dict) for share in shares)


def test_a_join_has_pages_a_where_a_sort_and_a_count(conn, world):
    order = max(world.visible("orders"), key=lambda doc: len(of(world, "order-items", "order", doc["id"])))
    lines = of(world, "order-items", "order", order["id"])
    assert len(lines) == 3
    one = f"where[id][equals]={order['id']}"

    def products(*more):
        return docs(conn, "orders", "&".join([one, *(f"joins[products]{each}" for each in more)]))[0]["products"]

    assert products("[limit]=2") == {"docs": lines[:2], "hasNextPage": True}
    assert products("[limit]=2", "[page]=2") == {"docs": lines[2:], "hasNextPage": False}
    assert products("[limit]=0", "[count]=true") == {"docs": lines, "hasNextPage": False, "totalDocs": 3}
    assert products("[limit]=1", "[page]=9", "[count]=true") == {"docs": [], "hasNextPage": False, "totalDocs": 3}
    assert products("[sort]=-reference,-id", "[limit]=1")["docs"][0] in lines
    assert products("[sort]=id")["docs"] == sorted(lines)
    assert products("[sort]=-id")["docs"] == sorted(lines, reverse=True)
    assert products(f"[where][id][equals]={lines[1]}", "[count]=true") == {"docs": [lines[1]], "hasNextPage": False, "totalDocs": 1}  # fmt: skip
    assert products("[where][order.status][equals]=lost", "[count]=true")["totalDocs"] == 0


@pytest.mark.parametrize("collection", [name for name, of in COLLECTIONS.items() if of.joins])
def test_joins_read_the_same_where_pages_are_skipped_and_cost_the_skipped_rows_nothing(conn, collection):
    every = docs(conn, collection)
    with counted(conn) as statements:
        page = docs(conn, collection, "limit=2&page=2")
    assert page
    assert page == every[2:4]
    skipping = [sql for sql in statements if "OFFSET" in sql]
    assert len(skipping) == 1
    assert "array(" not in skipping[0].lower()


def test_joins_can_be_left_out(conn):
    found = docs(conn, "orders", "joins[products]=false")[0]
    assert ("products" in found, "returns" in found) == (False, True)
    assert not {"products", "transactions", "fulfillments", "returns"} & docs(conn, "orders", "joins=false")[0].keys()
    for wrong in ("joins[items][limit]=1", "joins[id]=false"):
        with pytest.raises(QueryError) as caught:
            docs(conn, "orders", wrong)
        assert "products" in caught.value.faults[0][1]


# -- select ------------------------------------------------------------------------------------------------


def test_select_shows_only_these_and_the_id(conn, world):
    query = "limit=0&select[orderNumber]=true&select[customerSnapshot][name]=true&select[products]=true&select[no]=true"
    for doc in docs(conn, "orders", query):
        assert list(doc) == ["id", "orderNumber", "customerSnapshot", "products"]
        told = world.get("orders", doc["id"])["customerSnapshot"]
        assert doc["customerSnapshot"] == (told and {"name": told["name"]})


def test_select_leaves_these_out(conn, world):
    query = "limit=0&select[id]=false&select[order]=false&select[product]=false"
    for doc in docs(conn, "order-items", query + "&depth=1"):
        whole = world.get("order-items", doc["id"])
        assert doc.keys() == whole.keys() - {"order", "product"}
    for doc in docs(conn, "orders", "limit=0&select[shippingAddress][postalCode]=false&joins=false"):
        told = world.get("orders", doc["id"])
        address = told["shippingAddress"]
        trimmed = address and {"recipientName": address["recipientName"]}
        assert doc == {**told, "shippingAddress": trimmed}


# -- cost --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("collection", "query", "most"),
    [
        ("orders", "joins=false", 2),
        ("orders", "", 6),
        ("orders", "depth=1", 9),
        ("orders", "where[status][not_equals]=x&select[status]=true", 2),
        ("order-items", "", 2),
        ("order-items", "depth=1", 10),
        ("fulfillment-items", "depth=1", 6),
        ("orders", "depth=2", 40),
    ],
)
def test_statements_do_not_grow_with_the_page(conn, collection, query, most):
    sent = {}
    for limit in (5, 20, 1000):
        with counted(conn) as statements:
            docs(conn, collection, f"{query}&limit={limit}")
        sent[limit] = len(statements)
    assert sent[20] == sent[5] <= most
    assert sent[1000] == sent[20] - 1  # the page tells how many there are


def test_one_order_with_all_that_hangs_on_it_costs_eight(conn, world):
    order = next(doc for doc in world.visible("orders") if of(world, "returns", "order", doc["id"]))
    with counted(conn) as statements:
        document(conn, "orders", uuid_of(order["id"]), depth=1)
    assert len(statements) == 8
