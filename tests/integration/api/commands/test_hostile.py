"""Whatever is sent, the answer is never ours to be ashamed of; and the OpenAPI document says what is taken."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RAW = [
    b"", b"{", b"null", b"[]", b'"x"', b"1", b"{}", b"\xff\xfe", b"NaN", b'{"orderNumber": NaN}', b"[" * 100_000,
    b'{"a":' * 5_000, b'{"orderNumber": "\\ud800"}', b'{"\\ud800": 1}', b'{"totalAmount": 1e999999999}',
    b'{"totalAmount": ' + b"9" * 5_000 + b"}", b'{"orderNumber": "a\\u0000b"}', b"\x00", b'{"a": Infinity}',
]  # fmt: skip
PLACES = [
    ("POST", "/api/orders"), ("POST", "/api/checkout"), ("PATCH", "/api/orders/ord_1"),
    ("PATCH", "/api/orders?where[id][equals]=x"), ("POST", "/api/transactions/update"), ("POST", "/api/fulfillments"),
    ("PATCH", "/api/fulfillments/x"), ("POST", "/api/returns"), ("PATCH", "/api/returns/x"),
    ("POST", "/api/returns/return-with-refund"), ("POST", "/api/carts"), ("POST", "/api/carts/x/items"),
    ("PATCH", "/api/carts/x/items/y"), ("PUT", "/api/products/x"), ("PUT", "/api/products"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PLACES)
def test_what_is_no_such_body_is_refused(shop, method, path):
    for raw in RAW:
        for kind in ("application/json", "text/plain", "multipart/form-data", "multipart/form-data; boundary=x"):
            answer = shop.client.request(method, path, content=raw, headers={**shop.secret, "Content-Type": kind})
            fine = (path, raw) in (("/api/carts", b"{}"), ("/api/products", b"[]"))
            taken = fine and "multipart" not in kind
            assert answer.status_code in ((200, 201) if taken else (400, 404)), (raw, kind)
            assert taken or answer.json()["errors"][0]["message"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "orderNumber", "customerSnapshot", "shippingAddress", "orderProducts", "totalAmount", "paymentId", "customer",
    "currency", "discountCode", "discountAmount", "shippingAmount", "notes",
]  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(FIELDS), ANYTHING, min_size=1, max_size=3))
def test_fields_of_any_kind_are_taken_or_refused(shop, changes):
    assert shop.call("POST", "/api/orders", {**shop.body(), **changes}).status_code in (201, 400, 409)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(min_size=1, max_size=60), amount=st.text(alphabet="0123456789eE+-. N", max_size=12))
def test_names_and_amounts_of_any_kind_are_taken_or_refused(shop, name, amount):
    line = {"product": name, "variant": name, "quantity": 1, "unitPrice": amount}
    body = shop.body(orderProducts=[line], totalAmount=amount, orderNumber=name, paymentId=name, customer=name)
    assert shop.call("POST", "/api/orders", body).status_code in (201, 400, 409)


@pytest.mark.parametrize(
    ("field", "bad"),
    [("orderNumber", bad) for bad in ("a\x1b[2J", "a\nb", "\x9b", " a", "a\u202e")]
    + [("paymentId", "a\tb"), ("customer", "\x7f"), ("totalAmount", "2_0000"), ("totalAmount", "２００００")],
)
def test_names_and_amounts_that_only_look_like_some_are_named(shop, field, bad):
    error = shop.refused(400, "POST", "/api/orders", {**shop.body(), field: bad})
    assert [fault["path"] for fault in error["data"]["errors"]] == [field]


def test_what_somebody_may_click_on_is_an_address_of_the_web(shop):
    for image in ("javascript:alert(1)", "JavaScript://%0aalert(1)", "data:text/html,x", "/mug.png"):
        error = shop.refused(400, "PUT", "/api/products/mug", {"title": "Mug", "image": image})
        assert "https://" in error["data"]["errors"][0]["message"]
    shop.ok("PUT", "/api/products/mug", {"title": "Mug", "image": "HTTPS://shop.example/mug.png?a=1#b"})


def test_nobody_without_a_key_learns_what_is_wrong(shop):
    assert shop.client.post("/api/orders", content=b"{").status_code == 401
    assert shop.client.post("/api/orders", json={}).status_code == 401


def test_payloads_form_is_read_as_its_json(shop):
    body = shop.body()
    answer = shop.client.post("/api/orders", files={"_payload": (None, json.dumps(body))}, headers=shop.secret)
    assert answer.status_code == 201
    assert shop.ok("POST", "/api/orders", body) == answer.json()
    other = shop.client.post("/api/orders", files={"payload": (None, "{}")}, headers=shop.secret)
    assert "_payload" in other.json()["errors"][0]["message"]


def test_too_many_lines_are_refused_and_as_many_as_may_are_taken(shop):
    line = {"product": "p", "quantity": 1, "unitPrice": 1}
    assert shop.call("POST", "/api/orders", shop.body(*[line] * 1001)).status_code == 400
    shop.create(*[line] * 1000)


def test_values_at_their_bounds_are_kept(shop):
    big = {"product": "p" * 255, "quantity": 1_000_000, "unitPrice": 10**7}
    shop.create(big, orderNumber="n" * 255, paymentId="p" * 255, customer="c" * 255, notes="x" * 10_000)


# -- OpenAPI -----------------------------------------------------------------------------------------------


def test_every_operation_is_described_with_examples(shop):
    document = shop.client.get("/openapi.json").json()
    names = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method == "get" or operation.get("tags", [""])[0] not in TAGS:
                continue
            names.add(operation["operationId"])
            assert operation["summary"], path
            answers = [r for status, r in operation["responses"].items() if status < "3"]
            assert answers, path
            assert all("$ref" in answer["content"]["application/json"]["schema"] for answer in answers)
            if method != "delete":
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                ref = (schema.get("items") or schema)["$ref"].rpartition("/")[2]
                assert document["components"]["schemas"][ref]["examples"], ref
    assert names == {
        "createOrder", "checkout", "updateOrder", "updateOrders", "updateTransaction", "createFulfillment",
        "updateFulfillment", "createReturn", "updateReturn", "returnWithRefund", "createCart", "addCartItem",
        "updateCartItem", "removeCartItem", "putProduct", "putProducts", "putProductVariant", "putProductVariants",
        "putProductOption", "putProductOptions", "acceptOrder", "holdOrder", "releaseOrder", "cancelOrderItems", "putRefundAccount",
        "correctFulfillment", "withdrawReturn",
    }  # fmt: skip


TAGS = ("Orders", "Payments", "Fulfillments", "Returns", "Carts", "Catalogue")
