"""Queries may say what the document says that they may."""

from __future__ import annotations

import json

import pytest

from api.query.openapi_parameters import conditions, parameters, selecting
from queries.filters import OPERATORS
from queries.parser import JoinQuery, parse
from queries.schema import COLLECTIONS


def test_every_operator_is_described():
    described = conditions()
    assert tuple(described["Condition"]["properties"]) == OPERATORS
    assert all(
        set(each.get("properties", ())) <= {*OPERATORS} for name, each in described.items() if "Where" not in name
    )


@pytest.mark.parametrize("name", COLLECTIONS)
def test_every_join_and_every_field_is_described(name):
    of = COLLECTIONS[name]
    described = {each["name"]: each for each in parameters(of, many=True)}
    shown = described["select"]["schema"]["properties"]
    assert shown.keys() == {field for field in of.fields if "." not in field} | of.joins.keys()
    assert described.get("joins", {}).get("schema", {}).get("properties", {}).keys() == of.joins.keys()
    for operation in (parameters(of, many=False), parameters(of, many=True, counting=True), selecting(of)):
        assert {each["name"] for each in operation} <= described.keys()


def test_the_examples_are_taken():
    asked = {each["name"]: each for each in parameters(COLLECTIONS["orders"], many=True)}
    example = json.dumps(asked["where"]["content"]["application/json"]["example"])
    assert parse(f"where={example}&sort={asked['sort']['example']}").sort == ("-createdAt",)


def test_a_join_of_which_nothing_is_said_is_there():
    assert parse("joins[products]=").joins == {"products": JoinQuery()}


@pytest.mark.parametrize("number", ["1.7976931348623157e308", "5e-324", "-1e300", "0.1"])
def test_every_number_of_javascript_can_be_asked_for(number):
    from queries.coercion import single
    from queries.fields import Kind

    assert float(single(number, Kind.NUMBER, "totalAmount")) == float(number)
