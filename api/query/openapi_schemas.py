"""Documents and list answers in the words of OpenAPI, made from the table of fields."""

from __future__ import annotations

from typing import Any

from queries.fields import Collection, Field, Join, Kind
from queries.schema import COLLECTIONS
from queries.timeline import SCAN

Schema = dict[str, Any]

_TYPES: dict[Kind, Schema] = {
    Kind.TEXT: {"type": "string"},
    Kind.KEY: {"type": "string"},
    Kind.ID: {"type": "string"},
    Kind.NUMBER: {"type": "number"},
    Kind.TIME: {"type": "string", "format": "date-time"},
    Kind.TRUTH: {"type": "boolean"},
    Kind.NAMES: {"type": "array", "items": {"type": "string"}},
    Kind.GROUP: {"type": "object"},
    Kind.OBJECTS: {"type": "array"},
}
_PAGE: dict[str, Schema] = {
    "totalDocs": {"type": "integer"},
    "limit": {"type": "integer"},
    "totalPages": {"type": "integer"},
    "page": {"type": "integer"},
    "pagingCounter": {"type": "integer", "description": "The number of the first document of the page."},
    "hasPrevPage": {"type": "boolean"},
    "hasNextPage": {"type": "boolean"},
    "prevPage": {"type": ["integer", "null"]},
    "nextPage": {"type": ["integer", "null"]},
}
COUNT: Schema = {"type": "object", "required": ["totalDocs"], "properties": {"totalDocs": {"type": "integer"}}}
_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_TIME: Schema = _TYPES[Kind.TIME]
_TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
_SCAN: Schema = {
    "type": ["object", "null"],
    "description": "What a carrier told of a parcel; null where the event is no scan.",
    "properties": dict.fromkeys(SCAN, _TEXT_OR_NULL) | {"estimatedDelivery": _TIME_OR_NULL},
}
_ENTRY: dict[str, Schema] = {
    "seq": {"type": "integer", "description": "Its place in the journal."},
    "source": _TEXT,
    "id": {**_TEXT, "description": "With `source` the event's idempotency key."},
    "type": _TEXT,
    "time": {**_TIME, "description": "When it happened."},
    "acceptedAt": _TIME,
    "decidedAt": _TIME_OR_NULL,
    "outcome": {"enum": ["applied", "ignored", "parked", "dead", "waiting"]},
    "reason": _TEXT_OR_NULL,
    "text": {**_TEXT_OR_NULL, "description": "The reason in words."},
    "number": {"type": ["integer", "null"], "description": "Among the order's applied events."},
    "stepFrom": _TEXT_OR_NULL,
    "stepTo": _TEXT_OR_NULL,
    "implied": {**_TEXT_OR_NULL, "description": "The step that followed from it though nobody told it."},
    "until": {**_TIME_OR_NULL, "description": "How long a parked event waits."},
    "deliveries": {"type": "integer", "description": "How often it came."},
    "corrected": {"type": "boolean", "description": "Whether an operator changed its data."},
    "scan": _SCAN,
}
TIMELINE_ENTRY: Schema = {
    "type": "object",
    "description": "An event and what became of it. `data` and `detail` for a secret key alone.",
    "required": list(_ENTRY),
    "properties": {**_ENTRY, "detail": _TEXT_OR_NULL, "data": {"type": "object"}},
}


_SUMS = {
    "captured": "What came, and was not taken back by a bank.",
    "reversed": "What came once, and was taken back by a bank.",
    "lost": "What of `captured` is gone by disputes.",
    "contested": "What of `captured` open disputes are about.",
    "payable": "The price of what the payers keep.",
    "due": "What is due back in all, whether it has gone back or not.",
    "refunded": "What went back, whoever made it.",
    "refunding": "What is on its way back.",
    "settled": "What was paid back past the providers.",
    "failed": "What of `owed` was tried in vain: a person tries again, or settles it.",
    "owed": "What is due and has yet to go back.",
}
BALANCE: Schema = {
    "type": "object",
    "description": "Sums over all payments of an order, in its currency, major units.",
    "required": ["currency", *_SUMS],
    "properties": {
        "currency": _TEXT,
        **{name: {"type": "number", "description": each} for name, each in _SUMS.items()},
    },
}


def singular(of: Collection) -> str:
    """The name of one document: `OrderItem` of order-items."""
    return "".join(word.capitalize() for word in of.name.removesuffix("s").split("-"))


def reference(of: Collection) -> Schema:
    """Stands for `document_schema`, which stands among the components."""
    return {"$ref": f"#/components/schemas/{singular(of)}Document"}


def documents() -> dict[str, Schema]:
    """The documents of all collections, for the components."""
    return {f"{singular(of)}Document": document_schema(of) for of in COLLECTIONS.values()}


def document_schema(of: Collection, *, bare: bool = False) -> Schema:
    """A document of the collection, as far as `select` and `joins` leave it; `bare` at depth 0, with all its fields."""
    properties: dict[str, Schema] = {}
    for name, field in of.fields.items():
        group, _, part = name.partition(".")
        if part:
            properties[group].setdefault("properties", {})[part] = _field(of, field, bare)
        else:
            properties[name] = _field(of, field, bare)
    for name, joined in of.joins.items():
        properties[name] = _join(name, joined, bare)
    required = list(properties) if bare else ["id"]
    return {"type": "object", "description": of.about, "required": required, "properties": properties}


def whole(of: Collection) -> Schema:
    """A document with all its fields, as a write answers it."""
    shown = [*(name for name in of.fields if "." not in name), *of.joins]
    return {"allOf": [reference(of), {"required": shown}]}


def list_schema(docs: Schema) -> Schema:
    """A list answer of such documents."""
    properties = {"docs": {"type": "array", "items": docs}, **_PAGE}
    return {"type": "object", "required": list(properties), "properties": properties}


def _field(of: Collection, field: Field, bare: bool) -> Schema:
    nullable = field.nullable(of.table)
    if field.to is not None:
        target = COLLECTIONS[field.to]
        if not bare:
            kinds = [_TEXT, reference(target), *([{"type": "null"}] if nullable else [])]
            return {"description": f"The id of one of {target.name}; from depth 1 the document.", "anyOf": kinds}
        return {"type": ["string", "null"] if nullable else "string", "description": f"The id of one of {target.name}."}
    schema = dict(_TYPES[field.kind])
    if field.kind is Kind.OBJECTS:
        return {**schema, "items": _object(field)}
    if field.whole(of.table):
        schema["type"] = "integer"
    if field.words:
        schema["enum"] = [*field.words, *([None] if nullable else [])]
    if nullable:
        schema["type"] = [schema["type"], "null"]
    return schema


def _object(field: Field) -> Schema:
    """One of the objects that a list holds, all its fields required."""
    properties: dict[str, Schema] = {}
    for name, part in field.parts:
        schema = dict(_TYPES[part.kind])
        if part.words:
            schema["enum"] = list(part.words)
        if not part.always:
            schema["type"] = [schema["type"], "null"]
        properties[name] = schema
    return {"type": "object", "required": list(properties), "properties": properties}


def _join(name: str, joined: Join, bare: bool) -> Schema:
    of = COLLECTIONS[joined.collection]
    made: Schema = {
        "type": "object",
        "description": f"The ids of {of.name} that belong to it.",
        "required": ["docs", "hasNextPage"],
        "properties": {"docs": {"type": "array", "items": _TEXT}, "hasNextPage": {"type": "boolean"}},
    }
    if not bare:
        made["description"] = f"{of.name} that belong to it: ids at depth 0, documents from depth 1."
        made["properties"]["docs"]["items"] = {"anyOf": [_TEXT, reference(of)]}
        made["properties"]["totalDocs"] = {"type": "integer", "description": f"With joins[{name}][count]=true."}
    return made
