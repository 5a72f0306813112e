"""The client's models are the table of fields: the same names, the same types, null in the same places."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Union, get_type_hints

import pytest
from pydantic import BaseModel

from api.query.openapi_schemas import TIMELINE_ENTRY
from order_lifecycle_client import models
from queries.fields import Collection, Field, Kind
from queries.schema import ALIASES, COLLECTIONS, collection_of

RELATED: Any = models.Related  # their parameters are values here
JOIN: Any = models.Join
# in lists of the collection
OBJECTS: Any = {
    "orders": models.Hold,
    "transactions": models.Dispute,
    "refunds": models.RefundReason,
    "findings": models.FindingValue,
}
PLAIN = {Kind.TEXT: str, Kind.KEY: str, Kind.ID: str, Kind.TIME: datetime, Kind.NAMES: list[str], Kind.TRUTH: bool}


def named(model: type[BaseModel]) -> dict[str, Any]:
    """The type of each field of a model, by its name on the wire."""
    hints = get_type_hints(model, vars(models))
    return {field.alias or name: hints[name] for name, field in model.model_fields.items()}


def typed(of: Collection, name: str, field: Field) -> Any:
    """The type that the table gives a field."""
    if field.to is not None:
        found: Any = RELATED[models.COLLECTIONS[field.to]]
    elif field.kind is Kind.GROUP:
        found = getattr(models, name[0].upper() + name[1:])
    elif field.kind is Kind.OBJECTS:
        found = list[OBJECTS[of.name]]
    elif field.kind is Kind.NUMBER:
        found = int if field.whole(of.table) else Decimal
    else:
        found = PLAIN[field.kind]
    return Union[found, None] if field.nullable(of.table) else found  # noqa: UP007


def joined(of: Collection) -> dict[str, Any]:
    return {name: JOIN[models.COLLECTIONS[each.collection]] for name, each in of.joins.items()}


def test_the_client_knows_every_collection_and_alias():
    assert set(models.COLLECTIONS) == {*COLLECTIONS, *ALIASES}
    for alias in ALIASES:
        assert models.COLLECTIONS[alias] is models.COLLECTIONS[collection_of(alias).name]


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_model_has_the_fields_of_its_collection(name):
    of = COLLECTIONS[name]
    fields = {each: typed(of, each, field) for each, field in of.fields.items() if "." not in each}
    assert named(models.COLLECTIONS[name]) == fields | joined(of)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_every_field_of_an_answer_is_asked_for(name):
    """No default stands in for a field that the API always answers; null is answered as null."""
    assert all(field.is_required() for field in models.COLLECTIONS[name].model_fields.values())


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_in_a_list_has_its_own_fields(name):
    """Several such lists of one document hold objects of one class."""
    lists = [field for field in COLLECTIONS[name].fields.values() if field.kind is Kind.OBJECTS]
    assert lists
    for listed in lists:
        fields = {each: PLAIN.get(part.kind, Decimal) for each, part in listed.parts}
        null = {each for each, part in listed.parts if not part.always}
        assert named(OBJECTS[name]) == {
            each: Union[kind, None] if each in null else kind  # noqa: UP007
            for each, kind in fields.items()
        }


GROUPS = [(of, name) for of in COLLECTIONS.values() for name, field in of.fields.items() if field.kind is Kind.GROUP]


@pytest.mark.parametrize(("of", "group"), GROUPS, ids=[name for _, name in GROUPS])
def test_a_group_has_its_own_fields(of, group):
    """A field that nobody gave is absent in a group, so each has None by default."""
    model = getattr(models, group[0].upper() + group[1:])
    parts = {name.partition(".")[2]: field for name, field in of.fields.items() if name.startswith(f"{group}.")}
    assert named(model) == {name: typed(of, name, field) for name, field in parts.items()}
    assert all(field.default is None for field in model.model_fields.values())


JSON = {"string": str, "integer": int, "boolean": bool, "object": dict[str, Any]}


def described(schema: dict[str, Any]) -> Any:
    """The type that a schema of OpenAPI describes."""
    told = schema.get("type", "string")  # an enum's values are texts
    kind, null = (told[0], True) if isinstance(told, list) else (told, False)
    found: Any = datetime if schema.get("format") == "date-time" else JSON[kind]
    return Union[found, None] if null else found  # noqa: UP007


def test_a_timelines_entry_is_what_openapi_says():
    promised = {name: described(schema) for name, schema in TIMELINE_ENTRY["properties"].items()}
    for name in ("data", "detail"):  # for a secret key alone
        assert models.TimelineEntry.model_fields[name].default is None
        promised[name] = Union[promised[name], None]  # noqa: UP007
    assert named(models.TimelineEntry) == promised
    required = {field.alias for field in models.TimelineEntry.model_fields.values() if field.is_required()}
    assert required == set(TIMELINE_ENTRY["required"])
