"""Answers of the Server API in the words of OpenAPI: a write answers whole documents, as the table of fields has them."""

from __future__ import annotations

from api.query.openapi_schemas import Schema, singular, whole
from queries.fields import Collection
from queries.schema import (
    CART_ITEMS,
    CARTS,
    FINDINGS,
    FULFILLMENTS,
    OPTIONS,
    ORDERS,
    PRODUCTS,
    REFUNDS,
    RETURNS,
    TRANSACTIONS,
    VARIANTS,
)
from storage.tables.operators import PAUSE_KINDS

ROOT = "#/components/schemas/"
_CATALOGUE = (PRODUCTS, VARIANTS, OPTIONS)
_MESSAGE: Schema = {"type": "string", "examples": ["Updated successfully."]}
_BULK_ERROR: Schema = {
    "type": "object",
    "description": "A document that did not change, and why.",
    "required": ["id", "message"],
    "properties": {"id": {"type": "string"}, "message": {"type": "string"}, "data": {"type": ["object", "null"]}},
}
_CART: Schema = {
    "allOf": [
        *whole(CARTS)["allOf"],
        {"properties": {"items": {"properties": {"docs": {"items": whole(CART_ITEMS)}}}}},  # whatever the depth
    ]
}
_ACCOUNT: Schema = {
    "type": "object",
    "required": ["order", "bank", "number", "holderName"],
    "properties": {name: {"type": "string"} for name in ("order", "bank", "number", "holderName", "holderPhoneNumber")},
}
_POLLED_BY: Schema = {
    "type": ["string", "null"],
    "description": "The carrier or service that is polled for the parcel; null where nobody is.",
    "examples": ["tracker_delivery"],
}
_ERASED: Schema = {
    "type": "object",
    "required": ["customer", "orders", "personalRows", "answers", "accounts", "keptAccounts"],
    "properties": {
        "customer": {"type": "string"},
        **{name: {"type": "integer"} for name in ("orders", "personalRows", "answers", "accounts")},
        "keptAccounts": {"type": "integer", "description": "of refunds under way: erase again once those are over"},
    },
}
_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
PAUSE: Schema = {
    "type": "object",
    "description": "What rests until somebody resumes it, why, and by whose word.",
    "required": [
        "id",
        "kind",
        "name",
        "state",
        "reason",
        "by",
        "at",
        "until",
        "resumedAt",
        "resumedBy",
        "waitingEvents",
    ],
    "properties": {
        "id": {"type": "string", "examples": ["pau_019a3c1e8f7b7c1d9e2f3a4b5c6d7e8f"]},
        "kind": {"type": "string", "enum": list(PAUSE_KINDS)},
        "name": {"type": ["string", "null"], "description": "null of outward, which is all that goes there"},
        "state": {
            "type": "string",
            "enum": ["paused", "resuming"],
            "description": "resuming: what waited is worked off",
        },
        "reason": {"type": "string"},
        "by": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "until": _TIME,
        "resumedAt": _TIME,
        "resumedBy": {"type": ["string", "null"]},
        "waitingEvents": {"type": "integer", "description": "events that wait for it in the journal"},
    },
}
AUDIT_ENTRY: Schema = {
    "type": "object",
    "description": "One act, or one look at personal data; of personal fields only the names.",
    "required": ["id", "at", "actor", "act", "subject", "orderNumber", "reason", "before", "after", "detail"],
    "properties": {
        "id": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"},
        "actor": {"type": "string", "examples": ["cli:kim", "api/key_019a3c1e8f7b7c1d9e2f3a4b5c6d7e8f", "console:lee"]},
        "act": {"type": "string", "examples": ["OrderHeld", "given-up discard"]},
        "subject": {"type": "string", "description": "what it was done to", "examples": ["orders/261101000001"]},
        "orderNumber": {"type": ["string", "null"], "description": "of the order that it was about"},
        "reason": {"type": ["string", "null"]},
        "before": {"type": ["object", "null"], "description": "what the act changed, as it was"},
        "after": {"type": ["object", "null"], "description": "and as it was then"},
        "detail": {"type": "object"},
    },
}
_REFUNDED: Schema = {
    "return": whole(RETURNS),
    "transaction": {"anyOf": [whole(TRANSACTIONS), {"type": "null"}]},
}
_REFUND_CREATED: Schema = {
    "doc": {"anyOf": [whole(REFUNDS), {"type": "null"}]},
    "alsoOf": {"type": "array", "description": "Of other payments, where one is not enough.", "items": whole(REFUNDS)},
    "givenBackBefore": {"type": "number", "description": "In all, whoever made it."},
}


def changed(of: Collection) -> Schema:
    """Stands for the answer of a write to one document."""
    return {"$ref": f"{ROOT}{singular(of)}Changed"}


def many_changed(of: Collection) -> Schema:
    """Stands for the answer of a write to many documents."""
    return {"$ref": f"{ROOT}{singular(of)}sChanged"}


def refunded() -> Schema:
    """Stands for the answer of a return that is refunded at once."""
    return {"$ref": f"{ROOT}ReturnRefunded"}


def account_changed() -> Schema:
    """Stands for the answer of a bank account that was told."""
    return {"$ref": f"{ROOT}RefundAccountChanged"}


def refund_created() -> Schema:
    """Stands for the answer to a refund that was asked for."""
    return {"$ref": f"{ROOT}RefundCreated"}


def erased() -> Schema:
    """Stands for the answer of an erasure."""
    return {"$ref": f"{ROOT}CustomerErased"}


def paused() -> Schema:
    """Stands for the answer about one pause."""
    return {"$ref": f"{ROOT}PauseChanged"}


def components() -> dict[str, Schema]:
    """Every answer, for the components."""
    one = {
        f"{singular(of)}Changed": _answer(
            "The document as it is after the change.",
            {"doc": _CART if of is CARTS else whole(of), **({"polledBy": _POLLED_BY} if of is FULFILLMENTS else {})},
        )
        for of in (ORDERS, TRANSACTIONS, FULFILLMENTS, RETURNS, REFUNDS, FINDINGS, CARTS, *_CATALOGUE)
    }
    many = {
        f"{singular(of)}sChanged": _answer(
            "The documents that changed, and those that did not.",
            {
                "docs": {"type": "array", "items": whole(of)},
                "errors": {"type": "array", "items": {"$ref": f"{ROOT}BulkError"}},
            },
        )
        for of in (ORDERS, *_CATALOGUE)
    }
    described = "The return, and the payment that the refund goes back on; null where nothing is to go back."
    account = _answer("The account, masked; the order by its id.", {"doc": _ACCOUNT})
    created = "The refund that goes out, and what was given back before; null where that covers it."
    return {
        **one,
        **many,
        "RefundAccountChanged": account,
        "ReturnRefunded": _answer(described, _REFUNDED),
        "RefundCreated": _answer(created, _REFUND_CREATED),
        "CustomerErased": _answer("What was erased.", {"doc": _ERASED}),
        "Pause": PAUSE,
        "AuditEntry": AUDIT_ENTRY,
        "PauseChanged": _answer("The pause as it stands.", {"doc": {"$ref": f"{ROOT}Pause"}}),
        "BulkError": _BULK_ERROR,
    }


def _answer(description: str, properties: dict[str, Schema]) -> Schema:
    properties = {"message": _MESSAGE, **properties}
    return {"type": "object", "description": description, "required": list(properties), "properties": properties}
