"""Answers hold what the OpenAPI document promises of each, field for field."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from api.app import without_doors
from queries import schema
from queries.fields import Collection

MUG = {"product": "mug", "quantity": 2, "unitPrice": 5000}
TERMS = {"orderNumber": "C1", "customerSnapshot": {"name": "x"}}
COMPONENTS = without_doors().openapi()["components"]


def fits(name: str, found: dict[str, Any]) -> None:
    """`found` is what the component promises, and would not be with a field less."""
    whole = {"$ref": f"#/components/schemas/{name}", "components": COMPONENTS}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    validator.validate(found)
    for field in COMPONENTS["schemas"][name]["required"]:
        assert not validator.is_valid(without(found, field))
    for field in found.get("doc", ()):
        assert not validator.is_valid({**found, "doc": without(found["doc"], field)})


def without(value: dict[str, Any], field: str) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key != field}


def holds(of: Collection, found: dict[str, Any]) -> None:
    """`found` has the fields and joins of the collection and no others."""
    assert set(found) == {*(name for name in of.fields if "." not in name), *of.joins}, of.name


def test_each_answer_holds_what_is_promised(shop):
    created = shop.ok("POST", "/api/orders", shop.body(MUG))
    order = created["doc"]
    changes = shop.ok("PATCH", f"/api/orders?where[id][equals]={order['id']}", {"status": "shipped"})
    body = {"paymentId": f"pay-{order['orderNumber']}", "status": "paid"}
    paid = shop.ok("POST", "/api/transactions/update", body)
    shop.work()
    parcel = shop.ok("POST", "/api/fulfillments", {"order": order["id"]})
    moved = shop.ok("PATCH", f"/api/fulfillments/{parcel['doc']['id']}", {"status": "delivered"})
    one = [{"orderItem": shop.order(order)["products"]["docs"][0]["id"], "quantity": 1}]
    back = shop.ok("POST", "/api/returns", {"order": order["id"], "reason": "other", "items": one})
    refunded = shop.ok("POST", "/api/returns/return-with-refund", {"order": order["id"], "reason": "other"})
    cart = shop.ok("POST", "/api/carts", {})
    cart = shop.ok("POST", f"/api/carts/{cart['doc']['id']}/items", MUG)
    checked = shop.ok("POST", "/api/checkout", {**TERMS, "cartId": cart["doc"]["id"]})
    for of, name, found in (
        (schema.ORDERS, "OrderChanged", created), (schema.ORDERS, "OrderChanged", checked),
        (schema.TRANSACTIONS, "TransactionChanged", paid), (schema.CARTS, "CartChanged", cart),
        (schema.FULFILLMENTS, "FulfillmentChanged", parcel), (schema.FULFILLMENTS, "FulfillmentChanged", moved),
        (schema.RETURNS, "ReturnChanged", back),
    ):  # fmt: skip
        fits(name, found)
        holds(of, found["doc"])
        with pytest.raises(AssertionError):
            holds(of, {**found["doc"], "more": 1})
    fits("ReturnRefunded", refunded)
    holds(schema.RETURNS, refunded["return"])
    holds(schema.TRANSACTIONS, refunded["transaction"])
    fits("OrdersChanged", changes)
    fits("BulkError", changes["errors"][0])
    holds(schema.CART_ITEMS, cart["doc"]["items"]["docs"][0])


def test_entries_of_the_catalogue_name_what_they_belong_to(shop):
    for of, owner in ((schema.PRODUCTS, ""), (schema.VARIANTS, "product"), (schema.OPTIONS, "variant")):
        entry = {"title": "x", **({owner: "y"} if owner else {})}
        one = shop.ok("PUT", f"/api/{of.name}/e", entry)
        many = shop.ok("PUT", f"/api/{of.name}", [{"id": "e", **entry}])
        name = {"products": "Product", "product-variants": "ProductVariant", "product-options": "ProductOption"}[
            of.name
        ]
        fits(f"{name}Changed", one)
        fits(f"{name}sChanged", many)
        holds(of, one["doc"])
        assert many["docs"][0]["createdAt"] == one["doc"]["createdAt"]
