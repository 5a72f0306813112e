"""Parameters of a query in the words of OpenAPI, made from the table of fields.

OpenAPI knows no name for brackets within brackets. So `where` is described as the JSON text that it may also be,
and a client made from the document sends that.
"""

from __future__ import annotations

from typing import Any

from api.query import overdue
from api.query.openapi_schemas import Schema, singular
from queries.fields import Collection, Kind
from queries.filters import MOST_CONDITIONS, MOST_VALUES
from queries.filters import MOST_DEPTH as MOST_BRANCHES
from queries.operators import MOST_WORDS
from queries.parser import LIMIT, MOST_DEPTH, MOST_LIMIT, MOST_PAGE, MOST_SORTS
from queries.querystring import MOST_JSON, MOST_TEXT
from queries.repository import MOST_ALL
from queries.schema import COLLECTIONS, REFUNDS

EXAMPLE = {"createdAt": {"greater_than": "2026-01-01T00:00:00.000Z"}}
BOOLEAN: Schema = {"type": "boolean"}

_LIMIT: Schema = {"type": "integer", "minimum": 0, "maximum": MOST_LIMIT, "default": LIMIT}
_PAGE: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_PAGE, "default": 1}
_SORT: Schema = {"type": "string", "maxLength": MOST_TEXT, "pattern": f"^([^,]*,){{0,{MOST_SORTS - 1}}}[^,]*$"}
_JOINED: Schema = {
    "type": "object",
    "properties": {
        "limit": _LIMIT,
        "page": _PAGE,
        "sort": _SORT,
        "where": {"type": "object"},
        "count": {**BOOLEAN, "default": False},
    },
    "additionalProperties": False,
}

# -- where: a schema per collection, over one per kind of field -------------------------------------------------

_TEXT: Schema = {"type": ["string", "number", "boolean", "null"], "maxLength": MOST_TEXT}
_SOME_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": MOST_TEXT}
_SOME_KEY: Schema = {**_SOME_TEXT, "not": {"const": "null"}}
_NUMBER: Schema = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?[0-9]{1,20}(\.[0-9]{1,10})?$"}]}
_TIME: Schema = {
    "anyOf": [
        {"type": "string", "format": "date-time", "description": "Or a date."},
        {
            "type": "number",
            "description": "Milliseconds since 1970.",
            "minimum": -62135596800000,
            "maximum": 253402300799999,
        },
    ]
}
_NOTHING: Schema = {"enum": [None, "", "null"], "description": "That there is none."}
_WORDS: Schema = {
    "type": "string",
    "description": f"At most {MOST_WORDS} words.",
    "maxLength": MOST_TEXT,
    "pattern": rf"^\s*(\S+(\s+|$)){{0,{MOST_WORDS}}}$",
}
_PART: Schema = {"type": "string", "description": "As it stands.", "maxLength": MOST_TEXT}


def _or_null(value: Schema) -> Schema:
    return {"anyOf": [*value["anyOf"], _NOTHING]} if "anyOf" in value else value


def _asked(value: Schema, *operators: str, compared: Schema | None = None) -> Schema:
    """The operators of one kind of field; `value` is what a field of that kind is, `compared` what it is held beside."""
    any_value = _or_null(value)
    many = {"type": "array", "items": any_value, "maxItems": MOST_VALUES}
    kinds = {
        **dict.fromkeys(("equals", "not_equals"), any_value),
        **dict.fromkeys(("in", "not_in", "all"), many),
        "exists": BOOLEAN,
        **dict.fromkeys(("greater_than", "greater_than_equal", "less_than", "less_than_equal"), compared or value),
        **dict.fromkeys(("like", "not_like"), _WORDS),
        "contains": _PART,
    }
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {name: kinds[name] for name in operators or kinds},
    }


_EQUAL = ("equals", "not_equals", "in", "not_in", "all", "exists")
_COMPARED = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_ALIKE = ("like", "not_like", "contains")
_CONDITIONS: dict[Kind, tuple[str, Schema]] = {
    Kind.TEXT: ("TextCondition", _asked(_TEXT, compared=_SOME_TEXT)),
    Kind.KEY: ("KeyCondition", _asked(_TEXT, compared=_SOME_KEY)),
    Kind.ID: ("IdCondition", _asked(_TEXT, *_EQUAL, *_COMPARED, compared=_SOME_KEY)),
    Kind.NUMBER: ("NumberCondition", _asked(_NUMBER, *_EQUAL, *_COMPARED)),
    Kind.TIME: ("TimeCondition", _asked(_TIME, *_EQUAL, *_COMPARED)),
    Kind.TRUTH: ("TruthCondition", _asked(BOOLEAN, *_EQUAL)),
    Kind.NAMES: ("ListCondition", _asked(_TEXT, *_EQUAL, *_ALIKE)),
    Kind.GROUP: ("GroupCondition", _asked(_TEXT, "exists")),
    Kind.OBJECTS: ("GroupCondition", _asked(_TEXT, "exists")),
}
_OVERDUE: Schema = {
    "type": "object",
    "description": "Late by the legal clock (ORDERS_REFUND_WITHIN), whatever the refund waits for.",
    "properties": {"equals": {"type": "boolean"}},
    "required": ["equals"],
    "additionalProperties": False,
}
_BEYOND: tuple[str, Schema] = (
    "Condition",
    {**_asked(_TEXT, compared=_SOME_KEY), "description": "Of a field over relationships: `orderItem.order.status`."},
)


def conditions() -> dict[str, Schema]:
    """The parts of a where, for the components."""
    return dict([*_CONDITIONS.values(), _BEYOND]) | {f"{singular(of)}Where": _where(of) for of in COLLECTIONS.values()}


def _where(of: Collection) -> Schema:
    branch = {"type": "array", "items": _named(f"{singular(of)}Where"), "maxItems": MOST_CONDITIONS}
    return {
        "type": "object",
        "description": f"All of these hold. At most {MOST_CONDITIONS} conditions, and {MOST_BRANCHES} levels of and / or; as JSON {MOST_JSON} characters.",
        "properties": {
            **{name: _named(_CONDITIONS[field.kind][0]) for name, field in of.fields.items()},
            **({overdue.FIELD: _OVERDUE} if of is REFUNDS else {}),
            "and": branch,
            "or": branch,
        },
        "additionalProperties": _named(_BEYOND[0]) if any(field.to for field in of.fields.values()) else False,
    }


def _named(component: str) -> Schema:
    return {"$ref": f"#/components/schemas/{component}"}


# -- parameters ----------------------------------------------------------------------------------------------


def parameters(of: Collection, *, many: bool, counting: bool = False) -> list[Schema]:
    """The parameters of a query: of `many` documents, or of one; a count takes the where alone."""
    found = [where(of)] if many else []
    if many and not counting:
        found += [
            _sort(),
            *pages(),
            _parameter("pagination", "false: all documents, uncounted.", {**BOOLEAN, "default": True}),
        ]
    if not counting:
        found += [
            _parameter(
                "depth",
                f"0: relationships are ids. 1: documents. Above {MOST_DEPTH} is answered as {MOST_DEPTH}.",
                {"type": "integer", "minimum": 0, "maximum": MOST_PAGE, "default": 0},
            ),
            _deep(
                "select",
                "Which fields to show, `select[status]=true`, or to leave out, `select[status]=false`.",
                _selectable(of),
            ),
        ]
        if of.joins:
            found.append(
                _deep(
                    "joins",
                    "What hangs on it, by name: `joins[NAME][limit]=5`, `[page]`, `[sort]`, `[where]`, `[count]=true`. "
                    "`joins[NAME]=false` is none of it, and `joins=false` nothing at all.",
                    {"type": "object", "properties": dict.fromkeys(of.joins, _JOINED), "additionalProperties": False},
                )
            )
    return found


def pages() -> list[Schema]:
    """The parameters of a page: its number and its length."""
    return [
        _parameter("limit", f"Documents per page, at most {MOST_LIMIT}; 0 is all of them, up to {MOST_ALL}.", _LIMIT),
        _parameter("page", "Which page.", _PAGE),
    ]


def selecting(of: Collection) -> list[Schema]:
    """The parameters that select the documents of a bulk update."""
    return [
        {**where(of), "required": True},
        _parameter("limit", "At most so many of them; 0 is all.", {**_LIMIT, "default": 0}),
        _sort(),
    ]


def where(of: Collection) -> Schema:
    """The parameter that says which documents."""
    paths = ", ".join(name for name, field in of.fields.items() if field.kind is not Kind.GROUP)
    over = ", ".join(f"{name}.…" for name, field in of.fields.items() if field.to)
    return {
        "name": "where",
        "in": "query",
        "description": "As JSON, or in brackets: `where[field][operator]=value`, `where[or][0][field][operator]=value`. "
        f"Fields: {paths}" + (f"; over relationships: {over}." if over else "."),
        "content": {"application/json": {"schema": _named(f"{singular(of)}Where"), "example": EXAMPLE}},
    }


def _selectable(of: Collection) -> Schema:
    properties: dict[str, Schema] = {}
    for name, field in of.fields.items():
        group, _, part = name.partition(".")
        if field.kind is Kind.GROUP:
            parts: Schema = {"type": "object", "properties": {}, "additionalProperties": False, "minProperties": 1}
            properties[name] = {"anyOf": [BOOLEAN, parts]}
        elif part:
            properties[group]["anyOf"][1]["properties"][part] = BOOLEAN
        else:
            properties[name] = BOOLEAN
    properties |= dict.fromkeys(of.joins, BOOLEAN)
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _sort() -> Schema:
    return _parameter(
        "sort", "Fields, comma-separated; a leading `-` descends. Others are ignored.", _SORT, "-createdAt"
    )


def _deep(name: str, description: str, schema: Schema) -> Schema:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "style": "deepObject",
        "explode": True,
        "schema": schema,
        "example": {},
    }


def _parameter(name: str, description: str, schema: Schema, example: Any = None) -> Schema:
    made: Schema = {"name": name, "in": "query", "description": description, "schema": schema}
    return made if example is None else {**made, "example": example}
