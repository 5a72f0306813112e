"""docs/reference/*.json are what the code says, and each is sound: OpenAPI 3.1, AsyncAPI 3.0."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from cli.schema import Kind, document
from events.catalogue import CATALOGUE
from journal import change_capture
from providers.payments.standard_webhooks import PAYMENTS
from queries.schema import COLLECTIONS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
KINDS: tuple[Kind, ...] = ("openapi", "asyncapi")


@pytest.fixture(scope="module", params=KINDS)
def described(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(document(request.param))


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return json.loads(document("openapi"))


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    return json.loads(document("asyncapi"))


def references(node: Any) -> Iterator[str]:
    """Every `$ref` below a node."""
    if isinstance(node, dict):
        if isinstance(told := node.get("$ref"), str):
            yield told
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def found(document: dict[str, Any], reference: str) -> Any:
    """The target of a reference; KeyError where that is nothing."""
    assert reference.startswith("#/"), f"{reference} leads out of the document"
    at = document
    for part in reference[2:].split("/"):
        at = at[part]
    return at


# -- both --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_what_the_code_says(kind):
    path = REFERENCE / f"{kind}.json"
    stale = f"{path} is stale; run `orders schema {kind} --output docs/reference/{kind}.json`"
    assert path.read_text(encoding="utf-8") == document(kind), stale


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_is_the_same_bytes_each_time(kind):
    assert document(kind) == document(kind)


def test_every_reference_leads_somewhere_in_the_document(described):
    told = list(references(described))
    assert len(told) > 50
    for reference in told:
        found(described, reference)


def test_nothing_among_the_components_is_idle(described):
    used = set(references(described))
    for kind, members in described["components"].items():
        if kind != "securitySchemes":
            idle = {name for name in members if f"#/components/{kind}/{name}" not in used}
            assert not idle, f"nobody refers to {idle}"


def test_every_schema_is_a_schema(described):
    validator = jsonschema_rs.Draft7Validator if "asyncapi" in described else jsonschema_rs.Draft202012Validator
    for name in described["components"]["schemas"]:
        validator({"$ref": f"#/components/schemas/{name}", "components": described["components"]})


# -- OpenAPI -----------------------------------------------------------------------------------------------


def test_it_is_openapi_3_1(openapi):
    assert openapi["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(openapi).validate()  # against the specification's own schema
    broken = {**openapi, "info": {"title": "no version"}}
    with pytest.raises(Exception, match="version"):
        schemathesis.openapi.from_dict(broken).validate()


def test_every_example_fits_its_schema(openapi):
    examples = 0
    for path in openapi["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                told = next(iter(parameter["content"].values())) if "content" in parameter else parameter
                if "example" in told:
                    schema = {**told["schema"], "components": openapi["components"]}
                    jsonschema_rs.Draft202012Validator(schema).validate(told["example"])
                    examples += 1
    for name, schema in openapi["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            whole = {"$ref": f"#/components/schemas/{name}", "components": openapi["components"]}
            jsonschema_rs.Draft202012Validator(whole).validate(example)
            examples += 1
    assert examples > 40


def test_every_collection_can_be_found_counted_and_asked_by_where(openapi):
    for name, of in COLLECTIONS.items():
        assert {f"/api/{name}", f"/api/{name}/count", f"/api/{name}/{{id}}"} <= openapi["paths"].keys()
        asked = {each["name"]: each for each in openapi["paths"][f"/api/{name}"]["get"]["parameters"]}
        where = found(openapi, asked["where"]["content"]["application/json"]["schema"]["$ref"])
        beside = {"overdue"} if name == "refunds" else set()  # by the legal clock, and no column
        assert where["properties"].keys() == {*of.fields, *beside, "and", "or"}


# -- AsyncAPI ----------------------------------------------------------------------------------------------


def test_it_has_what_asyncapi_3_asks_for(asyncapi):
    """As the parser of AsyncAPI's own (npm: @asyncapi/parser) accepted it; its rules for what is used here."""
    assert asyncapi["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= asyncapi["info"].keys()
    assert set(asyncapi) <= {"asyncapi", "info", "defaultContentType", "channels", "operations", "components"}
    for channel in asyncapi["channels"].values():
        assert channel.keys() <= {"address", "title", "description", "messages"}
        assert all(each.keys() == {"$ref"} for each in channel["messages"].values())
    for name, operation in asyncapi["operations"].items():
        assert operation["action"] in ("send", "receive"), name
        channel = operation["channel"]["$ref"]
        assert found(asyncapi, channel)["address"] is None or operation["bindings"]["http"]["method"] == "POST"
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/"), "an operation's messages are its channel's"
    for message in asyncapi["components"]["messages"].values():
        assert message.keys() <= {"name", "title", "summary", "description", "contentType", "headers", "payload"}


def test_every_event_and_every_change_stands_in_it(asyncapi):
    channels = asyncapi["channels"]
    assert list(channels["file"]["messages"]) == list(CATALOGUE)
    assert list(channels["paymentWebhook"]["messages"]) == list(PAYMENTS)
    told = [
        found(asyncapi, f"#/components/schemas/{name}")["properties"]["collection"]["const"]
        for name in channels["changes"]["messages"]
    ]
    assert told == [*change_capture.COLLECTIONS, "ping"]
