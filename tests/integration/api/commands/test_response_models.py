"""Answers hold what the OpenAPI document promises of each, field for field."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.commands import response_models as a

MUG = {"product": "mug", "quantity": 2, "unitPrice": 5000}
TERMS = {"orderNumber": "C1", "customerSnapshot": {"name": "x"}}


def holds(model: type[BaseModel], found: dict[str, Any], *beside: str) -> None:
    """`found` has the fields of `model` and no others, each of its kind."""
    promised = {field.alias or name for name, field in model.model_fields.items()} - set(beside)
    assert set(found) == promised, model.__name__
    model.model_validate(found)


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
    for model, found in (
        (a.OrderChanged, created), (a.OrderChanged, checked), (a.TransactionChanged, paid), (a.CartChanged, cart),
        (a.FulfillmentChanged, parcel), (a.FulfillmentChanged, moved), (a.ReturnChanged, back),
    ):  # fmt: skip
        holds(model, found)
        document: Any = model.model_fields["doc"].annotation
        holds(document, found["doc"])
    holds(a.ReturnRefunded, refunded)
    holds(a.Return, refunded["return"])
    holds(a.Transaction, refunded["transaction"])
    holds(a.OrdersChanged, changes)
    holds(a.BulkError, changes["errors"][0])
    holds(a.CartItem, cart["doc"]["items"]["docs"][0])


def test_entries_of_the_catalogue_name_what_they_belong_to(shop):
    for path, owner in (("products", ""), ("product-variants", "product"), ("product-options", "variant")):
        entry = {"title": "x", **({owner: "y"} if owner else {})}
        one = shop.ok("PUT", f"/api/{path}/e", entry)
        many = shop.ok("PUT", f"/api/{path}", [{"id": "e", **entry}])
        others = {"product", "variant"} - {owner}
        holds(a.EntryChanged, one)
        holds(a.EntriesChanged, many)
        holds(a.CatalogueEntry, one["doc"], *others)
        assert many["docs"][0]["createdAt"] == one["doc"]["createdAt"]
