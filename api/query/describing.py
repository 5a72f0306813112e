"""The collections in the words of OpenAPI, made from the table of collections: documents, answers, parameters."""

from __future__ import annotations

from typing import Any

from api.query.collections import Collection, Field, Kind
from api.query.finding import MOST_ALL
from api.query.parsing import LIMIT, MOST_DEPTH, MOST_LIMIT
from api.query.where import OPERATORS

Schema = dict[str, Any]

_TYPES: dict[Kind, Schema] = {
    Kind.TEXT: {"type": "string"},
    Kind.KEY: {"type": "string"},
    Kind.ID: {"type": "string"},
    Kind.NUMBER: {"type": "number"},
    Kind.TIME: {"type": "string", "format": "date-time"},
    Kind.NAMES: {"type": "array", "items": {"type": "string"}},
    Kind.GROUP: {"type": "object"},
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
HAPPENING: Schema = {
    "type": "object",
    "description": "An event and what became of it. `data` and `detail` for a secret key alone.",
    "properties": {
        "id": {"type": "string"},
        "source": {"type": "string"},
        "type": {"type": "string"},
        "time": {"type": "string", "format": "date-time", "description": "When it happened."},
        "acceptedAt": {"type": "string", "format": "date-time"},
        "decidedAt": {"type": ["string", "null"], "format": "date-time"},
        "outcome": {"enum": ["applied", "ignored", "parked", "dead", "waiting"]},
        "reason": {"type": ["string", "null"]},
        "text": {"type": ["string", "null"], "description": "The reason in words."},
        "stepFrom": {"type": ["string", "null"]},
        "stepTo": {"type": ["string", "null"]},
    },
}


def document_schema(of: Collection) -> Schema:
    """A document of the collection, as far as `select` and `joins` leave it whole."""
    properties = {name: _field(of, field) for name, field in of.fields.items() if "." not in name}
    for name, field in of.fields.items():
        group, _, part = name.partition(".")
        if part:
            properties[group].setdefault("properties", {})[part] = _field(of, field)
    for name, joined in of.joins.items():
        properties[name] = {
            "type": "object",
            "description": f"{joined.collection} that belong to it: ids at depth 0, documents from depth 1.",
            "required": ["docs", "hasNextPage"],
            "properties": {
                "docs": {"type": "array"},
                "hasNextPage": {"type": "boolean"},
                "totalDocs": {"type": "integer", "description": f"With joins[{name}][count]=true."},
            },
        }
    return {"type": "object", "description": of.about, "required": ["id"], "properties": properties}


def list_schema(docs: Schema) -> Schema:
    """A list answer of such documents."""
    properties = {"docs": {"type": "array", "items": docs}, **_PAGE}
    return {"type": "object", "required": list(properties), "properties": properties}


def parameters(of: Collection, *, many: bool, counting: bool = False) -> list[Schema]:
    """What a query may say: of `many` documents, or of one; a count takes the where alone."""
    found = [_where(of)] if many else []
    if many and not counting:
        found += [
            _parameter("sort", "Fields, comma-separated; a leading `-` descends. Others are ignored.", "-createdAt"),
            _parameter(
                "limit",
                f"Documents a page, at most {MOST_LIMIT}; 0 is all of them, up to {MOST_ALL}.",
                kind={"type": "integer", "minimum": 0, "maximum": MOST_LIMIT, "default": LIMIT},
            ),
            _parameter("page", "Which page.", kind={"type": "integer", "minimum": 1, "default": 1}),
            _parameter("pagination", "false: all documents, uncounted.", kind={"type": "boolean", "default": True}),
        ]
    if not counting:
        found += [
            _parameter(
                "depth",
                f"0: relationships are ids. 1: documents. Above {MOST_DEPTH} is answered as {MOST_DEPTH}.",
                kind={"type": "integer", "minimum": 0, "default": 0},
            ),
            _deep("select", "Which fields to show, `select[status]=true`, or to leave out, `select[status]=false`."),
        ]
        if of.joins:
            names = ", ".join(of.joins)
            found.append(
                _deep(
                    "joins",
                    f"By name ({names}): `joins[x][limit]` (default {LIMIT}), `[page]`, `[sort]`, `[where]`, "
                    "`[count]=true`, or `joins[x]=false`; `joins=false` is none of them.",
                )
            )
    return found


def _where(of: Collection) -> Schema:
    paths = ", ".join(name for name, field in of.fields.items() if field.kind is not Kind.GROUP)
    over = ", ".join(f"{name}.…" for name, field in of.fields.items() if field.to)
    return _deep(
        "where",
        f"`where[field][operator]=value`, with `where[and][0]…` and `where[or][0]…`, or JSON. Operators: "
        f"{', '.join(OPERATORS)}. Fields: {paths}" + (f"; over relationships: {over}." if over else "."),
    )


def _deep(name: str, description: str) -> Schema:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "style": "deepObject",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": True},
    }


def _parameter(name: str, description: str, example: str | None = None, kind: Schema | None = None) -> Schema:
    made: Schema = {"name": name, "in": "query", "description": description, "schema": kind or {"type": "string"}}
    return made if example is None else {**made, "example": example}


def _field(of: Collection, field: Field) -> Schema:
    schema = dict(_TYPES[field.kind])
    if field.to is not None:
        schema = {
            "type": ["string", "object"],
            "description": f"The id of one of {field.to}; from depth 1 the document.",
        }
    if field.nullable(of.table):
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = [*kinds, "null"]
    return schema
