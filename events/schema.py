"""Every event of the catalogue as JSON Schema (draft 7): what a sender writes, and nothing that only the journal adds.

Each type has two: its CloudEvent, `OrderCreatedEvent`, and its data, `OrderCreated`. Schemas refer to each other under
`root`. They tell a sender how to write; a reader of the journal takes more (`events.catalogue.decode`).
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from events.catalogue import CATALOGUE, NEWEST, WITHOUT_SUBJECT
from events.envelope import MAX_NAME, OWN_SOURCE, SCHEMA_ROOT
from events.field_types import CURRENCY_SCHEMA

Schema = dict[str, Any]

_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
_TEXT: Schema = {"type": "string", "maxLength": 10_000}
_CURRENCY: Schema = {**CURRENCY_SCHEMA, "description": "ISO 4217; the shop's where none is given."}


def _texts(description: str, *names: str) -> Schema:
    return {"type": "object", "description": description, "properties": dict.fromkeys(names, _TEXT)}


# What the journal takes out of a body into `personal`, by the type that may have it.
_NOTE: dict[str, Schema] = {"note": _TEXT}
_OF_ORDER: dict[str, Schema] = {
    "customerSnapshot": _texts("Who ordered, as of then.", "name", "email", "phone"),
    "shippingAddress": _texts(
        "Where it goes.", "recipientName", "phone", "postalCode", "address1", "address2", "deliveryMessage"
    ),
    "notes": _TEXT,
}
_PERSONAL: dict[str, dict[str, Schema]] = {
    "OrderCreated": _OF_ORDER,
    "OrderEdited": _OF_ORDER,
    **dict.fromkeys(
        (
            "ReturnRequested",
            "ReturnApproved",
            "ReturnRejected",
            "ReturnProcessingStarted",
            "ReturnReceived",
            "ReturnTrackingChanged",
        ),
        _NOTE,
    ),
    **dict.fromkeys(("RefundRequested", "RefundSettled"), _NOTE),
}


class _Plain(GenerateJsonSchema):
    """Without titles that repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def version_of(kind: str) -> int:
    """The version of a type's data that is described."""
    return NEWEST.get(kind, 1)


def schemas(root: str) -> dict[str, Schema]:
    """Every schema by its name; a reference is `root` and a name."""
    models = [(body, "validation") for body in CATALOGUE.values()]
    _, made = models_json_schema(models, by_alias=True, ref_template=f"{root}{{model}}", schema_generator=_Plain)  # type: ignore[arg-type]
    bodies: dict[str, Schema] = made["$defs"]
    for name, body in bodies.items():
        _as_sent(name, body)
    return bodies | {f"{kind}Event": _event(kind, f"{root}{kind}") for kind in CATALOGUE}


def _as_sent(name: str, body: Schema) -> None:
    """A sender writes personal fields as fields, and never the name of the row that they end in."""
    properties = body["properties"]
    if properties.pop("personal", None):
        body["description"] = body["description"].partition(" `personal`")[0]
    properties |= _PERSONAL.get(name, {})
    if "currency" in properties:
        properties["currency"] = _CURRENCY


def _event(kind: str, data: str) -> Schema:
    version = version_of(kind)
    subject: Schema = {**_NAME, "description": "The order's number."}
    required = ["specversion", "id", "source", "type", "time", "data"]
    if kind in WITHOUT_SUBJECT:
        subject["description"] = (
            "The order's number, where the sender knows it; else the payment or parcel leads to it."
        )
    else:
        required.append("subject")
    return {
        "type": "object",
        "description": CATALOGUE[kind].__doc__,
        "required": required,
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {**_NAME, "description": "With `source` the idempotency key: the same again changes nothing."},
            "source": {**_NAME, "description": "Who tells it.", "not": {"pattern": f"^{OWN_SOURCE}(/|$)"}},
            "type": {"const": kind},
            "time": {"type": "string", "format": "date-time", "description": "When it happened; with its offset."},
            "subject": subject,
            "dataschema": {
                "type": "string",
                "pattern": f"/{kind}/{version}$",
                "description": "Ends in the type and the version of its data; version 1 where there is none.",
                "examples": [f"{SCHEMA_ROOT}/{kind}/{version}"],
            },
            "data": {"$ref": data},
        },
    }
