"""The AsyncAPI document: the events that come in, and the changes that are told outside.

In: CloudEvents, posted to the standard payment webhook or as lines of a file. Out: a webhook a change.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from api.query import openapi_schemas
from api.query.openapi_schemas import Schema, singular
from events import schema
from events.catalogue import CATALOGUE
from events.envelope import MAX_BODY_BYTES
from journal import change_capture
from providers.payments.standard_webhooks import PAYMENTS
from queries.schema import COLLECTIONS

ROOT = "#/components/schemas/"
PING = "Ping"
CLOUD_EVENT = "application/cloudevents+json"

DESCRIPTION = """
What Order Lifecycle Workers are told, and what they tell.

Events come in as [CloudEvents 1.0](https://cloudevents.io) in JSON. `source` and `id` together are an event's
idempotency key: the same event may come any number of times, and in any order, and is applied once.

Changes go out as webhooks to everybody who subscribed to them: `orders webhooks add URL --collections orders,returns`.

Both are signed as [Standard Webhooks](https://www.standardwebhooks.com) has it.
"""
SIGNED: Schema = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {"type": "string", "description": "The same however often it is sent."},
        "webhook-timestamp": {"type": "string", "pattern": "^[0-9]+$", "description": "Seconds since 1970."},
        "webhook-signature": {
            "type": "string",
            "description": "`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64; several, separated by blanks.",
        },
    },
}


def document() -> dict[str, Any]:
    """AsyncAPI 3.0, the same at every call."""
    told = [COLLECTIONS[name] for name in change_capture.COLLECTIONS]
    outgoing = {f"{singular(of)}Change": of for of in told}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Order Lifecycle Workers",
            "version": version("order-lifecycle-workers"),
            "description": DESCRIPTION,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "paymentWebhook": {
                "address": "/webhooks/payments/standard",
                "title": "Payment events, posted",
                "description": "For payment providers of your own, and for your backend. Open once "
                "ORDERS_STANDARD_SECRETS is set. 202: new and committed; 200: known already; 401: not well signed.",
                "messages": _refer("messages", PAYMENTS),
            },
            "file": {
                "address": None,
                "title": "Events of any type, from a file",
                "description": "NDJSON, one event per line, plain or as .gz: `orders ingest PATH`.",
                "messages": _refer("messages", CATALOGUE),
            },
            "changes": {
                "address": None,
                "title": "Changes, posted to who subscribed",
                "description": "Posted to the subscription's URL, in the order of the changes of each order; again over "
                "three days until it is answered 2xx.",
                "messages": _refer("messages", [*outgoing, PING]),
            },
        },
        "operations": {
            "receivePaymentEvent": _operation(
                "receive", "paymentWebhook", PAYMENTS, "Take an event of a payment; the raw body is verified first."
            ),
            "ingestEvents": _operation("receive", "file", CATALOGUE, "Take the events of a file, in any order."),
            "sendChange": _operation("send", "changes", [*outgoing, PING], "Tell what became of a document."),
        },
        "components": {
            "messages": {
                **{kind: _event(kind) for kind in CATALOGUE},
                **{name: _message(name, f"One of {of.name} was created or updated.") for name, of in outgoing.items()},
                PING: _message(PING, "`orders webhooks test`: nothing changed."),
            },
            "schemas": {
                "SignedHeaders": SIGNED,
                **dict(sorted(schema.schemas(ROOT).items())),
                **{f"{singular(of)}Document": openapi_schemas.document_schema(of, bare=True) for of in told},
                **{name: _change(of.name, openapi_schemas.reference(of)) for name, of in outgoing.items()},
                PING: _change(
                    "ping", {"type": "object", "properties": {"subscription": {"type": "string"}}}, ["create"]
                ),
            },
        },
    }


def _refer(kind: str, names: Any) -> dict[str, Schema]:
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}


def _operation(action: str, channel: str, names: Any, summary: str) -> dict[str, Any]:
    made = {
        "action": action,
        "summary": summary,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }
    return made if channel == "file" else {**made, "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}}}


def _event(kind: str) -> dict[str, Any]:
    made = _message(kind, CATALOGUE[kind].__doc__ or "", f"{kind}Event")
    made |= {"contentType": CLOUD_EVENT, "description": f"At most {MAX_BODY_BYTES} bytes of data."}
    if kind not in PAYMENTS:
        del made["headers"]  # nobody posts it
    return made


def _message(name: str, summary: str, payload: str | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "summary": summary,
        "headers": {"$ref": f"{ROOT}SignedHeaders"},
        "payload": {"$ref": f"{ROOT}{payload or name}"},
    }


def _change(collection: str, data: Schema, operations: Any = change_capture.OPERATIONS) -> Schema:
    properties: Schema = {
        "collection": {"const": collection},
        "operation": {"enum": list(operations)},
        "data": data,
        "timestamp": {"type": "string", "format": "date-time", "description": "When the change was made."},
    }
    return {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}
